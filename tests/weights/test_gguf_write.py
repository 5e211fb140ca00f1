"""Files against what the `gguf` package and our own reader find in them; places where none may be left."""

import errno
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from groundup.errors import InputError
from groundup.weights.gguf import GGUFFile
from groundup.weights.gguf_blocks import BLOCKS, dequantize
from groundup.weights.gguf_quantize import quantize
from groundup.weights.gguf_write import TensorToWrite, write_gguf

METADATA: dict[str, Any] = {
    "general.architecture": "llama",
    "yes": True,
    "no": False,
    "largest": 2**32 - 1,
    "fraction": 0.1,
    "name": "naïve 日本語 🙂",
    "empty": "",
    "words": ["a", "", "Ġthe"],
    "no words": [],
    "kinds": np.array([1, -3], np.int32),
    "scores": np.array([0.5, -1e30], np.float32),
    "flags": np.array([True, False]),
    "large": np.array([2**63], np.uint64),
    "small": np.array([-128, 127], np.int8),
    "big-endian": np.array([1, 2], ">u2"),
}
NUMBERS = np.random.default_rng(0).standard_normal(3 * 64).astype(np.float32)


def written(path: Path, kind: int = 0) -> Path:
    tensors = [
        TensorToWrite("odd", (3,), 0, lambda: quantize(NUMBERS[:3], 0)),
        TensorToWrite("matrix", (3, 64), kind, lambda: quantize(NUMBERS, kind)),
        TensorToWrite("deep", (2, 1, 1, 32), 1, lambda: quantize(NUMBERS[:64], 1)),
    ]
    write_gguf(path, METADATA, tensors)
    return path


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 8])
def test_the_gguf_package_reads_the_same(tmp_path: Path, kind: int):
    theirs = gguf.GGUFReader(written(tmp_path / "x.gguf", kind))
    for key, value in METADATA.items():
        found = theirs.fields[key].contents()
        if isinstance(value, float):
            assert found == np.float32(value)
        else:
            assert found == (value.tolist() if isinstance(value, np.ndarray) else value)
    assert theirs.fields["GGUF.version"].contents() == 3
    assert [tensor.name for tensor in theirs.tensors] == ["odd", "matrix", "deep"]
    assert [tensor.shape.tolist() for tensor in theirs.tensors] == [[3], [64, 3], [32, 1, 1, 2]]
    assert [int(tensor.tensor_type) for tensor in theirs.tensors] == [0, kind, 1]
    assert all(tensor.data_offset % 32 == 0 for tensor in theirs.tensors)
    assert theirs.tensors[1].data.tobytes() == quantize(NUMBERS, kind).tobytes()


def test_our_reader_reads_the_same(tmp_path: Path):
    file = GGUFFile(written(tmp_path / "x.gguf", 8))
    assert file.metadata.keys() == METADATA.keys()
    for key, value in METADATA.items():
        found = file.metadata[key]
        if isinstance(value, np.ndarray):
            assert found.dtype == value.dtype.newbyteorder("<")
            assert np.array_equal(found, value)
        else:
            assert found == (np.float32(value) if isinstance(value, float) else value)
    assert [info.shape for info in file.tensors.values()] == [(3,), (3, 64), (2, 1, 1, 32)]
    info = file.tensors["odd"]
    assert np.array_equal(dequantize(file.stored(info), BLOCKS[0]), NUMBERS[:3])
    assert len(file) % 32 == 0


def test_what_is_there_stays(tmp_path: Path):
    path = written(tmp_path / "x.gguf")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"expected a new file to write to, found .*x\.gguf in use"):
        written(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_nothing(tmp_path: Path):
    def full() -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    tensors = [TensorToWrite("w", (3,), 0, lambda: NUMBERS[:3]), TensorToWrite("v", (3,), 0, full)]
    with pytest.raises(InputError, match=r"found: No space left on device; make room"):
        write_gguf(tmp_path / "new" / "x.gguf", {}, tensors)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_place_that_is_none_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"expected to write a model at .*file/x\.gguf"):
        write_gguf(tmp_path / "file" / "x.gguf", {}, [])


def test_blocks_of_another_size_are_refused_and_leave_nothing(tmp_path: Path):
    for wrong in (NUMBERS[:4], NUMBERS[:3].astype(np.float64), NUMBERS[:3].view(np.uint32)):
        with pytest.raises(ValueError, match="expected 12 bytes of w"):
            write_gguf(tmp_path / "x.gguf", {}, [TensorToWrite("w", (3,), 0, lambda wrong=wrong: wrong)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [-1, 2**32, None, 1j, [1, 2], np.zeros((2, 2)), np.array(["a"])])
def test_values_that_the_format_lacks_are_refused(tmp_path: Path, value: Any):
    with pytest.raises(ValueError, match="expected a value of key"):
        write_gguf(tmp_path / "x.gguf", {"key": value}, [])
