"""Files from strangers: each lie and each damage is one line, and nothing is read before it is checked."""

import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from groundup.errors import InputError
from groundup.weights.tensor_files import open_tensors

INDEX = "model.safetensors.index.json"


def read_all(folder: Path) -> list[torch.Tensor]:
    return [file.read() for file in open_tensors(folder).values()]


def refuse(folder: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_all(folder)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def write_index(folder: Path, places: object) -> None:
    (folder / INDEX).write_text(json.dumps({"weight_map": places}))


def entry(begin=0, end=8, dtype="F32", shape=(2,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def write_raw(folder: Path, header: object, numbers: bytes) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + numbers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_number_format_is_read_as_the_library_does(dtype: torch.dtype, tmp_path: Path):
    tensors = {
        "a": torch.randn(3, 5).to(dtype),
        "b": torch.tensor(2.5, dtype=dtype),
        "c": torch.zeros(0, 4, dtype=dtype),
    }
    save_file(tensors, tmp_path / "model.safetensors")
    found = open_tensors(tmp_path)
    for name, tensor in tensors.items():
        assert found[name].shape == tuple(tensor.shape)
        assert found[name].read().dtype == dtype
        assert torch.equal(found[name].read(), tensor)


def test_parts_are_found_by_their_index(tmp_path: Path):
    save_file({"a": torch.ones(2)}, tmp_path / "model-1.safetensors")
    save_file({"b": torch.zeros(3)}, tmp_path / "model-2.safetensors")
    write_index(tmp_path, {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    assert {name: file.shape for name, file in open_tensors(tmp_path).items()} == {"a": (2,), "b": (3,)}


def test_an_old_file_of_tensors_is_read_and_owns_its_memory(tmp_path: Path):
    shared = torch.randn(4, 3)
    tensors = {"a": shared, "tied": shared, "half": torch.ones(2, dtype=torch.bfloat16)}
    for is_zip in (True, False):
        torch.save(tensors, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=is_zip)
        found = {name: file.read() for name, file in open_tensors(tmp_path).items()}
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
        (tmp_path / "pytorch_model.bin").write_bytes(bytes((tmp_path / "pytorch_model.bin").stat().st_size))
        assert torch.equal(found["a"], shared)


class Harmful:
    def __reduce__(self):
        return print, ("code of a stranger runs",)


def test_an_old_file_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "pytorch_model.bin"
    for make in (lambda: torch.save({"a": Harmful()}, path), lambda: path.write_bytes(pickle.dumps(Harmful()))):
        make()
        refuse(tmp_path, r"expected weights that torch.load\(weights_only=True\) reads")
        assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.ones(2)], "what is no mapping from names to tensors"),
        ({"a": 3}, "what is no mapping from names to tensors"),
        ({"a": torch.ones(1).expand(1000)}, "expected a in .* to fill its memory"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "found a as torch.complex64"),
        ({"a": torch.ones(2).to_sparse()}, "found a as torch.float32, torch.sparse_coo"),
    ],
)
def test_an_old_file_of_something_else_is_refused(content: object, said: str, tmp_path: Path):
    torch.save(content, tmp_path / "pytorch_model.bin")
    refuse(tmp_path, said)


def test_a_cut_old_file_is_refused(tmp_path: Path):
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.randn(1000)}, path)
    path.write_bytes(path.read_bytes()[:-1000])
    refuse(tmp_path, "expected weights that torch.load")


def test_a_folder_without_weights_says_what_it_should_have(tmp_path: Path):
    refuse(tmp_path, r"expected model.safetensors or pytorch_model.bin in .*, found neither")


@pytest.mark.parametrize(
    ("header", "numbers", "said"),
    [
        (b"{", b"", "its header is not JSON"),
        (b'{"a": {}, "a": {}}', b"", "a name stands there twice"),
        ({"a": entry(), "b": entry(4, 12)}, bytes(12), "'b' overlaps the tensor before it"),
        ({"a": entry(8, 16)}, bytes(16), "'a' leaves a gap before it"),
        ({"a": entry(0, 8, shape=(2**40, 2**40))}, bytes(8), "found data_offsets for 8"),
        ({"a": entry()}, bytes(4), "the file is cut off"),
        ({"a": entry(dtype="F8_E5M2")}, bytes(8), "'a' is of 'F8_E5M2'"),
        ({"a": entry(dtype="I32")}, bytes(8), "expected weights as F64, F32, F16, BF16 in .*, found a as I32"),
    ],
)
def test_a_header_that_lies_is_refused(header: object, numbers: bytes, said: str, tmp_path: Path):
    write_raw(tmp_path, header, numbers)
    refuse(tmp_path, said)


@pytest.mark.parametrize("content", [b"", b"abc", struct.pack("<Q", 1 << 63), struct.pack("<Q", 99) + b"{}"])
def test_a_length_that_lies_is_refused_before_memory_is_taken(content: bytes, tmp_path: Path):
    (tmp_path / "model.safetensors").write_bytes(content)
    refuse(tmp_path, "expected a whole safetensors file")


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ([], 'expected "weight_map"'),
        ({"a": 3}, 'expected "weight_map"'),
        ({"a": "../model-1.safetensors"}, "name files beside it, found '../model-1.safetensors'"),
        ({"a": "/etc/passwd"}, "name files beside it, found '/etc/passwd'"),
        ({"a": ""}, "name files beside it, found ''"),
        ({"a": ".."}, "name files beside it, found '..'"),
        ({"a": "model-1.bin"}, "name files beside it, found 'model-1.bin'"),
        ({"a": "model-1\0.safetensors"}, "found no such file"),
        ({"a": "m" * 999 + ".safetensors"}, "found no such file"),
        ({"a": "model-3.safetensors"}, "which model.safetensors.index.json names, found no such file"),
        ({"a": "model-1.safetensors", "b": "model-1.safetensors"}, "expected b in .*, found none"),
        ({"a": "model-1.safetensors", "c": "model-2.safetensors"}, "expected each tensor once, found a in"),
    ],
)
def test_an_index_that_lies_is_refused(places: object, said: str, tmp_path: Path):
    save_file({"a": torch.ones(2)}, tmp_path / "model-1.safetensors")
    save_file({"a": torch.ones(2), "c": torch.ones(2)}, tmp_path / "model-2.safetensors")
    write_index(tmp_path, places)
    refuse(tmp_path, said)


def test_a_file_that_shrinks_after_it_was_opened_is_named(tmp_path: Path):
    save_file({"a": torch.ones(1000)}, tmp_path / "model.safetensors")
    found = open_tensors(tmp_path)["a"]
    (tmp_path / "model.safetensors").write_bytes((tmp_path / "model.safetensors").read_bytes()[:-8])
    with pytest.raises(InputError, match="as it was opened, found it cut short"):
        found.read()


@given(data=st.data())
@settings(max_examples=50, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_one_line_or_another_valid_file(data: st.DataObject, tmp_path: Path):
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.arange(4.0), "b": torch.ones(2, 3)}, path)
    damaged = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))] if data.draw(st.booleans()) else damaged)
    try:
        read = read_all(tmp_path)
    except InputError as error:
        said = str(error)
    else:
        said = ""
        assert sum(tensor.nbytes for tensor in read) <= len(damaged)
    assert "\n" not in said
