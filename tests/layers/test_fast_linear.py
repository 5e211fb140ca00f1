"""Linear layers for drawing text against the float64 product of the weights and rows that they round to."""

import pytest
import torch
from torch.nn import functional as F

from groundup.layers import fast_linear
from groundup.layers.fast_linear import N_EXACT, BFloat16Linear, Float16Linear, Float32Linear, RefinedLinear

SHAPES = [(96, 40), (40, 96), (64, 64)]


@pytest.fixture(params=[True, False], ids=["bfloat16", "no bfloat16"])
def processor(request, monkeypatch):
    """Make the layers believe that the processor has bfloat16 instructions, where it has, and that it has none."""
    if request.param and not fast_linear.has_bfloat16():
        pytest.skip("this processor multiplies no bfloat16")
    monkeypatch.setattr(fast_linear, "has_bfloat16", lambda: request.param)


@pytest.fixture(params=[True, False], ids=["packed float16", "torch's float16"])
def is_packed(request, monkeypatch):
    """Say whether FBGEMM's kernel is used, and make the layers believe that it is not there where it should not be."""
    if request.param and not fast_linear.has_float16_packing():
        pytest.skip("FBGEMM is not in this torch, or does not run on this processor")
    monkeypatch.setattr(fast_linear, "has_float16_packing", lambda: request.param)
    return request.param


@pytest.fixture(params=[True, False], ids=["packed float32", "transposed"])
def packs_float32(request, monkeypatch):
    """Make the layers pack float32 however small the matrix is, where oneDNN is in this torch, and never."""
    if request.param and not torch.backends.mkldnn.is_available():
        pytest.skip("oneDNN is not in this torch")
    monkeypatch.setattr(fast_linear, "PACKED_FROM", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2 if request.param else 1)
    return request.param


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
def test_float32_products(n_out, n_in, n_rows, has_bias, then, packs_float32):
    weight, bias, x = parts(n_out, n_in, n_rows)
    bias = bias if has_bias else None
    layer = Float32Linear(weight, bias, then)
    assert layer._weight.is_mkldnn == packs_float32
    out, expected = layer(x), product(x, weight, bias, then)
    assert out.shape == expected.shape
    assert torch.allclose(out.double(), expected, rtol=2e-6, atol=1e-5)  # numbers up to 40, sums of 96 terms
    rows = x.transpose(1, 2).contiguous().transpose(1, 2)  # not laid out in rows
    assert torch.allclose(layer(rows), out, rtol=2e-6, atol=1e-5)  # as above: another kernel may sum


@torch.no_grad()
def test_float64_is_not_packed(packs_float32):
    weight, bias, x = (part.double() for part in parts(64, 64, 3))
    assert torch.allclose(Float32Linear(weight, bias)(x), F.linear(x, weight, bias))


@torch.no_grad()
@pytest.mark.parametrize("then", ["none", "gelu_tanh"])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("n_rows", [1, 5])
@pytest.mark.parametrize(("n_out", "n_in"), SHAPES)
def test_bfloat16_products(n_out, n_in, n_rows, has_bias, then, processor):
    weight, bias, x = parts(n_out, n_in, n_rows)
    bias = bias if has_bias else None
    out = BFloat16Linear(weight, bias, then)(x)
    rounded = torch.Tensor.bfloat16
    expected = product(rounded(x), rounded(weight), None if bias is None else rounded(bias), then)
    assert out.dtype == x.dtype
    assert out.shape == expected.shape
    # Of numbers up to 40: the result is rounded by half a unit in its last place, 2^-9 of it; a little for the bias.
    assert torch.allclose(out.double(), expected, rtol=2**-7, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("then", ["none", "gelu_tanh"])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("n_rows", [1, 5])
@pytest.mark.parametrize(("n_out", "n_in"), SHAPES)
def test_float16_products(n_out, n_in, n_rows, has_bias, then, is_packed):
    weight, bias, x = parts(n_out, n_in, n_rows)
    bias = bias if has_bias else None
    out = Float16Linear(weight, bias, then)(x)
    if is_packed:  # only the weights are rounded, so what is left is float32 sums of 96 terms
        expected, relative, absolute = product(x, weight.half(), bias, then), 2e-6, 1e-5
    else:  # rows, weights, bias and result are: to float16 if there is one row, as above
        rounded, relative, absolute = (
            (torch.Tensor.half, 2**-10, 2e-3) if n_rows == 1 else (torch.Tensor.bfloat16, 2**-7, 1e-2)
        )
        expected = product(rounded(x), rounded(weight), None if bias is None else rounded(bias), then)
    assert out.dtype == x.dtype
    assert out.shape == expected.shape
    assert torch.allclose(out.double(), expected, rtol=relative, atol=absolute)


@torch.no_grad()
def test_packed_float16_takes_activations_that_float16_does_not_hold():
    if not fast_linear.has_float16_packing():
        pytest.skip("FBGEMM is not in this torch, or does not run on this processor")
    weight, _, x = parts(96, 40, 3)
    layer, huge = Float16Linear(weight, None), 1e6 * x
    assert torch.allclose(layer(huge), F.linear(huge, weight.half().float()), rtol=2e-6, atol=10)  # 1e-5 of 1e6
    rows = huge.transpose(1, 2).contiguous().transpose(1, 2)  # not laid out in rows
    assert torch.equal(layer(rows), layer(huge))
    assert layer(x.double()).dtype == torch.float64


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
