"""The reader against the `gguf` package's writer and reader, and what a file gets that breaks a rule."""

import random
import struct
import tracemalloc
from pathlib import Path

import gguf
import numpy as np
import pytest
from tests.weights.fuzz_gguf import read
from tests.weights.gguf_files import add, array, by_hand, info, pair, small_llama, string

from groundup.errors import InputError
from groundup.weights.gguf import GGUFFile

VALUES = {
    "a.bool": True, "a.int": 7, "a.float": 0.5, "a.text": "naïve 狐", "an.array": [1, -2, 3],
    "strings": ["a", "", "ß"], "floats": [0.25, 2.0], "flags": [True, False],
}  # fmt: skip
NESTED = pair("nested", 9, array(9, 2, array(4, 1, struct.pack("<I", 5)) + array(8, 1, string("deep"))))


def opened(tmp_path: Path, content: bytes) -> GGUFFile:
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    return GGUFFile(path)


def test_metadata_and_tensors_are_what_the_writer_wrote(tmp_path: Path):
    path = tmp_path / "x.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(64)
    for key, value in VALUES.items():
        add(writer, key, value)
    for kind in ("uint8", "int8", "uint16", "int16", "int32", "uint64", "int64"):
        getattr(writer, f"add_{kind}")(f"one.{kind}", 100)
    writer.add_float64("one.float64", 0.1)
    numbers = {"b": np.arange(6.0, dtype=np.float32).reshape(2, 3), "a": np.ones(5, np.float32)}
    for name, tensor in numbers.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    file = GGUFFile(path)
    found = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in file.metadata.items()}
    ones = {f"one.{kind}": 100 for kind in ("uint8", "int8", "uint16", "int16", "int32", "uint64", "int64")}
    assert found == VALUES | ones | {"one.float64": 0.1, "general.architecture": "llama", "general.alignment": 64}
    assert {name: file.stored(tensor).tolist() for name, tensor in file.tensors.items()} == {
        name: tensor.ravel().tolist() for name, tensor in numbers.items()
    }
    assert file.tensors["b"].shape == (2, 3)
    assert file.tensors["b"].begin % 64 == 0
    file.forget(file.tensors["b"])
    assert file.stored(file.tensors["b"])[5] == 5.0


@pytest.mark.parametrize("version", [2, 3])
def test_a_file_laid_by_hand(tmp_path: Path, version: int):
    numbers = np.arange(8, dtype="<f4")
    file = opened(tmp_path, by_hand((NESTED,), (info("x", (4, 2)),), numbers.tobytes(), version))
    assert [list(values) for values in file.metadata["nested"]] == [[5], ["deep"]]
    assert file.tensors["x"].shape == (2, 4)
    assert np.array_equal(file.stored(file.tensors["x"]), numbers)


HUGE = 2**62
PAGE = bytes(128)
BROKEN = {
    "empty": (b"", "found an empty one"),
    "another kind": (b"PK\x03\x04" + PAGE, "begins with GGUF"),
    "version 1": (by_hand(version=1), "version 1"),
    "version 9": (by_hand(version=9), "version 9"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "a big-endian file"),
    "cut in the header": (by_hand()[:10], "a file of 10"),
    "more tensors than fit": (b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0) + PAGE, f"{HUGE} tensors"),
    "more pairs than fit": (b"GGUF" + struct.pack("<IQQ", 3, 0, HUGE) + PAGE, f"{HUGE} pairs of metadata"),
    "a long key": (by_hand((struct.pack("<Q", HUGE),)) + PAGE, f"a key of metadata of {HUGE} bytes"),
    "a long string": (by_hand((pair("k", 8, struct.pack("<Q", 999)),), data=PAGE), "the value of 'k' of 999 bytes"),
    "a long array": (by_hand((pair("k", 9, array(4, HUGE)),), data=PAGE), f"{HUGE} values in the value of 'k'"),
    "a long array of strings": (by_hand((pair("k", 9, array(8, HUGE)),), data=PAGE), f"{HUGE} values in"),
    "strings past the end": (
        by_hand((pair("k", 9, array(8, 2, string("a") + struct.pack("<Q", 999))),)),
        "in number 1",
    ),
    "a type of value": (by_hand((pair("k", 13, PAGE),)), "type 13"),
    "a type in an array": (by_hand((pair("k", 9, array(77, 1, PAGE)),)), "type 77"),
    "no boolean": (by_hand((pair("k", 7, b"\x02"),)), "0 or 1 in the value of 'k' in"),
    "no UTF-8": (by_hand((pair("k", 8, string(b"\xff")),)), "in UTF-8"),
    "no UTF-8 in an array": (by_hand((pair("k", 9, array(8, 1, string(b"\xff"))),)), "UTF-8 in the value of 'k'"),
    "deep arrays": (by_hand((pair("k", 9, array(9, 1) * 9 + array(0, 0)),)), "at most 4 arrays inside each other"),
    "a key twice": (by_hand((pair("k", 0, b"1"),) * 2), "'k' twice"),
    "alignment": (by_hand((pair("general.alignment", 4, struct.pack("<I", 12)),)), "a power of two"),
    "alignment of another type": (by_hand((pair("general.alignment", 8, string("a")),)), "a power of two"),
    "a tensor twice": (by_hand((), (info("x", (8,)), info("x", (8,), offset=32)), PAGE), "'x' twice"),
    "a tensor over another": (by_hand((), (info("x", (16,)), info("y", (8,), offset=32)), PAGE), "over the tensor"),
    "a tensor past the end": (by_hand((), (info("x", (8,), offset=128),), PAGE), "bytes 192 to 224"),
    "an absurd offset": (by_hand((), (info("x", (8,), offset=HUGE),), PAGE), "of 32 bytes from"),
    "absurd sizes": (by_hand((), (info("x", (2**63, 2**63)),), PAGE), "a file of 224"),
    "no size": (by_hand((), (info("x", ()),), PAGE), "found 0: "),
    "five sizes": (by_hand((), (info("x", (1,) * 5),), PAGE), "found 5: "),
    "a size of zero": (by_hand((), (info("x", (0, 8)),), PAGE), r"shape (8, 0)"),
    "half a block": (by_hand((), (info("x", (33,), kind=8),), PAGE), "rows of full Q8_0 blocks of 32"),
    "an offset between": (by_hand((), (info("x", (8,), offset=8),), PAGE), "multiple of 32"),
    "a type of tensor": (by_hand((), (info("x", (256,), kind=12),), PAGE), "type 12 (Q4_K)"),
    "a type nobody knows": (by_hand((), (info("x", (256,), kind=999),), PAGE), "type 999"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_in_one_line(tmp_path: Path, case: str):
    content, said = BROKEN[case]
    with pytest.raises(InputError) as caught:
        opened(tmp_path, content)
    assert said in str(caught.value)
    assert "x.gguf" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_of_a_megabyte_is_cut_in_the_message(tmp_path: Path):
    with pytest.raises(InputError, match="type 99") as caught:
        opened(tmp_path, by_hand((pair("k\n" * 500_000, 99, b""),), data=PAGE))
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path: Path):
    with pytest.raises(InputError, match="found nothing: check the path"):
        GGUFFile(tmp_path / "none.gguf")
    with pytest.raises(InputError, match="found something else there"):
        GGUFFile(tmp_path)


def test_every_beginning_of_a_file_is_refused(tmp_path: Path):
    path = small_llama(tmp_path / "x.gguf")
    content = path.read_bytes()
    last = max(tensor.end for tensor in GGUFFile(path).tensors.values())
    for length in [*range(0, 400, 7), *range(400, last, last // 60), last - 1]:
        with pytest.raises(InputError):
            opened(tmp_path, content[:length])
    opened(tmp_path, content[:last])


def test_changed_files_are_read_or_refused_within_memory(tmp_path: Path):
    content = small_llama(tmp_path / "seed.gguf").read_bytes()
    end_of_header = min(tensor.begin for tensor in GGUFFile(tmp_path / "seed.gguf").tensors.values())
    path, draw, outcomes = tmp_path / "x.gguf", random.Random(0), set()
    read(tmp_path / "seed.gguf")  # whatever is made once is not counted
    _, whole = read_traced(tmp_path / "seed.gguf")
    for _ in range(100):
        path.write_bytes(changed(content, end_of_header, draw))
        is_model, peak = read_traced(path)
        outcomes.add(is_model)
        assert peak < 1.25 * whole  # what a sound file of that size takes: 260 kB and 0.99 of it were seen
    assert outcomes == {True, False}


def read_traced(path: Path) -> tuple[bool, int]:
    """Return whether it was a model, and the most bytes that Python and NumPy held meanwhile."""
    tracemalloc.start()
    try:
        return read(path), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def changed(content: bytes, end_of_header: int, draw: random.Random) -> bytes:
    """Return the file with a few bytes, or a whole number, of its header changed."""
    new = bytearray(content)
    for _ in range(draw.randrange(1, 4)):
        # half of the time in the last part of the header, which says what the tensors are
        place = draw.randrange(4, end_of_header) if draw.random() < 0.5 else end_of_header - draw.randrange(8, 1400)
        if draw.random() < 0.5:
            new[place] = draw.randrange(256)
        else:
            number = draw.choice([0, 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1, len(content), draw.randrange(100_000)])
            new[place : place + 8] = struct.pack("<Q", number)
    return bytes(new)
