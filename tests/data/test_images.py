"""MNIST: the published files as they are, and what is said where they are not."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.data.idx_bytes import idx

from groundup.data import images as module
from groundup.data.images import MIRRORS, TEST, TRAIN, is_here, mnist, mnist_test
from groundup.errors import InputError

DATA = Path(os.environ.get("GROUNDUP_DATA", "none")) / "mnist"
FIRST = next(iter(TRAIN))


@pytest.mark.skipif(not all((DATA / name).is_file() for name in TEST), reason="no mnist in GROUNDUP_DATA")
def test_mnist_is_ten_thousand_digits():
    images, labels = mnist_test()
    assert images.shape == (10_000, 28, 28)
    assert images.dtype == np.uint8
    # How often each digit comes is published with the set.
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.skipif(not all((DATA / name).is_file() for name in TRAIN), reason="no training part in GROUNDUP_DATA")
def test_the_training_part_is_sixty_thousand_digits():
    images, labels = mnist(train=True)
    assert images.shape == (60_000, 28, 28)
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """Neither data nor cache."""
    monkeypatch.setenv("GROUNDUP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data/mnist").mkdir(parents=True)
    return tmp_path / "data/mnist"


def test_without_download_nothing_is_fetched(nowhere, monkeypatch):
    monkeypatch.setattr(module, "find_file", lambda *_, **__: pytest.fail("asked the network"))
    assert not is_here(train=True)
    with pytest.raises(InputError, match=r"^expected train-images-idx3-ubyte.gz and train-labels.*download is False$"):
        mnist(train=True, download=False)


def test_the_mirrors_are_tried_in_turn(nowhere, monkeypatch):
    asked = []

    def refuse(file, *, url, sha256):
        asked.append(url)
        raise InputError(f"expected to find or download {url}")

    monkeypatch.setattr(module, "find_file", refuse)
    with pytest.raises(InputError, match="cvdf-datasets"):
        mnist(train=True)
    assert asked == [mirror + FIRST for mirror in MIRRORS]


def test_the_second_mirror_serves_what_the_first_does_not(nowhere, monkeypatch):
    def second(file, *, url, sha256):
        if url.startswith(MIRRORS[0]):
            raise InputError("not reached")
        array = np.zeros((2, 28, 28), np.uint8) if "images" in url else np.array([3, 4], np.uint8)
        path = nowhere / Path(url).stem
        path.write_bytes(idx(array))
        return path

    monkeypatch.setattr(module, "find_file", second)
    images, labels = mnist(train=True)
    assert (images.shape, labels.tolist()) == ((2, 28, 28), [3, 4])


def test_a_damaged_file_is_named_and_not_replaced(nowhere):
    for name in TRAIN:
        (nowhere / name).write_bytes(b"damaged")
    with pytest.raises(InputError) as error:
        mnist(train=True)
    assert str(nowhere / FIRST) in str(error.value)
    assert f"expected {nowhere / FIRST} to have SHA-256 {TRAIN[FIRST]}" in str(error.value)
    assert (nowhere / FIRST).read_bytes() == b"damaged"


@pytest.mark.skipif(not all((DATA / name).is_file() for name in TEST), reason="no mnist in GROUNDUP_DATA")
def test_a_root_of_yours_is_filled_once_and_checked(tmp_path, monkeypatch):
    root = tmp_path / "new" / "mnist"
    images, _ = mnist(train=False, root=root, download=False)
    assert len(images) == 10_000
    assert sorted(file.name for file in root.iterdir()) == sorted(TEST)
    monkeypatch.setattr(module, "find_file", lambda *_, **__: pytest.fail("looked elsewhere"))
    np.testing.assert_array_equal(mnist(train=False, root=root)[0], images)
    (root / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte.gz to have SHA-256 f7ae.*: remove it"):
        mnist(train=False, root=root)


def test_a_root_that_cannot_be_written_is_named(nowhere, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "find_file", lambda *_, **__: tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=f"expected to put {FIRST} into .*file/mnist, found: "):
        mnist(train=True, root=tmp_path / "file/mnist")
    with pytest.raises(InputError, match=r"in .*file/mnist, \$GROUNDUP_DATA/mnist or the cache, and download is False"):
        mnist(train=True, root=tmp_path / "file/mnist", download=False)
