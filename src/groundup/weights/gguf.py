"""GGUF, the file format of llama.cpp, read by hand: metadata and where each tensor lies, on a map of the file.

The file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), every number little-endian:

    "GGUF"                      4 bytes
    version                     uint32: 2 and 3 are laid out alike; 1 had shorter lengths
    tensors, pairs              uint64 each: how many
    pairs of metadata           string key, uint32 type, value; again and again
    what the tensors are        string name, uint32 sizes, uint64 for each size (the fastest first), uint32 type,
                                uint64 offset; again and again
    padding                     up to a multiple of the alignment (general.alignment, or 32)
    numbers                     each tensor's, at its offset from here, which is a multiple of the alignment

A string is a uint64 length and that many bytes of UTF-8. An array is a uint32 type, a uint64 count and the values.
Nothing in it is code, so a file from a stranger can be read. It can still lie in its lengths, counts and offsets: each
is held against the bytes that are left before anything is made of it.
"""

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError
from groundup.weights.gguf_blocks import BLOCKS, Block

VERSIONS = (2, 3)
DEFAULT_ALIGNMENT = 32
"""Bytes; where general.alignment is not given."""
MOST_SIZES = 4
"""Of a tensor; ggml's limit."""
DEEPEST_ARRAY = 4
"""Arrays inside arrays; one level is all that files use."""

_SCALARS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 10: "<u8", 11: "<i8", 12: "<f8"}
_BOOL, _STRING, _ARRAY = 7, 8, 9
_SHORTEST = {_BOOL: 1, _STRING: 8, _ARRAY: 12} | {number: np.dtype(kind).itemsize for number, kind in _SCALARS.items()}
_SHORTEST_PAIR = 8 + 4 + 1
_SHORTEST_TENSOR = 8 + 4 + 8 + 4 + 8


@dataclass(frozen=True)
class TensorInfo:
    """What the file says of one tensor."""

    name: str
    """As llama.cpp names it: blk.0.attn_q.weight."""
    shape: tuple[int, ...]
    """Sizes, the slowest first, as NumPy and torch have them."""
    block: Block
    """How its numbers are stored."""
    begin: int
    """First byte, counted from the start of the file."""
    end: int
    """Byte after the last."""


class GGUFFile:
    """A GGUF file whose header was read and checked; numbers are read when they are asked for.

    Attributes:
        path: where it is.
        metadata: values by key: bool, int, float, str; arrays of numbers as NumPy arrays that point into the file, of
            strings (and of arrays) as lists.
        tensors: by name, in the order of the header.

    Raises:
        InputError: no such file, or one that breaks the format: cut off, with sizes beyond its own, overlapping
            tensors, names that come twice, types that are not known here, version 1, big-endian.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        if self.path.exists() and not self.path.is_file():  # a pipe would wait for somebody to write
            raise InputError(f"expected a GGUF file at {path}, found something else there: check the path")
        try:
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise InputError(f"expected a GGUF file at {path}, found nothing: check the path") from None
        except OSError as error:
            found = error.strerror or error
            raise InputError(f"expected a readable GGUF file at {path}, found: {found}: check the path") from None
        except ValueError:
            raise InputError(f"expected a GGUF file at {path}, found an empty one: copy it again") from None
        header = _Header(self._map, self.path)
        n_tensors = header.begin()
        self.metadata = header.pairs(header.count("pairs of metadata", _SHORTEST_PAIR))
        self.tensors = {info.name: info for info in header.tensors(n_tensors, self.metadata)}

    def __len__(self) -> int:
        """Return the size of the file in bytes."""
        return len(self._map)

    @property
    def few_bits(self) -> str | None:
        """Names of the formats of few bits that tensors have, for people; None: there are but floats."""
        names = sorted({info.block.name for info in self.tensors.values() if info.block.n_numbers > 1})
        return " and ".join(names) or None

    def stored(self, info: TensorInfo) -> npt.NDArray[Any]:
        """Return the blocks of a tensor as they lie in the file [n_blocks]: a view, nothing is read yet."""
        dtype = info.block.dtype
        return np.frombuffer(self._map, dtype, (info.end - info.begin) // dtype.itemsize, info.begin)

    def forget(self, info: TensorInfo) -> None:
        """Tell the system that the pages of a tensor are not needed for now, so that they do not count as ours."""
        if hasattr(self._map, "madvise"):
            begin = info.begin // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.madvise(mmap.MADV_DONTNEED, begin, info.end - begin)


class _Header:
    """A place in the header that moves on as values are read; each is checked against the bytes left."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data, self.size, self.path, self.place = data, len(data), path, 0

    def refuse(self, expected: str, found: str, advice: str = "copy or download it again") -> NoReturn:
        raise InputError(f"expected {expected} in {self.path}, found {found}: {advice}")

    def begin(self) -> int:
        """Read up to the number of tensors, and return it."""
        magic = self.take(4, "the four letters GGUF")
        if magic != b"GGUF":
            self.refuse("a file that begins with GGUF", f"{magic!r}", "it is a file of another kind")
        version = self.number("<I", "a version")
        if version in (2**24, 2 * 2**24, 3 * 2**24):
            self.refuse("little-endian numbers", "a big-endian file", "convert it with gguf's gguf_convert_endian")
        if version not in VERSIONS:
            known = " or ".join(map(str, VERSIONS))
            self.refuse(f"GGUF of version {known}", f"version {version}", "convert the model with a newer llama.cpp")
        return self.count("tensors", _SHORTEST_TENSOR)

    def take(self, n_bytes: int, what: str) -> bytes:
        start = self.place
        if n_bytes > self.size - start:
            self.refuse(f"{what} of {n_bytes} bytes at byte {start}", f"a file of {self.size}", _CUT)
        self.place += n_bytes
        return self.data[start : self.place]

    def number(self, code: str, what: str) -> int:
        return int(struct.unpack(code, self.take(struct.calcsize(code), what))[0])

    def count(self, what: str, shortest: int) -> int:
        """Read how many things follow that take at least `shortest` bytes each, and see that they can."""
        n_things = self.number("<Q", f"the number of {what}")
        if n_things * shortest > self.size - self.place:
            self.refuse(f"{n_things} {what} from byte {self.place} on", f"a file of {self.size} bytes", _CUT)
        return n_things

    def string(self, what: str) -> str:
        length = self.number("<Q", f"the length of {what}")
        text = self.take(length, what)
        try:
            return text.decode()
        except UnicodeDecodeError:
            self.refuse(f"{what} in UTF-8 at byte {self.place - length}", "other bytes")

    def pairs(self, n_pairs: int) -> dict[str, Any]:
        metadata: dict[str, Any] = {}
        for _ in range(n_pairs):
            key = self.string("a key of metadata")
            if key in metadata:
                self.refuse("each key of metadata once", f"{_spelled(key)} twice")
            metadata[key] = self.value(
                self.number("<I", f"the type of {_spelled(key)}"), f"the value of {_spelled(key)}", depth=0
            )
        return metadata

    def value(self, kind: int, what: str, depth: int) -> Any:  # noqa: ANN401 - any value of metadata
        if kind in _SCALARS:
            return self.numbers(kind, 1, what)[0].item()
        if kind == _STRING:
            return self.string(what)
        if kind == _BOOL:
            return bool(self.numbers(kind, 1, what)[0])
        if kind != _ARRAY:
            self.refuse(f"{what} of a type 0 to 12", f"type {kind}")
        if depth == DEEPEST_ARRAY:
            self.refuse(f"at most {DEEPEST_ARRAY} arrays inside each other in {what}", "more")
        kind = self.number("<I", f"the type inside {what}")
        if kind not in _SHORTEST:
            self.refuse(f"{what} of a type 0 to 12", f"type {kind}")
        n_values = self.count(f"values in {what}", _SHORTEST[kind])
        if kind == _STRING:
            return self.strings(n_values, what)
        if kind == _ARRAY:
            return [self.value(_ARRAY, what, depth + 1) for _ in range(n_values)]
        return self.numbers(kind, n_values, what)

    def numbers(self, kind: int, n_values: int, what: str) -> npt.NDArray[Any]:
        """Return numbers or booleans as a view of the file."""
        dtype = np.dtype("u1" if kind == _BOOL else _SCALARS[kind])
        start = self.place
        if n_values * dtype.itemsize > self.size - start:
            self.refuse(f"{what} of {n_values * dtype.itemsize} bytes at byte {start}", f"a file of {self.size}", _CUT)
        self.place += n_values * dtype.itemsize
        values = np.frombuffer(self.data, dtype, n_values, start)
        if kind == _BOOL:
            if n_values and values.max() > 1:
                self.refuse(f"0 or 1 in {what}", f"{values.max()}")
            return values.view(np.bool_)
        return values

    def strings(self, n_values: int, what: str) -> list[str]:
        """Return strings one after the other: the inner loop of opening a file, for a vocabulary has 50,000."""
        data, size, place, read_length = self.data, self.size, self.place, struct.Struct("<Q").unpack_from
        strings: list[str] = []
        try:
            for _ in range(n_values):
                start = place + 8
                if start > size or (place := start + read_length(data, place)[0]) > size:
                    self.refuse(f"{n_values} strings in {what}", f"the end of the file in number {len(strings)}", _CUT)
                strings.append(data[start:place].decode())
        except UnicodeDecodeError:
            self.refuse(f"UTF-8 in {what}", f"other bytes in number {len(strings)}")
        self.place = place
        return strings

    def tensors(self, n_tensors: int, metadata: dict[str, Any]) -> list[TensorInfo]:
        """Read what the tensors are, and see that each has its own bytes inside the file."""
        alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            self.refuse("a power of two as general.alignment", f"{alignment!r}"[:80])
        infos, names = [], set()
        for _ in range(n_tensors):
            infos.append(info := self.tensor(alignment))
            if info.name in names:
                self.refuse("each tensor once", f"{_spelled(info.name)} twice")
            names.add(info.name)
        start = -(-self.place // alignment) * alignment
        placed = [TensorInfo(i.name, i.shape, i.block, start + i.begin, start + i.end) for i in infos]
        end = start
        for info in sorted(placed, key=lambda info: info.begin):
            if info.begin < end:
                self.refuse(
                    f"{_spelled(info.name)} behind byte {end}", f"it at byte {info.begin}, over the tensor before it"
                )
            end = info.end
            if end > self.size:
                self.refuse(f"{_spelled(info.name)} in bytes {info.begin} to {end}", f"a file of {self.size}", _CUT)
        return placed

    def tensor(self, alignment: int) -> TensorInfo:
        """Read what one tensor is; its bytes are counted from where the numbers begin."""
        name = self.string("the name of a tensor")
        n_sizes = self.number("<I", f"the number of sizes of {_spelled(name)}")
        if not 1 <= n_sizes <= MOST_SIZES:
            self.refuse(f"1 to {MOST_SIZES} sizes of {_spelled(name)}", f"{n_sizes}")
        shape = tuple(self.number("<Q", f"a size of {_spelled(name)}") for _ in range(n_sizes))[::-1]
        kind = self.number("<I", f"the type of {_spelled(name)}")
        if kind not in BLOCKS:
            known = ", ".join(block.name for block in BLOCKS.values())
            self.refuse(
                f"{_spelled(name)} of a type {known}", f"type {_named(kind)}", "take the model in one of these types"
            )
        block, n_numbers = BLOCKS[kind], math.prod(shape)
        if not n_numbers or shape[-1] % block.n_numbers:
            self.refuse(
                f"{_spelled(name)} with rows of full {block.name} blocks of {block.n_numbers}", f"shape {shape}"
            )
        n_bytes = n_numbers // block.n_numbers * block.dtype.itemsize
        begin = self.number("<Q", f"the offset of {_spelled(name)}")
        if begin % alignment:
            self.refuse(f"{_spelled(name)} at a multiple of {alignment}", f"offset {begin}")
        if begin + n_bytes > self.size:
            self.refuse(f"{_spelled(name)} of {n_bytes} bytes from {begin} on", f"a file of {self.size}", _CUT)
        return TensorInfo(name, shape, block, begin, begin + n_bytes)


def _spelled(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:80] + "…")


def _named(kind: int) -> str:
    return f"{kind} ({_OTHER_TYPES[kind]})" if kind in _OTHER_TYPES else str(kind)


_OTHER_TYPES = {6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K"}
_CUT = "it is cut off or damaged; copy or download it again"
