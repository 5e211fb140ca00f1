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
