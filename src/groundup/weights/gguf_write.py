"""GGUF files written by hand, whole or not at all: the header that `gguf.py` reads, and the numbers behind it."""

import os
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError
from groundup.weights.gguf import DEFAULT_ALIGNMENT
from groundup.weights.gguf_blocks import BLOCKS

VERSION = 3
Value = bool | int | float | str | list[str] | npt.NDArray[Any]
"""Of metadata. A whole number takes a uint32, a fraction a float32, an array the type of its numbers."""

_UINT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 6, 7, 8, 9
_KINDS = {"u1": 0, "i1": 1, "u2": 2, "i2": 3, "u4": 4, "i4": 5, "f4": 6, "b1": 7, "u8": 10, "i8": 11, "f8": 12}
"""Types of arrays, by NumPy's letters."""


@dataclass(frozen=True)
class TensorToWrite:
    """A tensor whose numbers are made when their turn comes, so that no two need be in memory at once."""

    name: str
    """As llama.cpp names it."""
    shape: tuple[int, ...]
    """Sizes, the slowest first."""
    kind: int
    """Number of its format in `BLOCKS`."""
    blocks: Callable[[], npt.NDArray[Any]]
    """Returns its blocks, in order, in the format's dtype."""

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes in the file."""
        block = BLOCKS[self.kind]
        return int(np.prod(self.shape)) // block.n_numbers * block.dtype.itemsize


def write_gguf(path: Path, metadata: Mapping[str, Value], tensors: Sequence[TensorToWrite]) -> None:
    """Write a GGUF file of version 3 at `path`; the layout is described in `gguf.py`.

    It is written beside, brought to disk, and renamed: a disk that is full leaves nothing behind.

    Raises:
        InputError: something is at `path` already, no such place, a full disk; what `blocks` raises.
        ValueError: metadata of a type that the format lacks; blocks of another size than the shape says.

    Example:
        >>> import tempfile
        >>> from groundup.weights.gguf import GGUFFile
        >>> path, ones = Path(tempfile.mkdtemp()) / "ones.gguf", np.ones(6, np.float32)
        >>> write_gguf(path, {"general.name": "ones"}, [TensorToWrite("w", (2, 3), 0, lambda: ones)])
        >>> file = GGUFFile(path)
        >>> file.metadata, file.tensors["w"].shape, len(file)
        ({'general.name': 'ones'}, (2, 3), 160)
    """
    path = Path(path)
    header = _header(metadata, tensors)
    beside = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        if path.exists():
            raise InputError(f"expected a new file to write to, found {path} in use: name another")
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(header)
            for tensor in tensors:
                blocks = np.ascontiguousarray(tensor.blocks())
                if blocks.nbytes != tensor.n_bytes or blocks.dtype != BLOCKS[tensor.kind].dtype:
                    found = f"{blocks.nbytes} bytes of {blocks.dtype}"
                    raise ValueError(f"expected {tensor.n_bytes} bytes of {tensor.name} in its format, found {found}")
                file.write(blocks.data)
                file.write(bytes(_padding(blocks.nbytes)))
            file.flush()
            os.fsync(file.fileno())
        beside.rename(path)
    except OSError as error:
        raise InputError(
            f"expected to write a model at {path}, found: {error.strerror or error}; make room or name another place"
        ) from None
    finally:
        with suppress(OSError):  # no such place: said above
            beside.unlink()


def _header(metadata: Mapping[str, Value], tensors: Sequence[TensorToWrite]) -> bytes:
    """Return all that stands before the numbers, padding included."""
    parts = [b"GGUF", struct.pack("<IQQ", VERSION, len(tensors), len(metadata))]
    parts += [_string(key) + _value(key, value) for key, value in metadata.items()]
    offset = 0
    for tensor in tensors:
        sizes = struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *reversed(tensor.shape))  # fastest first
        parts += [_string(tensor.name), sizes, struct.pack("<IQ", tensor.kind, offset)]
        offset += tensor.n_bytes + _padding(tensor.n_bytes)
    header = b"".join(parts)
    return header + bytes(_padding(len(header)))


def _padding(n_bytes: int) -> int:
    """Return how many bytes are left up to the next multiple of the alignment."""
    return -n_bytes % DEFAULT_ALIGNMENT


def _string(text: str) -> bytes:
    spelled = text.encode()
    return struct.pack("<Q", len(spelled)) + spelled


def _value(key: str, value: Value) -> bytes:
    """Return the type of a value, and the value."""
    if isinstance(value, bool):
        return struct.pack("<IB", _BOOL, value)
    if isinstance(value, int) and 0 <= value < 2**32:
        return struct.pack("<II", _UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", _FLOAT32, value)
    if isinstance(value, str):
        return struct.pack("<I", _STRING) + _string(value)
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return struct.pack("<IIQ", _ARRAY, _STRING, len(value)) + b"".join(map(_string, value))
    if isinstance(value, np.ndarray) and value.ndim == 1:
        little_endian = value.astype(value.dtype.newbyteorder("<"))
        if (kind := _KINDS.get(little_endian.dtype.str[1:])) is not None:
            return struct.pack("<IIQ", _ARRAY, kind, len(value)) + little_endian.tobytes()
    raise ValueError(f"expected a value of {key} that GGUF has a type for, found {str(value)[:80]!r}")
