"""Unpacked IDX files: made once, named by what they were made from, and never half there."""

import gzip

import numpy as np
import pytest

from groundup.data import image_cache
from groundup.data.image_cache import unpacked_idx
from groundup.data.image_idx import map_idx, write_idx
from groundup.errors import InputError


@pytest.fixture
def zipped(monkeypatch, tmp_path):
    monkeypatch.setenv("GROUNDUP_CACHE", str(tmp_path / "cache"))

    def write(array):
        write_idx(tmp_path / "plain", array)
        (tmp_path / "a.gz").write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
        return tmp_path / "a.gz"

    return write


def test_unpacked_once(zipped, monkeypatch):
    path = zipped(np.arange(6, dtype=np.uint8).reshape(3, 2))
    found = unpacked_idx(path)
    assert map_idx(found).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert found.parent.name == "idx"
    monkeypatch.setattr(image_cache, "read_idx", lambda _: pytest.fail("unpacked again"))
    assert unpacked_idx(path) == found
    assert unpacked_idx(found) == found  # one that is plain is taken as it is


def test_another_file_of_the_same_name_is_another(zipped):
    first = unpacked_idx(zipped(np.zeros(3, np.uint8)))
    second = unpacked_idx(zipped(np.ones(3, np.uint8)))
    assert (map_idx(first).tolist(), map_idx(second).tolist()) == ([0, 0, 0], [1, 1, 1])


def test_what_fails_leaves_nothing(zipped, monkeypatch):
    path = zipped(np.zeros(3, np.uint8))

    def full(partial, array):
        partial.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_cache, "write_idx", full)
    with pytest.raises(InputError, match=r"expected room to unpack .*a.gz at .*: No space left on device"):
        unpacked_idx(path)
    assert not any((path.parent / "cache/idx").iterdir())
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cut short at offset"):
        unpacked_idx(path)


def test_a_cache_that_cannot_be_written_is_named(zipped, monkeypatch, tmp_path):
    path = zipped(np.zeros(3, np.uint8))
    monkeypatch.setenv("GROUNDUP_CACHE", str(path / "cache"))  # a folder in a file
    with pytest.raises(InputError, match="expected room to unpack"):
        unpacked_idx(path)
