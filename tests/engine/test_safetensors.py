"""Safetensors by hand against the library, both ways and to the byte; damaged files; and what a big file costs."""

import json
import resource
import time

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundup.engine.errors import DTypeError
from groundup.engine.safetensors import SafetensorsError, load_file, load_metadata, save_file
from groundup.engine.tensor import Tensor

DTYPES = (np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_)


def arrays():
    generator = np.random.default_rng(0)
    shapes = {"b.weight": (3, 5), "a": (), "é": (7,), "empty": (0, 4), 'say "hi"\n\u2028': (2, 1, 2)}
    return {
        f"{name}.{np.dtype(dtype).name}": np.asarray(generator.standard_normal(shape) * 9, dtype)
        for name, shape in shapes.items()
        for dtype in DTYPES
    }


def test_a_written_file_is_the_librarys_to_the_byte(tmp_path):
    for tensors in (arrays(), {}, {"one": np.ones(1, np.float32)}):
        save_file({name: Tensor(array) for name, array in tensors.items()}, tmp_path / "ours")
        safetensors.numpy.save_file(tensors, tmp_path / "theirs")
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "theirs"]


def test_metadata_is_written_and_read(tmp_path):
    tensors = {"one": np.ones(3)}
    save_file(tensors, tmp_path / "ours", metadata={"format": "pt"})
    safetensors.numpy.save_file(tensors, tmp_path / "theirs", metadata={"format": "pt"})
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert load_metadata(tmp_path / "theirs") == {"format": "pt"}
    assert list(load_file(tmp_path / "theirs")) == ["one"]


@pytest.mark.parametrize("room", [safetensors.numpy, safetensors.torch])
def test_files_of_the_library_are_read(room, tmp_path):
    given = arrays()
    wrap = torch.tensor if room is safetensors.torch else np.asarray
    room.save_file({name: wrap(array) for name, array in given.items()}, tmp_path / "theirs")
    loaded = load_file(tmp_path / "theirs")
    assert loaded.keys() == given.keys()
    for name, array in given.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].shape == array.shape
        assert (loaded[name].data == array).all()


def test_torch_reads_what_was_written(tmp_path):
    given = arrays()
    save_file(given, tmp_path / "ours")
    loaded = safetensors.torch.load_file(tmp_path / "ours")
    assert loaded.keys() == given.keys()
    assert all(torch.equal(loaded[name], torch.tensor(array)) for name, array in given.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_are_read_as_float32_exactly(dtype, tmp_path):
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(dtype)  # all numbers there are
    safetensors.torch.save_file({"every": every, "single": every[77].clone()}, tmp_path / "theirs")
    loaded = load_file(tmp_path / "theirs")
    assert loaded["every"].dtype == np.float32
    assert np.array_equal(loaded["every"].data, every.float().numpy(), equal_nan=True)
    assert loaded["single"].shape == ()


def test_strided_tensors_are_written_in_order(tmp_path):
    array = np.arange(12.0).reshape(3, 4)
    save_file({"t": array.T, "step": array[:, ::2]}, tmp_path / "file")
    loaded = load_file(tmp_path / "file")
    assert (loaded["t"].data == array.T).all()
    assert (loaded["step"].data == array[:, ::2]).all()


def test_numbers_at_odd_places_are_read(tmp_path):
    header = {
        "a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
        "b": {"dtype": "F64", "shape": [2], "data_offsets": [3, 19]},
    }
    write(tmp_path / "file", header, bytes([1, 2, 3]) + np.array([0.5, -2.0]).tobytes())
    assert load_file(tmp_path / "file")["b"].tolist() == [0.5, -2.0]


def test_writing_to_a_loaded_tensor_leaves_the_file_alone(tmp_path):
    save_file({"a": np.ones(3)}, tmp_path / "file")
    loaded = load_file(tmp_path / "file")["a"]
    loaded.data[0] = 7.0
    assert loaded.tolist() == [7, 1, 1]
    assert load_file(tmp_path / "file")["a"].tolist() == [1, 1, 1]


def test_a_file_can_be_replaced_while_its_tensors_are_in_use(tmp_path):
    save_file({"a": np.ones(3000)}, tmp_path / "file")
    loaded = load_file(tmp_path / "file")
    save_file({"a": loaded["a"].data[:1] * 2}, tmp_path / "file")
    assert loaded["a"].data.sum() == 3000
    assert load_file(tmp_path / "file")["a"].tolist() == [2]


def test_a_big_file_costs_little(tmp_path):
    n = 2**29  # 2 GiB of float32, none of which is on the disk
    header = {"big": {"dtype": "F32", "shape": [n], "data_offsets": [0, 4 * n]}}
    start = write(tmp_path / "file", header, b"")
    with (tmp_path / "file").open("r+b") as file:
        file.truncate(start + 4 * n)
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    big = load_file(tmp_path / "file")["big"]
    assert big.shape == (n,)
    assert big.data[-1] == 0
    assert time.perf_counter() - begun < 0.5  # 0.3 ms when this was written; reading it would take longer
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB; pages touched, not 2 GiB


def write(path, header, numbers):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    return 8 + len(text)


def entry(begin=0, end=8, dtype="F32", shape=(2,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


EIGHT = bytes(8)
DAMAGED = [
    (b"not json", EIGHT, "its header is not JSON: Expecting value"),
    (b"\xff\xfe{}", EIGHT, "its header is not JSON: .* can't decode byte"),
    (b"[" * 100_000, EIGHT, "its header is not JSON"),
    (b'{"a": {}, "a": {}}', EIGHT, "its header is not JSON: a name stands there twice"),
    (b"[]", EIGHT, r"its header must be a JSON object, found \[\]"),
    ({"a": 3}, EIGHT, "'a' must have dtype, shape and data_offsets, found 3"),
    ({"a": {"dtype": "F32", "shape": [2]}}, EIGHT, "'a' must have dtype, shape and data_offsets"),
    ({"a": entry(dtype="F8_E4M3")}, EIGHT, "'a' is of 'F8_E4M3', known are I64, F64"),
    ({"a": entry(dtype=["F32"])}, EIGHT, "known are I64, F64"),
    ({"a": entry(shape=[-2])}, EIGHT, r"'a' needs lists of whole numbers from 0, found \[-2\]"),
    ({"a": entry(shape=[2.0])}, EIGHT, r"needs lists of whole numbers from 0, found \[2.0\]"),
    ({"a": entry(shape=[True, 2])}, EIGHT, "needs lists of whole numbers from 0"),
    (
        {"a": {**entry(), "data_offsets": [0, 4, 8]}},
        EIGHT,
        r"needs a first and a last byte in this order, found \[0, 4",
    ),
    ({"a": entry(8, 0)}, EIGHT, r"needs a first and a last byte in this order, found \[8, 0\]"),
    ({"a": entry(shape=[3])}, EIGHT, r"'a' of F32 \[3\] takes 12 bytes, found data_offsets for 8"),
    ({"a": entry(shape=[2**40, 2**40])}, EIGHT, "found data_offsets for 8"),
    (
        {"a": entry(), "b": entry(4, 12)},
        bytes(12),
        "'b' overlaps the tensor before it: byte 8 comes next, found it at 4",
    ),
    ({"a": entry(), "b": entry()}, EIGHT, "'b' overlaps the tensor before it"),
    ({"a": entry(), "b": entry(9, 17)}, bytes(17), "'b' leaves a gap before it: byte 8 comes next, found it at 9"),
    ({"a": entry()}, bytes(7), "the file is cut off: its tensors take 8 bytes, found 7"),
    ({"a": entry()}, bytes(9), "the file goes on behind its last tensor: its tensors take 8 bytes, found 9"),
    ({"a": entry(), "__metadata__": {"n": 3}}, EIGHT, "__metadata__ must hold strings by name"),
]


@pytest.mark.parametrize(("header", "numbers", "message"), DAMAGED)
def test_a_damaged_file_is_refused_by_what_is_wrong(header, numbers, message, tmp_path):
    write(tmp_path / "file.safetensors", header, numbers)
    with pytest.raises(SafetensorsError, match=f"file.safetensors: {'.*' if message[0] != 't' else ''}{message}"):
        load_file(tmp_path / "file.safetensors")
    with pytest.raises(safetensors.SafetensorError):  # the library agrees that something is wrong
        safetensors.numpy.load_file(tmp_path / "file.safetensors")


@pytest.mark.parametrize("n", [0, 7])
def test_a_file_shorter_than_a_length_is_refused(n, tmp_path):
    (tmp_path / "file").write_bytes(bytes(n))
    with pytest.raises(SafetensorsError, match=f"begins with a length in 8 bytes, found {n} in all"):
        load_file(tmp_path / "file")


def test_a_header_longer_than_the_file_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"PK\x03\x04 this is a zip file of another framework")
    with pytest.raises(SafetensorsError, match=r"its header should take \d+ bytes, found a file of 44"):
        load_file(tmp_path / "file")


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_file(tmp_path / "nowhere")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "file"
    save_file({"a": np.arange(4.0), "b": np.arange(6)}, path)
    return path.read_bytes()


@given(data=st.data())
@settings(deadline=None, max_examples=50, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_refused_or_leaves_a_valid_file(data, whole, tmp_path):
    """Cut anywhere: refused. A byte changed: refused, or the library reads the same numbers."""
    path = tmp_path / "file"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(SafetensorsError):
        load_file(path)
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    try:
        loaded = load_file(path)
    except SafetensorsError:
        return
    expected = safetensors.numpy.load_file(path)
    assert loaded.keys() == expected.keys()
    assert all(np.array_equal(loaded[name].data, expected[name], equal_nan=True) for name in loaded)


def test_what_cannot_be_written_is_refused_and_leaves_the_old_file(tmp_path):
    save_file({"a": np.ones(2)}, tmp_path / "file")
    with pytest.raises(DTypeError, match="save_file: 'b' holds complex128, expected one of int64, float64, float32"):
        save_file({"a": np.zeros(2), "b": np.ones(2, complex)}, tmp_path / "file")
    with pytest.raises(ValueError, match="a tensor cannot be named __metadata__"):
        save_file({"__metadata__": np.zeros(2)}, tmp_path / "file")
    assert load_file(tmp_path / "file")["a"].tolist() == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
