"""Numbers to the blocks of `gguf_blocks`, rounded as llama.cpp's reference does: the same bits.

Of 32 neighbours x in a row, with d and m rounded to float16 for the file only after they have served to find q:

    Q8_0   d = max |x| / 127           q = x / d to the nearest, ties away from zero
    Q4_0   d = x̂ / -8                  q = ⌊x / d + 8.5⌋, at most 15; x̂ is the x farthest from zero, with its sign
    Q4_1   d = (max - min) / 15        q = ⌊(x - min) / d + 0.5⌋, at most 15; m = min

x / d is x times the reciprocal of d, rounded in between, as there.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from groundup.weights.gguf_blocks import BLOCKS, Array, Floats

_PIECE = 1 << 16  # numbers at a time, as they are read


def quantize(numbers: Floats, kind: int) -> Array:
    """Return float32 [n] as blocks of the format `BLOCKS[kind]`: [n / numbers in a block].

    Not for NaN and infinities. A number that float16 cannot hold makes an infinite scale: the caller looks.

    Example:
        >>> blocks = quantize(np.arange(32, dtype=np.float32), 3)  # Q4_1
        >>> blocks["d"].item(), blocks["m"].item()
        (2.06640625, 0.0)
    """
    block = BLOCKS[kind]
    rows = numbers.reshape(-1, block.n_numbers)
    blocks = np.empty(len(rows), block.dtype)
    step = _PIECE // block.n_numbers
    with np.errstate(all="ignore"):  # of float16: what is too large becomes infinite, what is too small zero
        for start in range(0, len(rows), step):
            _NARROW[block.name](rows[start : start + step], blocks[start : start + step])
    return blocks


def _to_plain(rows: Floats, out: Array) -> None:
    out[:] = rows[:, 0]


def _to_q8_0(rows: Floats, out: Array) -> None:
    d = np.abs(rows).max(1) / np.float32(127)
    scaled = rows * _reciprocal(d)
    whole = np.trunc(scaled)
    away = np.abs(scaled - whole) >= 0.5  # exact: whole numbers this small leave all bits to the fraction
    out["d"], out["q"] = d, whole + np.copysign(away, scaled)


def _to_q4_0(rows: Floats, out: Array) -> None:
    farthest = np.abs(rows).argmax(1)[:, None]
    d = np.take_along_axis(rows, farthest, 1)[:, 0] / np.float32(-8)
    out["d"], out["q"] = d, _packed(rows * _reciprocal(d) + np.float32(8.5))


def _to_q4_1(rows: Floats, out: Array) -> None:
    low = rows.min(1)
    d = (rows.max(1) - low) / np.float32(15)
    out["d"], out["m"] = d, low
    out["q"] = _packed((rows - low[:, None]) * _reciprocal(d) + np.float32(0.5))


def _reciprocal(d: Floats) -> Floats:
    """Return 1 / d [n, 1]; 0 where it is infinite, for there d in float16 is 0 and no q counts."""
    inverse = np.float32(1) / d
    return np.where(np.isfinite(inverse), inverse, np.float32(0))[:, None]


def _packed(q: Floats) -> Array:
    """Return the whole part of numbers [n, 32] from 0 on, at most 15, two a byte: uint64 [n, 2]."""
    halves = np.minimum(q, 15).astype(np.uint8).reshape(-1, 2, 16)
    return (halves[:, 0] | halves[:, 1] << 4).view("<u8")


_NARROW: dict[str, Callable[[Any, Any], None]] = {
    "F32": _to_plain,
    "F16": _to_plain,
    "Q8_0": _to_q8_0,
    "Q4_0": _to_q4_0,
    "Q4_1": _to_q4_1,
}
