"""Rows of tokens by where they begin: indexed in memory, or read from a large file of which no page stays resident."""

import mmap
import os
import weakref
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError

RESIDENT_BYTES = 1 << 25
"""Files up to this size are read through their memory map, 0.3 µs a row: at worst all of it stays resident. Larger ones
are read with pread, 1.3 µs a row and nothing resident; to drop the pages of a map every 20 batches took twice that time
and left 450 MB of 1 GB."""


class Rows(Protocol):
    """Anything that gives rows of tokens."""

    def __call__(self, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the tokens from each of `starts` [B] on: [B, width]."""


def rows_of(ids: npt.NDArray[np.integer[Any]], width: int) -> Rows:
    """Return what gives rows of `width` tokens of `ids` [N].

    Args:
        ids: tokens of any integer type. A read-only map of a whole file is taken as that file: leave the file as it is.
        width: tokens in a row, at most N.

    Example:
        >>> rows_of(np.arange(10, dtype=np.uint16), 3)(np.array([7, 0])).tolist()
        [[7, 8, 9], [0, 1, 2]]
    """
    if isinstance(ids, np.memmap) and ids.nbytes > RESIDENT_BYTES and hasattr(os, "pread"):
        base: object = ids.base  # of a part of a map it is that map: NumPy gives the part the offset of the whole
        if isinstance(base, mmap.mmap) and ids.mode == "r" and ids.filename:
            return _FileRows(ids, width)
    return _MemoryRows(ids, width)


class _MemoryRows:
    def __init__(self, ids: npt.NDArray[np.integer[Any]], width: int) -> None:
        # [N - width + 1, width]: row i begins at token i. A view, nothing is copied; asarray, because indexing a memmap
        # object makes a memmap object of each batch, which costs more than the batch.
        self._rows = np.lib.stride_tricks.sliding_window_view(np.asarray(ids), width)

    def __call__(self, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return self._rows[starts].astype(np.int64)


class _FileRows:
    def __init__(self, ids: np.memmap[Any, np.dtype[np.integer[Any]]], width: int) -> None:
        self._path, self._offset, self._dtype, self._width = Path(str(ids.filename)), ids.offset, ids.dtype, width
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY)
        except OSError as error:
            raise InputError(
                f"expected the token file {self._path}, found: {error.strerror or error}; prepare it again"
            ) from None
        weakref.finalize(self, os.close, self._descriptor)

    def __call__(self, starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        n_bytes = self._width * self._dtype.itemsize
        places = (starts * self._dtype.itemsize + self._offset).tolist()
        try:
            raw = b"".join([os.pread(self._descriptor, n_bytes, place) for place in places])
        except OSError as error:
            raise InputError(f"expected to read {self._path}, found: {error.strerror or error}") from None
        if len(raw) != n_bytes * len(places):
            raise InputError(f"expected {self._path} as it was opened, found it cut short: prepare it again")
        return np.frombuffer(raw, self._dtype).reshape(-1, self._width).astype(np.int64)
