"""Weights on disk as safetensors, read and written by hand: 8 bytes, a header in JSON, then the numbers as they are.

The file (https://huggingface.co/docs/safetensors, "Format"):

    N                8 bytes: length of the header, unsigned, little-endian
    header           N bytes of JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, …}, where
                     offsets count from the end of the header, and "__metadata__" may hold strings; padded with spaces
    numbers          each tensor's, little-endian, the last dimension fastest, one tensor after the other without gaps

Nothing in it is code, so a file from a stranger can be read. It can still lie in its lengths, which are checked first.
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from groundup.engine.errors import DTypeError
from groundup.engine.ops.rules import Array
from groundup.engine.tensor import Tensor

WRITTEN = {"I64": "<i8", "F64": "<f8", "F32": "<f4", "I32": "<i4", "U8": "u1", "BOOL": "?"}
"""Element types that are read and written, as NumPy spells them; in the order in which their tensors lie in a file."""
WIDENED = {"F16": "<f2", "BF16": "<u2"}
"""Those that are read as float32, which holds each of their numbers exactly."""
STORED = {**WRITTEN, **WIDENED}
LONGEST_HEADER = 100_000_000
"""Bytes; the limit of the `safetensors` library. A longer one is a file that is no safetensors file."""
METADATA = "__metadata__"


class SafetensorsError(ValueError):
    """A file that breaks the format; the message names the file, what was expected and what was found."""


class Entry(NamedTuple):
    """What the header says of one tensor."""

    dtype: str
    """A key of STORED."""
    shape: tuple[int, ...]
    """Sizes; () is a single number."""
    begin: int
    """First byte, counted from the end of the header."""
    end: int
    """Byte after the last."""


def save_file(
    tensors: Mapping[str, Tensor | Array], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors by name, as the `safetensors` library would, to the byte.

    The file is written beside its place and then moved there: a crash leaves the old file or the new one, and tensors
    that were loaded from the old one stay valid.

    Args:
        tensors: of float32, float64, int64, int32, uint8 or bool.
        path: of the file.
        metadata: strings to store beside them.

    Raises:
        DTypeError: a tensor of another element type.
        ValueError: a tensor named `__metadata__`.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_file({"weight": Tensor([1.0, 2.0])}, f"{folder}/one.safetensors")
        ...     load_file(f"{folder}/one.safetensors")["weight"].tolist()
        [1.0, 2.0]
    """
    arrays = {name: t.data if isinstance(t, Tensor) else np.asarray(t) for name, t in tensors.items()}
    names = {np.dtype(numpy): name for name, numpy in WRITTEN.items()}
    if METADATA in arrays:
        raise ValueError(f"save_file: a tensor cannot be named {METADATA}, which names the strings of the header")
    for name, array in arrays.items():
        if array.dtype not in names:
            known = ", ".join(str(dtype) for dtype in names)
            raise DTypeError(f"save_file: {name!r} holds {array.dtype}, expected one of {known}; cast it first")
    order = list(WRITTEN)
    arrays = dict(sorted(arrays.items(), key=lambda item: (order.index(names[item[1].dtype]), item[0])))
    header: dict[str, Any] = {METADATA: dict(metadata)} if metadata else {}
    offset = 0
    for name, array in arrays.items():
        offsets = [offset, offset + array.nbytes]
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": offsets}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # so that numbers of eight bytes lie at a multiple of eight
    beside = Path(f"{os.fspath(path)}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for array in arrays.values():
                file.write(np.asarray(array, WRITTEN[names[array.dtype]], order="C").data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors of a file by name.

    Nothing is read but the header: the tensors lie on a map of the file, whose pages the system brings in when they
    are touched. Writing to a tensor copies the page and leaves the file alone. float16 and bfloat16 become float32
    at once, in memory. Do not shorten the file while its tensors are in use.

    Raises:
        SafetensorsError: a file that is cut off, damaged, or of element types that are not known here.
        OSError: a file that cannot be opened.
    """
    entries, _, start = read_header(path)
    mapped = np.memmap(path, np.uint8, mode="c")
    return {name: Tensor(_array(mapped, entry, start)) for name, entry in entries.items()}


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the strings stored beside the tensors; the errors are those of `load_file`."""
    return read_header(path)[1]


def _array(mapped: Array, entry: Entry, start: int) -> Array:
    array: Array = np.ndarray(entry.shape, STORED[entry.dtype], mapped, start + entry.begin)  # a view, no copy
    if entry.dtype == "BF16":  # float32 without its lower sixteen bits
        return (array.astype(np.uint32) << 16).view(np.float32)
    if entry.dtype == "F16":
        return array.astype(np.float32)
    return array if array.flags.aligned and array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def read_header(path: str | os.PathLike[str]) -> tuple[dict[str, Entry], dict[str, str], int]:
    """Return (what each tensor is, the strings, the byte where the numbers begin), all checked."""
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8:
            raise SafetensorsError(f"{path}: a safetensors file begins with a length in 8 bytes, found {size} in all")
        if length > min(size - 8, LONGEST_HEADER):
            raise SafetensorsError(
                f"{path}: its header should take {length} bytes, found a file of {size}, and {LONGEST_HEADER} are "
                "allowed; it is cut off, or not a safetensors file"
            )
        header = _parsed(file.read(length), path)
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise SafetensorsError(f"{path}: {METADATA} must hold strings by name, found {str(metadata)[:80]}")
    entries = {name: _entry(described, name, path) for name, described in header.items()}
    _check_places(entries, size - 8 - length, path)
    return entries, metadata, 8 + length


def _parsed(text: bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name stands there twice")
        return dict(pairs)

    try:
        header = json.loads(text.decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise SafetensorsError(f"{path}: its header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise SafetensorsError(f"{path}: its header must be a JSON object, found {str(header)[:80]}")
    return header


def _entry(described: Any, name: str, path: str | os.PathLike[str]) -> Entry:
    """Return the entry for `name`, checked by itself."""
    if not isinstance(described, dict) or described.keys() != {"dtype", "shape", "data_offsets"}:
        raise SafetensorsError(f"{path}: {name!r} must have dtype, shape and data_offsets, found {str(described)[:80]}")
    dtype, shape, offsets = described["dtype"], described["shape"], described["data_offsets"]
    if not isinstance(dtype, str) or dtype not in STORED:
        raise SafetensorsError(f"{path}: {name!r} is of {dtype!r}, known are {', '.join(STORED)}")
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(type(number) is int and number >= 0 for number in numbers):
            raise SafetensorsError(f"{path}: {name!r} needs lists of whole numbers from 0, found {str(numbers)[:80]}")
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        raise SafetensorsError(f"{path}: {name!r} needs a first and a last byte in this order, found {offsets}")
    expected = math.prod(shape) * np.dtype(STORED[dtype]).itemsize
    if offsets[1] - offsets[0] != expected:
        raise SafetensorsError(
            f"{path}: {name!r} of {dtype} {shape} takes {expected} bytes, found data_offsets for "
            f"{offsets[1] - offsets[0]}"
        )
    return Entry(dtype, tuple(shape), *offsets)


def _check_places(entries: Mapping[str, Entry], size: int, path: str | os.PathLike[str]) -> None:
    """Raise SafetensorsError unless the tensors fill the `size` bytes behind the header, each byte once."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].end)):
        if entry.begin != end:
            what = "overlaps the tensor before it" if entry.begin < end else "leaves a gap before it"
            raise SafetensorsError(f"{path}: {name!r} {what}: byte {end} comes next, found it at {entry.begin}")
        end = entry.end
    if end != size:
        what = "is cut off" if end > size else "goes on behind its last tensor"
        raise SafetensorsError(f"{path}: the file {what}: its tensors take {end} bytes, found {size}")
