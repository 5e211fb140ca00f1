"""Sequences of different lengths laid into rows of one length, several in a row, little of it empty.

Shapes: N tokens of a sequence, B rows, T positions of a row.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError


@dataclass(frozen=True, eq=False)
class Example:
    """Tokens, and which of them are to be predicted."""

    ids: npt.NDArray[np.int64]
    """The tokens [N]."""
    is_learned: npt.NDArray[np.bool_]
    """Which count in the loss [N]. The first one has nothing before it and cannot."""

    @property
    def n_inputs(self) -> int:
        """Positions that it takes: the last token is only predicted."""
        return len(self.ids) - 1


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Examples laid side by side; where none is, there is padding."""

    inputs: npt.NDArray[np.int64]
    """Tokens [B, T]."""
    targets: npt.NDArray[np.int64]
    """The token that follows each in its example [B, T]."""
    is_learned: npt.NDArray[np.bool_]
    """Which targets count [B, T]; none in padding."""
    segments: npt.NDArray[np.int64]
    """Which example of the row a position belongs to, 1, 2, … [B, T]; 0 is padding."""


def pack(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return which sequences share a row, such that no row is longer than `capacity`: best fit, longest first.

    Each sequence goes where it leaves least room, into a new row if it fits nowhere: at most 11/9 of the fewest rows
    possible, and four (Johnson et al. 1974, "Worst-case performance bounds for simple one-dimensional packing
    algorithms"). The same lengths always give the same rows.

    Args:
        lengths: of the sequences.
        capacity: of a row.

    Raises:
        ValueError: a length below 1 or above `capacity`.

    Example:
        >>> pack([3, 8, 5, 2, 1], capacity=10)
        [[1, 4], [2, 0, 3]]
    """
    if any(not 1 <= length <= capacity for length in lengths):
        raise ValueError(f"expected lengths in 1 … {capacity}, found {min(lengths)} … {max(lengths)}")
    rows: list[list[int]] = []
    with_room: dict[int, list[int]] = {}  # rows by how much still fits
    rooms: list[int] = []  # the keys of with_room, in order
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        place = bisect_left(rooms, lengths[i])
        if place == len(rooms):
            row, room = len(rows), capacity
            rows.append([])
        else:
            room = rooms[place]
            row = with_room[room].pop()
            if not with_room[room]:
                del with_room[room], rooms[place]
        rows[row].append(i)
        if left := room - lengths[i]:
            if left not in with_room:
                insort(rooms, left)
            with_room.setdefault(left, []).append(row)
    return rows


def lay_out(rows: Sequence[Sequence[Example]], pad_id: int) -> PackedRows:
    """Return the examples of each row one behind the other, as inputs and targets; T is the longest row's length.

    No target crosses: the last token of an example is a target and no input, so the next example follows at once.

    Args:
        rows: the examples of each row.
        pad_id: what fills the rest; any id will do.

    Raises:
        InputError: a row without tokens to predict.

    Example:
        >>> one = Example(np.array([5, 6, 7]), np.array([False, False, True]))
        >>> two = Example(np.array([8, 9]), np.array([False, True]))
        >>> found = lay_out([[one, two], [two]], pad_id=0)
        >>> found.inputs.tolist(), found.targets.tolist()
        ([[5, 6, 8], [8, 0, 0]], [[6, 7, 9], [9, 0, 0]])
        >>> found.is_learned.astype(int).tolist(), found.segments.tolist()
        ([[0, 1, 1], [1, 0, 0]], [[1, 1, 2], [1, 0, 0]])
    """
    lengths = [sum(example.n_inputs for example in row) for row in rows]
    if not lengths or min(lengths) < 1:
        raise InputError("expected rows with at least one token to predict, found one with none: leave it out")
    shape = len(rows), max(lengths)
    inputs, targets = np.full(shape, pad_id, np.int64), np.full(shape, pad_id, np.int64)
    is_learned, segments = np.zeros(shape, np.bool_), np.zeros(shape, np.int64)
    for b, row in enumerate(rows):
        start = 0
        for number, example in enumerate(row, 1):
            here = b, slice(start, start := start + example.n_inputs)
            inputs[here], targets[here] = example.ids[:-1], example.ids[1:]
            is_learned[here], segments[here] = example.is_learned[1:], number
    return PackedRows(inputs, targets, is_learned, segments)
