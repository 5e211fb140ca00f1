"""Fitted scales: never worse than rounding, better by what was measured, and at rest where a fit cannot help."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.errors import InputError
from groundup.quantization.int4 import HIGHEST, Int4, between_ends, nearest, pack, quantize_int4
from groundup.quantization.least_squares import least_squares, quantize_fitted


def squared_errors(groups: torch.Tensor, scale: torch.Tensor, minimum: torch.Tensor) -> torch.Tensor:
    numbers = nearest(groups, scale, minimum).double() * scale.double()[..., None] + minimum.double()[..., None]
    return (groups.double() - numbers).square().sum(-1)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    st.integers(0, 1000), st.sampled_from([32, 64, 128]), st.sampled_from([1e-4, 1.0, 1e3]), st.sampled_from([0.5, 3.0])
)
def test_no_group_is_worse_than_rounded(seed: int, group_size: int, size: float, tails: float):
    generator = torch.Generator().manual_seed(seed)
    groups = torch.randn(9, group_size, generator=generator)
    groups = groups.sign() * groups.abs() ** tails * size
    fitted, rounded = squared_errors(groups, *least_squares(groups)), squared_errors(groups, *between_ends(groups))
    assert (fitted <= rounded * (1 + 1e-4)).all()  # the errors it compared were summed in float32


@pytest.mark.parametrize(("group_size", "gain"), [(32, 0.95), (64, 0.96), (128, 0.97)])
def test_weights_of_a_normal_distribution_lose_less(group_size: int, gain: float):
    torch.manual_seed(0)
    x = torch.randn(64, 256)
    rounded, fitted = quantize_int4(x, group_size=group_size), quantize_fitted(x, group_size=group_size)
    assert (fitted.dequantized() - x).norm() < gain * (rounded.dequantized() - x).norm()
    assert fitted.n_bytes == rounded.n_bytes


def test_one_far_number_is_clipped_where_that_serves_the_others():
    torch.manual_seed(0)
    x = torch.randn(32, 128)
    x[:, 5] = 4.5
    fitted = quantize_fitted(x, group_size=128).dequantized()
    assert (fitted[:, 5] < 4.4).any()


def test_errors_that_weigh_more_become_smaller():
    torch.manual_seed(0)
    groups, importance = torch.randn(200, 32), torch.ones(32)
    importance[:4] = 100
    plain, weighted = (
        (nearest(groups, *fit) * fit[0].float()[:, None] + fit[1].float()[:, None] - groups).square()
        for fit in (least_squares(groups), least_squares(groups, importance))
    )
    assert weighted[:, :4].sum() < 0.6 * plain[:, :4].sum()
    assert (weighted @ importance < plain @ importance).float().mean() > 0.95
    same = least_squares(groups, torch.full((32,), 7.0))
    assert torch.equal(same[0], least_squares(groups)[0])


def test_line_is_where_neither_scale_nor_minimum_could_do_better():
    """The derivative by both is zero for the q chosen, so any small move makes the sum larger."""
    torch.manual_seed(0)
    groups = torch.randn(50, 32)
    scale, minimum = least_squares(groups)
    q = nearest(groups, scale, minimum).double()
    error = groups.double() - q * scale.double()[:, None] - minimum.double()[:, None]
    at_rest = (error.sum(-1).abs() < 0.05) & ((error * q).sum(-1).abs() < 0.5)
    assert at_rest.float().mean() > 0.5  # after a last fit q may have changed once more: those are on their way


@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_what_lies_on_the_grid_comes_back(group_size: int):
    torch.manual_seed(0)
    q = torch.randint(0, HIGHEST + 1, (6, 256), dtype=torch.uint8)
    q[:, ::32], q[:, 1::32] = 0, HIGHEST
    scale, minimum = ((torch.rand(6, 256 // group_size) + 0.1).half() for _ in range(2))
    on_grid = Int4(pack(q), scale, minimum)
    kept = quantize_fitted(on_grid.dequantized(), group_size=group_size)
    assert torch.equal(kept.packed, on_grid.packed)
    assert torch.equal(kept.scale, scale)
    assert torch.equal(kept.minimum, minimum)


def test_equal_numbers_and_zeros_stay():
    assert quantize_fitted(torch.zeros(2, 64), group_size=32).dequantized().count_nonzero() == 0
    assert torch.equal(
        quantize_fitted(torch.full((2, 64), -0.5), group_size=64).dequantized(), torch.full((2, 64), -0.5)
    )


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e6])
def test_what_cannot_be_kept_is_refused(wrong: float):
    x = torch.randn(2, 64)
    x[1, 3] = wrong
    with pytest.raises(InputError, match=r"finite|65,504"):
        quantize_fitted(x, group_size=32)
    with pytest.raises(InputError, match="multiple of the group size 32"):
        quantize_fitted(torch.zeros(2, 48), group_size=32)
