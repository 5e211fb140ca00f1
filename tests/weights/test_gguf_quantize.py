"""Blocks against the `gguf` package's, bit for bit: random numbers, and those where rounding is decided."""

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundup.weights.gguf_blocks import BLOCKS, dequantize
from groundup.weights.gguf_quantize import quantize

KINDS = [0, 1, 2, 3, 8]
SPREADS = [
    1e-9,
    1e-7,
    1e-4,
    1.0,
    60_000.0,
]  # of float16: below its smallest number, among its subnormal ones, up to its largest


def same_bits(numbers: np.ndarray, kind: int) -> None:
    ours = quantize(numbers, kind)
    with np.errstate(all="ignore"):
        theirs = gguf.quantize(numbers.reshape(1, -1), gguf.GGMLQuantizationType(kind))
    assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spread", SPREADS)
def test_random_numbers(kind: int, spread: float):
    same_bits((np.random.default_rng(0).standard_normal(32 * 5000) * spread / 8).astype(np.float32), kind)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, derandomize=True)
@given(
    numbers=arrays.arrays(
        np.float32, 64, elements=st.floats(-60_000, 60_000, width=32).filter(lambda x: not 0 < abs(x) < 1e-30)
    )
)
def test_any_numbers(kind: int, numbers: np.ndarray):
    same_bits(numbers, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "numbers",
    [
        np.zeros(32),
        -np.zeros(32),
        np.full(32, 3.0),
        np.full(32, -3.0),
        np.arange(32) - 15.5,
        np.tile([4.0, -4.0], 16),  # two are farthest from zero: the first decides the sign
        np.r_[127.0, np.arange(31) - 15.5],  # d = 1 in Q8_0: every other number is a tie
        np.r_[-8.0, np.arange(31) / 4 - 3.5],  # d = 1 in Q4_0
        np.r_[0.0, 15.0, np.arange(30) / 2],  # d = 1 in Q4_1
        np.r_[65504.0, np.zeros(31)],
    ],
)
def test_ties_and_ends(kind: int, numbers: np.ndarray):
    same_bits(numbers.astype(np.float32), kind)


@pytest.mark.parametrize("kind", [2, 3, 8])
def test_numbers_whose_scale_has_no_reciprocal_are_read_back_as_zero(kind: int):
    """Not held against `gguf`, which turns infinities into bytes here: what they become depends on the processor."""
    tiny = np.full(32, 1e-42, np.float32)
    tiny[::2] = 0
    assert not dequantize(quantize(tiny, kind), BLOCKS[kind]).any()
