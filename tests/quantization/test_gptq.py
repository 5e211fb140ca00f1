"""GPTQ: equal to the plain form of the paper, never worse than rounding by its own measure, and what it refuses."""

from functools import partial

import pytest
import torch
from torch import Tensor

from groundup.errors import InputError
from groundup.quantization.gptq import DAMPING, gptq
from groundup.quantization.int4 import HIGHEST, Int4, between_ends, pack, quantize_int4, unpack
from groundup.quantization.least_squares import least_squares, quantize_fitted


def layer(seed: int, n_rows: int = 6, n_columns: int = 96) -> tuple[Tensor, Tensor]:
    """Return a weight, and the Hessian of inputs that depend on each other."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.randn(40, n_columns, generator=generator) + torch.rand(n_columns, generator=generator)
    x = torch.randn(300, 40, generator=generator) @ mixed
    return torch.randn(n_rows, n_columns, generator=generator), x.T @ x


def lost(kept: Int4, weight: Tensor, hessian: Tensor) -> float:
    """Return Σ |W x - Ŵ x|² over the inputs."""
    error = (kept.dequantized() - weight).double()
    return torch.trace(error @ hessian.double() @ error.T).item()


def plain(weight: Tensor, hessian: Tensor, group_size: int) -> tuple[Tensor, Tensor]:
    """Column by column in float64, the inverse over what is left computed anew: q, and the numbers it stands for."""
    W, H = weight.double().clone(), hessian.double()
    H = H + DAMPING * H.diagonal().mean() * torch.eye(len(H), dtype=torch.float64)
    groups = weight.view(len(weight), -1, group_size)
    scale, minimum = (part.double().repeat_interleave(group_size, 1) for part in between_ends(groups))
    q, numbers = torch.empty_like(W), torch.empty_like(W)
    left = H.diagonal().argsort(descending=True).tolist()
    while left:
        j = left[0]
        q[:, j] = ((W[:, j] - minimum[:, j]) / scale[:, j]).round().clamp(0, HIGHEST)
        numbers[:, j] = q[:, j] * scale[:, j] + minimum[:, j]
        inverse = torch.linalg.inv(H[left][:, left])
        error = W[:, j] - numbers[:, j]
        W[:, left] -= error[:, None] * inverse[0] / inverse[0, 0]
        left = left[1:]
    return q, numbers


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("group_size", [32, 96])
def test_is_the_papers_algorithm(seed: int, group_size: int):
    weight, hessian = layer(seed)
    kept = gptq(weight, hessian, group_size=group_size, fit=between_ends)
    q, numbers = plain(weight, hessian, group_size)
    # A number between two steps may go the other way in float32, and the columns after it follow: few do.
    assert (kept.packed != pack(q.to(torch.uint8))).float().mean() < 0.03
    assert lost(kept, weight, hessian) == pytest.approx(
        torch.trace((numbers - weight) @ hessian.double() @ (numbers - weight).T).item(), rel=0.05
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("group_size", [32, 64])
@pytest.mark.parametrize("fit", [between_ends, least_squares])
def test_products_change_less_than_by_rounding(seed: int, group_size: int, fit):
    weight, hessian = layer(seed, n_columns=128)
    rounded = quantize_int4(weight, group_size=group_size, fit=fit)
    kept = gptq(weight, hessian, group_size=group_size, fit=fit)
    assert lost(kept, weight, hessian) < 0.5 * lost(rounded, weight, hessian)  # 40 dimensions carry 128 inputs


@pytest.mark.parametrize("hessian", [torch.eye(64), torch.zeros(64, 64), torch.diag(torch.arange(1.0, 65.0))])
def test_inputs_that_do_not_depend_on_each_other_leave_rounding(hessian: Tensor):
    weight, _ = layer(0, n_columns=64)
    importance = hessian.diagonal().view(2, 32) + DAMPING * hessian.diagonal().mean()
    for fit in (between_ends, least_squares, None):
        asked = partial(least_squares, importance=importance if importance.any() else None) if fit is None else fit
        rounded = quantize_int4(weight, group_size=32, fit=asked)
        kept = gptq(weight, hessian, group_size=32, fit=fit)
        assert torch.equal(kept.packed, rounded.packed)
        assert torch.equal(kept.scale, rounded.scale)


def test_inputs_that_were_always_zero_are_rounded():
    weight, hessian = layer(0)
    silent = torch.arange(0, 96, 3)
    hessian[silent], hessian[:, silent] = 0, 0
    kept = gptq(weight, hessian, group_size=96, fit=least_squares)
    assert torch.equal(unpack(kept.packed)[:, silent], unpack(quantize_fitted(weight, group_size=96).packed)[:, silent])


@pytest.mark.parametrize("group_size", [32, 64])
def test_what_lies_on_the_grid_comes_back(group_size: int):
    torch.manual_seed(0)
    q = torch.randint(0, HIGHEST + 1, (4, 128), dtype=torch.uint8)
    q[:, ::32], q[:, 1::32] = 0, HIGHEST
    scale, minimum = ((torch.rand(4, 128 // group_size) + 0.1).half() for _ in range(2))
    on_grid = Int4(pack(q), scale, minimum)
    kept = gptq(on_grid.dequantized(), layer(0, n_columns=128)[1], group_size=group_size)
    assert torch.equal(kept.packed, on_grid.packed)
    assert torch.equal(kept.scale, scale)


def test_scale_of_the_hessian_and_of_all_inputs_is_without_effect():
    weight, hessian = layer(1)
    assert torch.equal(gptq(weight, hessian, group_size=32).packed, gptq(weight, hessian / 256, group_size=32).packed)


def test_weight_and_hessian_are_left_alone():
    weight, hessian = layer(0)
    before = weight.clone(), hessian.clone()
    kept = gptq(weight.requires_grad_(), hessian, group_size=32)
    assert torch.equal(weight, before[0])
    assert torch.equal(hessian, before[1])
    assert not kept.packed.requires_grad
    assert kept.scale.dtype == kept.minimum.dtype == torch.float16
    assert kept.packed.is_contiguous()


def test_equal_weights_are_kept():
    kept = gptq(torch.full((2, 64), 0.5), layer(0, n_columns=64)[1], group_size=32)
    assert torch.equal(kept.dequantized(), torch.full((2, 64), 0.5))


def test_inputs_of_one_direction_and_of_very_different_sizes():
    """The worst condition that damping leaves: one direction has all of the trace."""
    torch.manual_seed(0)
    weight, x = torch.randn(4, 128), torch.randn(1, 128) * torch.logspace(-4, 4, 128)
    hessian = x.T @ x
    rounded, kept = quantize_fitted(weight, group_size=32), gptq(weight, hessian, group_size=32)
    assert lost(kept, weight, hessian) < lost(rounded, weight, hessian)


@pytest.mark.parametrize(
    ("weight", "hessian", "message"),
    [
        (torch.zeros(2, 48), torch.eye(48), "multiple of the group size 32 as columns, found 48"),
        (torch.zeros(2, 64), torch.eye(32), r"a Hessian of 64 x 64 numbers, found \[32, 32\]"),
        (torch.zeros(2, 64), torch.eye(64) * float("nan"), "a Hessian that is finite"),
        (torch.full((2, 64), float("inf")), torch.eye(64), "weights that are finite"),
        (torch.eye(64) * 1e6, torch.eye(64), "at most 65,504"),
    ],
)
def test_what_cannot_be_kept_is_refused(weight: Tensor, hessian: Tensor, message: str):
    with pytest.raises(InputError, match=message):
        gptq(weight, hessian, group_size=32)
