"""IDX files: written by hand here, read back; what is damaged is refused by name."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from groundup.data.images import mnist_test, read_idx
from groundup.errors import InputError

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx(array):
    code = CODES[array.dtype.str[1:]]
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


@given(
    st.sampled_from(list(CODES)).flatmap(
        lambda code: hnp.arrays(code, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
    ),
    st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, array, zipped):
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if zipped else "a")
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    found = read_idx(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


GOOD = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a", b"", "found other content"),
        ("a", b"PNG" + GOOD, "found other content"),
        ("a", GOOD[:7], "found the file cut short"),
        ("a", GOOD[:-1], "expected 6 bytes of elements of shape [2, 3]"),
        ("a", GOOD + b"x", "found 7: download it again"),
        ("a.gz", gzip.compress(GOOD, mtime=0)[:-4], "could not read it"),
        ("a.gz", GOOD, "could not read it"),
    ],
)
def test_damage_is_named(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        read_idx(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="could not read it"):
        read_idx(tmp_path / "none")


@pytest.mark.skipif(
    not (Path(os.environ.get("GROUNDUP_DATA", "none")) / "mnist").is_dir(), reason="no mnist in GROUNDUP_DATA"
)
def test_mnist_is_ten_thousand_digits():
    images, labels = mnist_test()
    assert images.shape == (10_000, 28, 28)
    assert images.dtype == np.uint8
    # How often each digit comes is published with the set.
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
