"""What a teacher gives each next token of a text, computed once and kept on disk: the largest entries and the rest.

Shapes: N tokens of the text, K kept entries, M positions asked for.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from groundup.data.grown_arrays import Arrays, Block, Column, open_arrays, write_arrays
from groundup.errors import InputError

IDS, LOGPROBS = "ids", "logprobs"
"""The two arrays: kept ids [N - 1, K]; logarithms of their probabilities and of the rest's sum [N - 1, K + 1]."""
_ROOM = 64 << 20  # bytes that a disk must have free beside
_SILENCE = 15.0  # seconds


@dataclass(frozen=True, kw_only=True)
class TeacherLogitsKey:
    """All that decides what the arrays hold; their folder is named by it."""

    teacher: str
    """Fingerprint of the teacher (`weights.fingerprint`)."""
    tokens: str
    """SHA-256 of the token file."""
    n_tokens: int
    """N."""
    vocab_size: int
    """Ids are below it."""
    end_id: int | None
    """The token before each document, across which nothing is attended to."""
    context_length: int
    """Tokens that the teacher read at once."""
    top_k: int
    """K."""
    temperature: float
    """What its logits were divided by."""
    precision: Literal["float16", "float32"]
    """How logarithms are kept."""

    @property
    def name(self) -> str:
        """A folder's name: 20 characters of the SHA-256 over all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:20]

    @property
    def columns(self) -> dict[str, Column]:
        """The arrays that are kept."""
        return {
            IDS: Column("<u2" if self.vocab_size <= 65_536 else "<u4", self.top_k),
            LOGPROBS: Column("<f2" if self.precision == "float16" else "<f4", self.top_k + 1),
        }

    @property
    def token_bytes(self) -> int:
        """Bytes on disk for each token.

        Example:
            >>> key = TeacherLogitsKey(teacher="", tokens="", n_tokens=1_000, vocab_size=50_257, end_id=None,
            ...                        context_length=8, top_k=32, temperature=1.0, precision="float16")
            >>> key.token_bytes, key.n_bytes
            (130, 129870)
        """
        return sum(column.row_bytes for column in self.columns.values())

    @property
    def n_bytes(self) -> int:
        """Bytes on disk for all of them: the last token of a text has none after it."""
        return self.token_bytes * (self.n_tokens - 1)


class TeacherLogits:
    """What a teacher said, opened by `open_teacher_logits`: rows by the position of the token before.

    Args:
        arrays: the folder.
        key: what it must hold.
    """

    def __init__(self, arrays: Arrays, key: TeacherLogitsKey) -> None:
        self.arrays, self.key = arrays, key
        # asarray: indexing a memmap object makes a memmap object of each batch, which costs more than the batch.
        self._ids, self._logprobs = np.asarray(arrays.column(IDS)), np.asarray(arrays.column(LOGPROBS))

    def at(self, positions: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return (ids [M, K], logprobs [M, K + 1]) of what follows the tokens at `positions` [M], each below N - 1."""
        return self._ids[positions].astype(np.int64), self._logprobs[positions].astype(np.float32)


def write_teacher_logits(
    folder: Path,
    key: TeacherLogitsKey,
    blocks: Callable[[int], Iterator[Block]],
    *,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Write what a teacher says into `folder` / key.name: whole or not at all, going on where it was interrupted.

    The size is told before anything is computed.

    Args:
        folder: of all such arrays; made where there is none.
        key: what is written.
        blocks: the rows, from block number n on: see `grown_arrays.write_arrays`.
        report: told the size, and now and then how much is done.

    Raises:
        InputError: no room on the disk, or the place cannot be written.
    """
    place = folder / key.name
    _check_room(place, key)
    report(f"the teacher reads the text: {key.n_tokens - 1:,} tokens, {size(key.n_bytes)} in {place}")
    told_at = time.monotonic()

    def tell(n_rows: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > _SILENCE:
            report(f"            {n_rows / (key.n_tokens - 1):.0%} read")
            told_at = time.monotonic()

    write_arrays(place, key.columns, blocks, told=asdict(key), report=tell)


def open_teacher_logits(folder: Path, key: TeacherLogitsKey) -> TeacherLogits | None:
    """Open what a teacher said of a text, or return None where that was not computed yet.

    Raises:
        InputError: a folder of that name that holds something else, or is damaged.
    """
    place = folder / key.name
    if not place.exists():
        return None
    arrays = open_arrays(place)
    rows_wanted = key.n_tokens - 1
    if arrays.told != asdict(key) or arrays.columns != key.columns or arrays.n_rows != rows_wanted:
        raise InputError(
            f"expected what this teacher says of this text in {place}, found something else: remove {place}, and it is "
            "computed again"
        )
    arrays.verify()
    return TeacherLogits(arrays, key)


def size(n_bytes: int) -> str:
    """Return a number of bytes for a person to read.

    Example:
        >>> size(329_000_000), size(12_300)
        ('329.0 MB', '12.3 kB')
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.1f} {unit}"
    return f"{n_bytes / 1000:.1f} kB"


def _check_room(place: Path, key: TeacherLogitsKey) -> None:
    """Refuse what the disk has no room for before the teacher computes for an hour; what was begun is there already."""
    begun = sum(file.stat().st_size for file in place.with_name(f".{place.name}.partial").glob("*.bin"))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        found: Any = shutil.disk_usage(place.parent)
    except OSError as error:
        raise InputError(f"expected to write in {place.parent}, found: {error.strerror or error}") from None
    if found.free < (wanted := key.n_bytes - begun + _ROOM):
        raise InputError(
            f"expected {size(wanted)} free at {place.parent} for what the teacher says of {key.n_tokens:,} tokens "
            f"({key.token_bytes} bytes each), found {size(found.free)}: make room, lower top_k, take less text, or "
            "name another folder"
        )
