"""8 bits by hand: the laws of rounding, and torch's own functions and observers as oracles."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from groundup.errors import InputError
from groundup.quantization.int8 import HIGHEST, LOWEST, Int8, StaticRange, quantize_int8, quantize_rows

numbers = st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False)
matrices = arrays.arrays("float32", st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=numbers).map(torch.tensor)
laws = settings(max_examples=25, derandomize=True, deadline=None)
kinds = pytest.mark.parametrize(("symmetric", "by_row"), [(True, True), (True, False), (False, True), (False, False)])


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def steps(kept, x):
    """Return how many steps apart `x` and what is kept of it are."""
    return (x.double() - kept.dequantized().double()).abs() / kept.scale.double()


@kinds
@laws
@given(x=matrices)
def test_no_number_is_further_than_half_a_step(x, symmetric, by_row):
    kept = quantize_int8(x, symmetric=symmetric, by_row=by_row)
    assert (steps(kept, x) <= 0.5 + 1e-4).all()  # float32: 255 steps and a zero, with a rounding of 2^-24 each
    assert (kept.zero is None) == symmetric
    assert kept.scale.shape == ((len(x), 1) if by_row else ())
    assert kept.values.min() >= (-HIGHEST if symmetric else LOWEST)


@kinds
@laws
@given(x=matrices)
def test_zero_is_exact_and_signs_stay(x, symmetric, by_row):
    x[0, 0] = 0
    back = quantize_int8(x, symmetric=symmetric, by_row=by_row).dequantized()
    assert (back[x == 0] == 0).all()
    assert (back * x >= 0).all()


@kinds
@laws
@given(x=matrices)
def test_what_was_rounded_rounds_to_itself(x, symmetric, by_row):
    first = quantize_int8(x, symmetric=symmetric, by_row=by_row)
    second = quantize_int8(first.dequantized(), symmetric=symmetric, by_row=by_row)
    # the scale is computed anew, from the end's q times the scale: 2^-24 of it, twice
    assert torch.allclose(second.dequantized(), first.dequantized(), rtol=1e-6, atol=0)


@laws
@given(x=matrices)
def test_symmetric_is_symmetric(x):
    kept, mirrored = quantize_int8(x), quantize_int8(-x)
    assert torch.equal(kept.values, -mirrored.values)
    assert torch.equal(kept.scale, mirrored.scale)


def test_a_row_knows_nothing_of_others():
    x = random(3, 8)
    wide = x * torch.tensor([[1.0], [1000.0], [0.0]])
    kept, whole = quantize_int8(wide), quantize_int8(wide, by_row=False)
    assert torch.equal(kept.values[0], quantize_int8(x[:1]).values[0])
    assert not kept.dequantized()[2].any()
    assert not whole.values[0].any()  # one scale for all: the row of 1000 takes all steps


@kinds
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(wrong, symmetric, by_row):
    x = random(3, 4)
    x[1, 2] = wrong
    n_nan = int(math.isnan(wrong))
    with pytest.raises(
        InputError, match=f"finite weights, found {n_nan} NaN and {1 - n_nan} infinite among 12"
    ) as told:
        quantize_int8(x, symmetric=symmetric, by_row=by_row)
    assert "\n" not in str(told.value)


def test_numbers_as_large_as_float32_holds():
    x = torch.tensor([[-3.3e38, 3.3e38]])
    assert torch.allclose(quantize_int8(x, symmetric=False).dequantized(), x, rtol=0.01)
    assert torch.allclose(quantize_int8(x).dequantized(), x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_formats_are_read_as_float32(dtype):
    x = random(3, 8).to(dtype).requires_grad_()
    kept = quantize_int8(x)
    assert torch.equal(kept.values, quantize_int8(x.float()).values)
    assert not kept.scale.requires_grad


def test_bytes_and_groups():
    kept = Int8(torch.ones(4, 64, dtype=torch.int8), torch.tensor([[1.0, 2.0]] * 4).half())
    assert kept.n_bytes == 4 * 64 + 4 * 2 * 2
    assert kept.n_groups == 2
    assert kept.dequantized()[0].tolist() == [1.0] * 32 + [2.0] * 32
    assert quantize_int8(random(4, 64), symmetric=False).n_bytes == 4 * 64 + 4 * 4 + 4
    assert quantize_int8(random(4, 64), by_row=False).n_bytes == 4 * 64 + 4


def equal_but_for_ties(ours, theirs, position):
    """Whether q agree, where `position`, x in steps, is not in the middle of two: there, float32 decides."""
    apart = (ours.int() - theirs.int()).abs()
    is_tie = ((position.double() - position.double().floor()) - 0.5).abs() < 1e-4
    return bool((apart[~is_tie] == 0).all() and (apart <= 1).all())


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")  # deprecated
@pytest.mark.parametrize("symmetric", [True, False])
def test_torch_rounds_to_the_same(symmetric):
    x = random(16, 100) + 0.3
    kept = quantize_int8(x, symmetric=symmetric, by_row=False)
    zero = 0 if kept.zero is None else int(kept.zero)
    theirs = torch.quantize_per_tensor(x, kept.scale.item(), zero, torch.qint8)
    assert equal_but_for_ties(kept.values, theirs.int_repr(), x / kept.scale)
    assert torch.allclose(Int8(theirs.int_repr(), kept.scale, kept.zero).dequantized(), theirs.dequantize())
    rows = quantize_int8(x, symmetric=symmetric)
    zeros = torch.zeros(16).long() if rows.zero is None else rows.zero[:, 0].long()
    theirs = torch.quantize_per_channel(x, rows.scale[:, 0].double(), zeros, 0, torch.qint8)
    assert equal_but_for_ties(rows.values, theirs.int_repr(), x / rows.scale)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_scales_are_those_of_torchs_observers():
    from torch.ao.quantization.observer import MinMaxObserver, PerChannelMinMaxObserver

    x = random(16, 100) + 0.3
    for by_row, theirs in ((False, MinMaxObserver), (True, PerChannelMinMaxObserver)):
        affine = theirs(dtype=torch.qint8, qscheme=torch.per_channel_affine if by_row else torch.per_tensor_affine)
        affine(x)
        scale, zero = affine.calculate_qparams()
        kept = quantize_int8(x, symmetric=False, by_row=by_row)
        assert torch.allclose(kept.scale.flatten(), scale, rtol=1e-6)  # ours divides before it subtracts
        assert torch.equal(kept.zero.flatten().int(), zero.flatten().int())
        scheme = torch.per_channel_symmetric if by_row else torch.per_tensor_symmetric
        even = theirs(dtype=torch.qint8, qscheme=scheme, quant_min=-127, quant_max=127)
        even(x)
        assert torch.allclose(quantize_int8(x, by_row=by_row).scale.flatten(), even.calculate_qparams()[0], rtol=1e-6)


@laws
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(0, 9))
def test_static_ranges_hold_their_ends_and_zero(one, other, seed):
    low, high = min(one, other), max(one, other)
    found = StaticRange.between(low, high)
    # 255 steps reach as far as the numbers; that 0 has a q of its own moves both ends by at most half a step
    assert found.low == pytest.approx(min(low, 0), abs=0.501 * found.scale + 1e-30)
    assert found.high == pytest.approx(max(high, 0), abs=0.501 * found.scale + 1e-30)
    x = random(3, 20, seed=seed) * max(abs(low), abs(high))
    kept = found.quantize(x)
    inside = x.clamp(found.low, found.high)
    assert (steps(kept, inside) <= 0.5 + 1e-4).all()
    assert (found.quantize(torch.zeros(1, 1)).dequantized() == 0).all()
    even = StaticRange.within(abs(high))
    assert even.zero == 0
    assert even.high == pytest.approx(abs(high), abs=1e-30)


def test_rows_are_rounded_as_matrices_are():
    x = random(5, 16)
    assert torch.equal(quantize_rows(x).values, quantize_int8(x).values)
    assert torch.equal(quantize_rows(x).scale, quantize_int8(x).scale)


def test_a_group_is_rounded_by_its_own_range():
    x = random(3, 64) * torch.logspace(-2, 2, 64)
    kept = quantize_int8(x, group_size=16)
    assert kept.scale.dtype == torch.float16
    assert kept.n_groups == 4
    apart = (kept.dequantized() - x).view(3, 4, 16).abs() / kept.scale.float()[..., None]
    assert apart.max() <= 0.5 + 127 * 2**-11  # the largest number is found with a scale rounded to 11 bits
    alone = quantize_int8(x[:, 16:32], group_size=16)
    assert torch.equal(kept.values[:, 16:32], alone.values)


def test_a_group_of_zeros_stays_zero_and_too_large_numbers_are_refused():
    assert not quantize_int8(torch.zeros(1, 32), group_size=32).dequantized().any()
    with pytest.raises(InputError, match=r"at most 8,319,008 for groups, .* found 1e\+07: take a scale for each row"):
        quantize_int8(torch.full((1, 32), 1e7), group_size=32)
