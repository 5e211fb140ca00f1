"""Image sets and their parts: nothing in two parts, nothing lost, and what is wrong is named."""

import gzip
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.idx_bytes import idx

from groundup.configs.image_data import ImageDataConfig
from groundup.data import image_sets
from groundup.data.image_sets import DIGITS, ImageSet, load_images, split
from groundup.data.images import TEST, TRAIN
from groundup.errors import InputError

DATA = Path(os.environ.get("GROUNDUP_DATA", "none")) / "mnist"
HAS_MNIST = pytest.mark.skipif(not all((DATA / name).is_file() for name in TEST), reason="no mnist in GROUNDUP_DATA")


def numbered(n: int) -> ImageSet:
    """Return images that can be told apart by their pixels."""
    images = np.zeros((n, 1, 2), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(n), 256)
    return ImageSet(images, np.arange(n) % 3, ("a", "b", "c"))


def numbers_of(images: ImageSet) -> list[int]:
    return (images.images[:, 0, 0].astype(int) * 256 + images.images[:, 0, 1]).tolist()


@given(st.integers(2, 300), st.floats(0.01, 0.99), st.integers(0, 2**64 - 1))
@settings(deadline=None, max_examples=25, derandomize=True)
def test_a_split_shares_out_every_image_once(n, fraction, key):
    whole = numbered(n)
    if not 0 < round(n * fraction) < n:
        with pytest.raises(InputError, match=f"found {n}"):
            split(whole, fraction, key)
        return
    kept, held_out = map(numbers_of, split(whole, fraction, key))
    assert len(held_out) == round(n * fraction)
    assert sorted(kept + held_out) == list(range(n))
    assert kept == sorted(kept)
    for part in split(whole, fraction, key):
        assert part.labels.tolist() == [number % 3 for number in numbers_of(part)]  # each image keeps its label


@pytest.mark.slow  # to import scikit-learn takes seconds
def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    found = image_sets._digits()
    np.testing.assert_array_equal(found.images, np.rint(load_digits().images * (255 / 16)))
    np.testing.assert_array_equal(found.labels, load_digits().target)


def test_digits_are_all_there():
    splits = load_images(ImageDataConfig())
    parts = (splits.train, splits.validation, splits.test)
    assert [len(part) for part in parts] == [1374, 153, 270]
    # How often each digit comes is published with the set.
    assert sum(part.counts for part in parts).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    levels = np.unique(splits.train.images)
    assert (len(levels), levels[0], levels[-1]) == (17, 0, 255)  # 0 … 16 in the set
    assert splits.said.startswith("scikit-learn's 1,797 digits of 8 x 8: 1,374 to learn from, 153 for validation")


def test_the_test_part_is_the_same_whatever_the_seed_and_the_validation_part_is_not():
    one, other = (load_images(ImageDataConfig(seed=seed)) for seed in (0, 1))
    np.testing.assert_array_equal(one.test.images, other.test.images)
    assert not np.array_equal(one.validation.images, other.validation.images)
    again = load_images(ImageDataConfig(seed=1))
    np.testing.assert_array_equal(other.validation.images, again.validation.images)


def test_digits_without_scikit_learn_are_one_clear_line(monkeypatch):
    image_sets._digits.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pip install 'groundup\[vision\]', or take mnist"):
        load_images(ImageDataConfig())


@HAS_MNIST
def test_mnists_test_images_are_split_where_they_are_all_there_is(monkeypatch):
    splits = load_images(ImageDataConfig(source="mnist", full_mnist=False))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [7_650, 850, 1_500]
    assert splits.said.startswith("the 10,000 test images of MNIST, split")


@pytest.mark.parametrize(
    ("full", "train_here", "test_here", "loaded"),
    [
        (None, True, True, [False, True]),
        (None, False, True, [False]),
        (None, False, False, [False, True]),  # all is downloaded
        (True, False, True, [False, True]),
        (False, True, True, [False]),
    ],
)
def test_which_files_of_mnist_are_taken(monkeypatch, full, train_here, test_here, loaded):
    asked = []

    def small(*, train):
        asked.append(train)
        return np.zeros((20, 28, 28), np.uint8), np.zeros(20, np.int64)

    monkeypatch.setattr(image_sets, "mnist", small)
    monkeypatch.setattr(image_sets, "is_here", lambda *, train: train_here if train else test_here)
    splits = load_images(ImageDataConfig(source="mnist", full_mnist=full))
    assert asked == loaded
    assert len(splits.test) == (20 if len(loaded) == 2 else 3)
    if len(loaded) == 1:
        why = "as data.full_mnist asks" if train_here else "for its 60,000 training images are not here"
        assert splits.said.startswith(f"the 10,000 test images of MNIST, split, {why}: 15 to learn from")
    assert splits.train.class_names == DIGITS


@pytest.fixture
def folder(tmp_path):
    """A folder of 10 images to learn from and 4 to test on, of classes 0 … 2."""
    numbers = np.random.default_rng(0)
    for part, n, zipped in (("train", 10, False), ("t10k", 4, True)):
        images, labels = numbers.integers(0, 256, (n, 3, 4), dtype=np.uint8), (np.arange(n) % 3).astype(np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = tmp_path / f"{part}-{name}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    return tmp_path


def test_a_folder_of_yours(folder):
    splits = load_images(ImageDataConfig(source=str(folder), validation_fraction=0.2))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [8, 2, 4]
    assert splits.train.class_names == ("0", "1", "2")
    assert splits.test.labels.tolist() == [0, 1, 2, 0]
    (folder / "classes.txt").write_text("shirt\ncoat\n\nboot\n", encoding="utf-8")
    assert load_images(ImageDataConfig(source=str(folder))).test.class_names == ("shirt", "coat", "boot")
    (folder / "classes.txt").write_text("shirt\r\ncoat\r\nboot", encoding="utf-8-sig", newline="")  # as Windows
    assert load_images(ImageDataConfig(source=str(folder))).test.class_names == ("shirt", "coat", "boot")


def test_a_folder_without_a_test_part_gets_one(folder):
    for file in folder.glob("t10k*"):
        file.unlink()
    splits = load_images(ImageDataConfig(source=str(folder), test_fraction=0.2, validation_fraction=0.25))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [6, 2, 2]


def test_a_folder_that_cannot_be_used_is_named(folder, tmp_path_factory):
    config = ImageDataConfig(source=str(folder))
    (folder / "classes.txt").write_text("shirt\ncoat\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"labels 0 … 1, found 2 at offset 10 of .*train-labels-idx1-ubyte"):
        load_images(config)
    (folder / "classes.txt").write_bytes(b"shirt\ncoat\nb\xf6ot\n")
    with pytest.raises(InputError, match=r"classes.txt to be UTF-8, found another byte at offset 12"):
        load_images(config)
    (folder / "classes.txt").unlink()
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(np.zeros((4, 4, 3), np.uint8)))
    with pytest.raises(InputError, match=r"images of 3 x 4, found 4 x 3 at offset 8 of .*t10k-images-idx3-ubyte"):
        load_images(config)
    (folder / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(InputError, match=r"train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz in .* found neither"):
        load_images(config)
    with pytest.raises(InputError, match="digits, mnist or a folder with IDX files, found '/no/such"):
        load_images(ImageDataConfig(source="/no/such"))
    with pytest.raises(InputError, match=r"to hold out 0\.0001 of them, found 1797"):
        load_images(ImageDataConfig(test_fraction=0.0001))


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros(2, np.int64)),
        (np.zeros((2, 3, 3), np.float32), np.zeros(2, np.int64)),
        (np.zeros((2, 3, 3), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((2, 3, 3), np.uint8), np.zeros(2, np.int32)),
        (np.zeros((2, 3, 3), np.uint8), np.array([0, 2])),
        (np.zeros((2, 3, 3), np.uint8), np.array([-1, 0])),
    ],
)
def test_what_does_not_fit_together_is_no_image_set(images, labels):
    with pytest.raises(ValueError, match=r"^expected "):
        ImageSet(images, labels, ("a", "b"))


def test_the_names_of_the_published_files_are_those_of_a_folder():
    assert {name.removesuffix("-idx3-ubyte.gz").removesuffix("-idx1-ubyte.gz") for name in (*TRAIN, *TEST)} == {
        "train-images", "train-labels", "t10k-images", "t10k-labels",
    }  # fmt: skip
