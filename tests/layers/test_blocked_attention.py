"""Blocked attention against the formula: values, gradients, masks, dropout, number formats."""

import math

import pytest
import torch
from torch import Tensor

from groundup.layers.attention import scaled_dot_product_attention
from groundup.layers.blocked_attention import BLOCK, blocked_attention


def heads(*shape: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(math.prod(shape))
    q, k, v = (torch.randn(shape, generator=generator).to(dtype).requires_grad_() for _ in range(3))
    return q, k, v


@pytest.mark.parametrize("length", [1, 5, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK - 7])
@pytest.mark.parametrize("masked", [False, True])
def test_values_and_gradients_are_those_of_the_formula(length: int, masked: bool):
    q, k, v = heads(2, 3, length, 8)
    mask = None
    if masked:  # two documents in a row, cut elsewhere in each sequence; and a position that sees nothing at all
        document = torch.arange(length) >= torch.tensor([[length // 3], [length // 2]])
        mask = (document[:, None, :, None] == document[:, None, None, :]).clone()
        mask[1, :, length // 4] = False
    grad = torch.randn_like(q)
    found = blocked_attention(q, k, v, mask=mask)
    expected = scaled_dot_product_attention(q, k, v, mask=mask, is_causal=True)
    # float64 sums in another order.
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    for a, b in zip(
        torch.autograd.grad(found, (q, k, v), grad), torch.autograd.grad(expected, (q, k, v), grad), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
        assert a.isfinite().all()


def test_bfloat16_is_as_near_to_the_truth_as_torchs_kernel():
    q, k, v = heads(2, 2, 3 * BLOCK, 16, dtype=torch.bfloat16)
    grad = torch.randn_like(q)
    exact = [x.detach().double().requires_grad_() for x in (q, k, v)]
    truth = torch.autograd.grad(scaled_dot_product_attention(*exact, is_causal=True), exact, grad.double())
    kernel = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    with torch.autocast("cpu", torch.bfloat16):  # must not change what is computed in which format
        mine = blocked_attention(q, k, v)
    assert mine.dtype == torch.bfloat16
    found, reference = (torch.autograd.grad(out, (q, k, v), grad) for out in (mine, kernel))
    for a, b, c in zip(found, reference, truth, strict=True):
        # Weights are rounded to bfloat16 once more than in the kernel: 0.005 against 0.004 here, and 2^-8 is 0.004.
        assert (a.double() - c).norm() < 2 * (b.double() - c).norm()


def test_dropout_drops_weights_and_keeps_the_mean():
    q, k, v = heads(8, 8, BLOCK + 9, 4, dtype=torch.float32)
    torch.manual_seed(0)
    ones = torch.ones_like(v)
    sums = blocked_attention(q, k, ones, dropout=0.25).detach()  # of the weights that are left
    assert sums.std() > 0.1
    # 8 * 8 * 73 rows, each with deviation below 0.6: the mean has one below 0.01.
    assert abs(sums[..., 0].mean() - 1) < 0.04
    first = sums[:, :, 0, 0]  # sees itself alone: all or nothing
    assert set(first.unique().tolist()) == {0.0, torch.tensor(1 / 0.75).item()}


def test_the_gradient_of_dropout_is_that_of_the_weights_it_kept():
    q, k, v = heads(1, 2, BLOCK + 3, 4)

    def loss(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        torch.manual_seed(5)  # the same weights are dropped each time
        return blocked_attention(q, k, v, dropout=0.5)

    assert torch.autograd.gradcheck(loss, (q, k, v), fast_mode=True)


def test_seeds_decide_dropout():
    q, k, v = heads(1, 2, 8, 4)
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(blocked_attention(q, k, v, dropout=0.5))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
