"""The number formats of GGUF files: plain ones, and blocks of 32 that share a scale; all become float32 here.

A quantized tensor is a row of blocks, each of 32 numbers x in a row of the tensor. Layouts (ggml's ggml-common.h), byte
by byte, little-endian; d and m are float16, and widened to float32 before they are used:

    Q8_0   34 bytes   d, then 32 x int8 q                      x = q · d
    Q4_0   18 bytes   d, then 16 bytes of two q each           x = d · (q - 8)
    Q4_1   20 bytes   d, m, then 16 bytes of two q each        x = d · q + m

Two numbers of 4 bits lie in a byte: byte i holds number i in its lower half and number i + 16 in its upper one. So 4
bits a number take 4.5 or 5 with the scales, and 8 take 8.5. BF16 is the upper half of a float32.

Each formula is rounded after each operation, in this order, as ggml's reference does: the results are the same bits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]

_PIECE = 1 << 16  # numbers widened at a time: 256 kB of float32, so that what is between two operations stays in cache
_LOWER_HALVES = np.uint64(0x0F0F0F0F0F0F0F0F)
_HALF_A_BYTE = np.uint64(4)


@dataclass(frozen=True)
class Block:
    """One number format."""

    name: str
    """As llama.cpp names it."""
    n_numbers: int
    """Numbers that lie together."""
    dtype: np.dtype[Any]
    """Their bytes."""
    widen: Callable[[Array, Floats], None]
    """Writes blocks [n] as float32 into [n, n_numbers]."""


def dequantize(blocks: Array, block: Block) -> Floats:
    """Return blocks [n] of a format as float32 [n · n_numbers], with no more memory beside it than a piece takes.

    Example:
        >>> bits = BLOCKS[30]  # BF16
        >>> dequantize(np.array([0x3F80, 0xC000], dtype=bits.dtype), bits).tolist()
        [1.0, -2.0]
    """
    numbers = np.empty((len(blocks), block.n_numbers), np.float32)
    step = _PIECE // block.n_numbers
    with np.errstate(all="ignore"):  # a scale may be infinite: what comes of it is the file's business
        for start in range(0, len(blocks), step):
            block.widen(blocks[start : start + step], numbers[start : start + step])
    return numbers.reshape(-1)


def _from_plain(blocks: Array, out: Floats) -> None:
    out[:, 0] = blocks


def _from_bf16(blocks: Array, out: Floats) -> None:
    bits = out.view(np.uint32)
    bits[:, 0] = blocks
    bits <<= np.uint32(16)


def _from_q8_0(blocks: Array, out: Floats) -> None:
    out[:] = blocks["q"]
    out *= _column(blocks["d"])


def _from_q4_0(blocks: Array, out: Floats) -> None:
    out[:] = _halves(blocks["q"])
    out -= np.float32(8)  # exact, as it would be on whole numbers
    out *= _column(blocks["d"])


def _from_q4_1(blocks: Array, out: Floats) -> None:
    out[:] = _halves(blocks["q"])
    out *= _column(blocks["d"])
    out += _column(blocks["m"])


def _halves(words: Array) -> npt.NDArray[np.uint8]:
    """Return the 32 numbers in 16 bytes, taken as two words of eight: uint64 [n, 2] -> uint8 [n, 32]."""
    halves = np.empty((len(words), 2, 2), np.uint64)
    np.bitwise_and(words, _LOWER_HALVES, out=halves[:, 0])
    np.right_shift(words, _HALF_A_BYTE, out=halves[:, 1])
    halves[:, 1] &= _LOWER_HALVES
    return halves.view(np.uint8).reshape(-1, 32)


def _column(halves: Array) -> Floats:
    return halves.astype(np.float32)[:, None]


BLOCKS = {
    0: Block("F32", 1, np.dtype("<f4"), _from_plain),
    1: Block("F16", 1, np.dtype("<f2"), _from_plain),
    2: Block("Q4_0", 32, np.dtype([("d", "<f2"), ("q", "<u8", 2)]), _from_q4_0),
    3: Block("Q4_1", 32, np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "<u8", 2)]), _from_q4_1),
    8: Block("Q8_0", 32, np.dtype([("d", "<f2"), ("q", "i1", 32)]), _from_q8_0),
    30: Block("BF16", 1, np.dtype("<u2"), _from_bf16),
}
"""By the number that stands in the file."""
