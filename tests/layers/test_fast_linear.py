"""Linear layers for drawing text against the float64 product of the weights and rows that they round to."""

import pytest
import torch
from torch.nn import functional as F

from groundup.layers import fast_linear
from groundup.layers.fast_linear import N_EXACT, BFloat16Linear, Float16Linear, RefinedLinear, TransposedLinear

SHAPES = [(96, 40), (40, 96), (64, 64)]


@pytest.fixture(params=[True, False], ids=["bfloat16", "no bfloat16"])
def processor(request, monkeypatch):
    """Make the layers believe that the processor has bfloat16 instructions, where it has, and that it has none."""
    if request.param and not fast_linear.has_bfloat16():
        pytest.skip("this processor multiplies no bfloat16")
    monkeypatch.setattr(fast_linear, "has_bfloat16", lambda: request.param)


def parts(n_out, n_in, n_rows):
    generator = torch.Generator().manual_seed(0)
    return (torch.randn(shape, generator=generator) for shape in ((n_out, n_in), (n_out,), (1, n_rows, n_in)))


def product(x, weight, bias, then):
    out = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    return F.gelu(out, approximate="tanh") if then == "gelu_tanh" else out


@torch.no_grad()
@pytest.mark.parametrize("then", ["none", "gelu_tanh"])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("n_rows", [1, 5])
@pytest.mark.parametrize(("n_out", "n_in"), SHAPES)
def test_products(n_out, n_in, n_rows, has_bias, then, processor):
    weight, bias, x = parts(n_out, n_in, n_rows)
    bias = bias if has_bias else None
    # Of numbers up to 40: float32 sums of 96 terms; then what one rounding of the result costs in each format, half a
    # unit in its last place, 2^-9 and 2^-12 of it, and a little for the rounded bias.
    cases = [(TransposedLinear, lambda t: t, 2e-6, 1e-5), (BFloat16Linear, torch.Tensor.bfloat16, 2**-7, 1e-2)]
    half = (Float16Linear, torch.Tensor.half, 2**-10, 2e-3)
    cases.append(half if n_rows == 1 else (Float16Linear, torch.Tensor.bfloat16, 2**-7, 1e-2))
    for make, rounded, relative, absolute in cases:
        out = make(weight, bias, then)(x)
        expected = product(rounded(x), rounded(weight), None if bias is None else rounded(bias), then)
        assert out.dtype == x.dtype
        assert out.shape == expected.shape
        assert torch.allclose(out.double(), expected, rtol=relative, atol=absolute), make


@torch.no_grad()
def test_the_largest_entries_are_not_rounded():
    weight, _, x = parts(500, 40, 3)
    rough = BFloat16Linear(weight, None)
    out, exact = RefinedLinear(weight, rough)(x), F.linear(x, weight)
    places = exact.topk(N_EXACT // 2, dim=-1).indices  # surely among the N_EXACT largest of the rounded ones
    assert torch.allclose(out.gather(-1, places), exact.gather(-1, places), rtol=0, atol=1e-5)
    assert not torch.allclose(rough(x).gather(-1, places), exact.gather(-1, places), rtol=0, atol=1e-3)
    assert out.ne(rough(x)).sum(-1).le(N_EXACT).all()  # the others are as they were


@torch.no_grad()
def test_refining_a_small_vocabulary_refines_all_of_it():
    weight, _, x = parts(10, 40, 1)
    assert torch.allclose(RefinedLinear(weight, BFloat16Linear(weight, None))(x), F.linear(x, weight), atol=1e-5)
