"""Rounding to 4 bits: bounds, what lies on the grid, the bytes of GGUF, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.errors import InputError
from groundup.quantization import int4
from groundup.quantization.int4 import HIGHEST, Int4, pack, quantize_int4, unpack

SHAPES = st.tuples(st.integers(1, 5), st.integers(1, 3), st.sampled_from([32, 64, 128]))
"""Rows, groups of a row, group size."""


def on_grid(n_rows: int, n_columns: int, group_size: int) -> tuple[Int4, Tensor]:
    """Return a matrix of which each group reaches both ends of its steps, and the numbers it stands for."""
    q = torch.randint(0, HIGHEST + 1, (n_rows, n_columns // group_size, group_size), dtype=torch.uint8)
    q[..., 0], q[..., 1] = 0, HIGHEST
    scale = (torch.rand(q.shape[:2]) + 0.1).half()
    kept = Int4(pack(q.flatten(1)), scale, torch.randn(q.shape[:2]).half())
    return kept, kept.dequantized()


@settings(max_examples=25, derandomize=True, deadline=None)
@given(SHAPES, st.integers(0, 1000), st.sampled_from([1e-5, 1e-2, 1.0, 1e3]), st.sampled_from([0.0, 1.0, -30.0]))
def test_no_number_is_farther_than_half_a_step(shape: tuple[int, int, int], seed: int, size: float, offset: float):
    n_rows, n_groups, group_size = shape
    generator = torch.Generator().manual_seed(seed)
    x = (torch.randn(n_rows, n_groups * group_size, generator=generator) + offset) * size
    kept = quantize_int4(x, group_size=group_size)
    assert kept.shape == x.shape
    assert kept.group_size == group_size
    error = (kept.dequantized() - x).abs().view(n_rows, n_groups, group_size)
    step, minimum = kept.scale.float()[..., None], kept.minimum.float()[..., None]
    # float16 keeps 11 bits, and nothing finer than 2^-24: the minimum moves by half of that, 15 steps by as much.
    rounded = minimum.abs() * 2**-11 + HIGHEST * step * 2**-11 + (1 + HIGHEST) * 2**-25
    assert (error <= step / 2 + rounded + 1e-6 * x.abs().max()).all()


@settings(max_examples=25, derandomize=True, deadline=None)
@given(SHAPES, st.integers(0, 1000))
def test_packing_loses_nothing(shape: tuple[int, int, int], seed: int):
    n_rows, n_groups, group_size = shape
    generator = torch.Generator().manual_seed(seed)
    q = torch.randint(0, 16, (n_rows, n_groups * group_size), dtype=torch.uint8, generator=generator)
    assert torch.equal(unpack(pack(q)), q)
    assert pack(q).numel() * 2 == q.numel()


@pytest.mark.parametrize("group_size", [32, 64])
def test_bytes_are_those_of_gguf(group_size: int):
    from gguf import GGMLQuantizationType, quants

    torch.manual_seed(0)
    kept = quantize_int4(torch.randn(5, 128), group_size=group_size)
    repeats = group_size // 32  # a larger group is as many blocks of 32 with one scale
    parts = (kept.scale.repeat_interleave(repeats, 1), kept.minimum.repeat_interleave(repeats, 1))
    numbers = [part.reshape(-1, 1).numpy().view(np.uint8) for part in parts]
    blocks = np.concatenate([*numbers, kept.packed.reshape(-1, 16).numpy()], axis=1)  # [blocks, 20]
    theirs = quants.dequantize(blocks, GGMLQuantizationType.Q4_1).reshape(5, 128)
    assert np.array_equal(theirs, kept.dequantized().numpy())


@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_what_lies_on_the_grid_comes_back(group_size: int):
    torch.manual_seed(0)
    kept, x = on_grid(6, 256, group_size)
    again = quantize_int4(x, group_size=group_size)
    assert torch.equal(again.packed, kept.packed)
    assert torch.equal(again.scale, kept.scale)
    assert torch.equal(again.minimum, kept.minimum)


def test_pieces_are_rounded_as_the_whole(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    x = torch.randn(7, 64)
    whole = quantize_int4(x, group_size=32)
    monkeypatch.setattr(int4, "PIECE", 130)  # two rows, and one at the end
    pieces = quantize_int4(x, group_size=32)
    assert torch.equal(whole.packed, pieces.packed)
    assert torch.equal(whole.scale, pieces.scale)


def test_equal_numbers_are_kept():
    x = torch.tensor([[0.1], [-0.3]]).repeat(1, 64)
    kept = quantize_int4(x, group_size=32).dequantized()
    # 0.1 is above its float16, and 15 steps make up for that, each within 2^-25; -0.3 is below, by half of 2^-12.
    torch.testing.assert_close(kept[0], x[0], rtol=0, atol=HIGHEST * 2**-25)
    torch.testing.assert_close(kept[1], x[1], rtol=0, atol=2**-13)
    assert quantize_int4(torch.zeros(2, 64), group_size=32).dequantized().count_nonzero() == 0


def test_other_formats_and_layouts_are_taken():
    torch.manual_seed(0)
    x = torch.randn(64, 6)
    turned = quantize_int4(x.T, group_size=32)
    assert torch.equal(turned.packed, quantize_int4(x.T.contiguous(), group_size=32).packed)
    assert quantize_int4(x.T.bfloat16().requires_grad_(), group_size=32).packed.requires_grad is False


@pytest.mark.parametrize(
    ("x", "group_size", "message"),
    [
        (torch.zeros(2, 48), 32, "multiple of the group size 32 as columns, found 48"),
        (torch.zeros(2, 64), 128, "multiple of the group size 128 as columns, found 64"),
        (torch.zeros(2, 64), 16, r"groups of 32, 64, 96, ... columns, found 16"),
        (torch.zeros(64), 32, r"a matrix in floating point, found torch.float32 of shape \[64\]"),
        (torch.zeros(2, 64, dtype=torch.int8), 32, "a matrix in floating point, found torch.int8"),
        (torch.full((2, 64), float("nan")), 32, "finite, found NaN or infinity"),
        (torch.eye(64) * float("inf"), 32, "finite, found NaN or infinity"),
        (torch.eye(64) * -7e4, 32, "at most 65,504 for 4 bits.*found 7e"),
        (torch.eye(64) * 1e6, 32, "at most 65,504 for 4 bits.*found 1e"),
        (torch.eye(64) * torch.finfo(torch.float32).max, 32, "at most 65,504"),
    ],
)
def test_what_cannot_be_kept_is_refused(x: Tensor, group_size: int, message: str):
    with pytest.raises(InputError, match=message) as caught:
        quantize_int4(x, group_size=group_size)
    assert "\n" not in str(caught.value)
