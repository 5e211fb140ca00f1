"""IDX files: written by hand here, read back; what is damaged is refused by name and offset."""

import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.data.idx_bytes import CODES, idx

from groundup.data.image_idx import map_idx, read_idx, read_labelled, write_idx
from groundup.errors import InputError

ARRAYS = st.sampled_from(list(CODES)).flatmap(
    lambda code: hnp.arrays(code, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
)


@given(ARRAYS, st.booleans())
@settings(deadline=None, max_examples=25, derandomize=True)
def test_what_is_written_is_read(tmp_path_factory, array, zipped):
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if zipped else "a")
    path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    found = read_idx(path)
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    if not zipped:
        np.testing.assert_array_equal(map_idx(path), array)


@given(ARRAYS)
@settings(deadline=None, max_examples=25, derandomize=True)
def test_ours_is_written_as_by_hand(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("idx") / "a"
    write_idx(path, array)
    assert path.read_bytes() == idx(array)


def test_what_the_format_has_no_type_for_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="expected an array of uint8, int8, int16"):
        write_idx(tmp_path / "a", np.zeros(3, np.int64))
    assert not (tmp_path / "a").exists()


def test_a_mapped_array_is_not_read_and_cannot_be_written(tmp_path):
    write_idx(tmp_path / "a", np.arange(6, dtype=np.uint8).reshape(2, 3))
    found = map_idx(tmp_path / "a")
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable


GOOD = idx(np.arange(6, dtype=np.uint8).reshape(2, 3))  # 12 bytes of header, 6 of elements
ZIPPED = gzip.compress(GOOD, mtime=0)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a", b"", "found [] at offset 0"),
        ("a", b"\x89PNG" + GOOD, "found [137, 80, 78, 71] at offset 0"),
        ("a", bytes([0, 0, 7, 1]) + GOOD, "found [0, 0, 7, 1] at offset 0"),
        ("a", bytes([0, 0, 8, 0, 5]), "found [0, 0, 8, 0] at offset 0"),
        ("a", bytes([0, 0, 8, 200]) + bytes(800), "found [0, 0, 8, 200] at offset 0"),
        ("a", GOOD[:7], "expected 2 sizes, found the file cut short at offset 7"),
        ("a", GOOD[:-1], "shape [2, 3] to end at offset 18 of"),
        ("a", GOOD[:-1], "found the file cut short, at 17: download it again"),
        ("a", GOOD + b"x", "found more, at 19: download it again"),
        ("a", bytes([0, 0, 8, 3]) + b"\xff" * 12 + bytes(5), "found the file cut short, at 21"),  # nothing is allocated
        ("a.gz", ZIPPED[:-4], f"found it cut short at offset {len(ZIPPED) - 4}"),
        ("a.gz", b"", "found it cut short at offset 0"),
        ("a.gz", GOOD, "found damage between offsets 0 and 18"),
        ("a.gz", ZIPPED[:-8] + bytes(4) + ZIPPED[-4:], "incorrect data check"),  # its own checksum
        ("a.gz", gzip.compress(GOOD[:-1], mtime=0), "found the file cut short, at 17"),
        ("a.gz", ZIPPED + bytes(9), f"gzipped file to end at offset {len(ZIPPED)} of"),
    ],
)
def test_damage_is_named(tmp_path, name, content, said):
    path = tmp_path / name
    path.write_bytes(content)
    readers = (read_idx,) if path.suffix else (read_idx, map_idx)
    for read in readers:
        with pytest.raises(InputError) as error:
            read(path)
        assert said in str(error.value)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_damage_in_the_middle_of_a_gzipped_file_is_placed(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, 60_000, dtype=np.uint8)
    whole = gzip.compress(idx(noise))
    content = bytearray(whole)
    content[40_000:40_400] = bytes(400)
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"damage between offsets (32768 and 49152|49152 and \d+)"):
        read_idx(tmp_path / "a.gz")
    (tmp_path / "a.gz").write_bytes(whole + bytes(40_000))  # more than is unpacked at once
    with pytest.raises(InputError, match=f"gzipped file to end at offset {len(whole)} of .*, found more"):
        read_idx(tmp_path / "a.gz")


@pytest.mark.parametrize("read", [read_idx, map_idx])
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(InputError, match="none, could not read it: No such file"):
        read(tmp_path / "none")


def test_a_gzipped_file_cannot_be_mapped(tmp_path):
    with pytest.raises(InputError, match=r"unpack it first \(gunzip -k\)"):
        map_idx(tmp_path / "a.gz")


IMAGES, LABELS = np.zeros((3, 2, 4), np.uint8), np.array([0, 2, 1], np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (IMAGES, LABELS[:2], "a label for each of the 3 images of {images}, found 2 at offset 4 of {labels}"),
        (IMAGES, np.array([0, 1, 3], np.uint8), "labels 0 … 2, found 3 at offset 10 of {labels} (image 2)"),
        (IMAGES[0], LABELS, "images [N, height, width], so 3 at offset 3 of {images}, found 2 dimensions"),
        (IMAGES, LABELS[:, None], "labels [N], so 1 at offset 3 of {labels}, found 2 dimensions"),
        (IMAGES.astype("i2"), LABELS, "images [N, height, width] of bytes (8) at offset 2 of {images}, found int16"),
        (IMAGES, LABELS.astype("i4"), "labels [N] of bytes (8) at offset 2 of {labels}, found int32"),
        (IMAGES[:0], LABELS[:0], "images, found the shape [0, 2, 4] at offset 4 of {images}"),
        (np.zeros((3, 4, 2), np.uint8), LABELS, "images of 2 x 4, found 4 x 2 at offset 8 of {images}"),
    ],
)
def test_files_that_do_not_belong_together_are_named(tmp_path, images, labels, said):
    paths = {"images": tmp_path / "images", "labels": tmp_path / "labels"}
    write_idx(paths["images"], images)
    write_idx(paths["labels"], labels)
    with pytest.raises(InputError) as error:
        read_labelled(paths["images"], paths["labels"], n_classes=3, size=(2, 4))
    assert said.format(**paths) in str(error.value)


def test_images_and_labels_that_belong_together(tmp_path):
    write_idx(tmp_path / "images", IMAGES)
    write_idx(tmp_path / "labels", LABELS)
    images, labels = read_labelled(tmp_path / "images", tmp_path / "labels", n_classes=3, size=(2, 4))
    assert (images.shape, images.dtype) == ((3, 2, 4), np.uint8)
    assert (labels.tolist(), labels.dtype) == ([0, 2, 1], np.int64)
