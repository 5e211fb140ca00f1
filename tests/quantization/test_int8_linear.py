"""The layer in 8 bits against the product of the numbers that it stands for, and against torch's own."""

import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from groundup.configs.finetuning import LoRAConfig
from groundup.errors import InputError
from groundup.finetuning.lora_linear import LoRALinear
from groundup.quantization.int8 import Int8, StaticRange, quantize_int8, quantize_rows
from groundup.quantization.int8_linear import EXACT_COLUMNS, Int8Linear, int8_product, whole_product

ACTIVATIONS = ["none", "dynamic", StaticRange.between(-2.0, 3.0)]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def whole_numbers(n_rows, n_columns, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-128, 128, (n_rows, n_columns), generator=generator, dtype=torch.int8)


def grouped(weight, n_groups):
    """Return `weight` with a scale for each group, as GGUF's Q8_0 has it."""
    kept = quantize_int8(weight.reshape(-1, weight.shape[1] // n_groups))
    return Int8(kept.values.view(weight.shape), kept.scale.view(len(weight), n_groups).half())


def kinds():
    weight = random(5, 64, seed=1)
    return {
        "rows": quantize_int8(weight),
        "matrix": quantize_int8(weight, by_row=False),
        "affine rows": quantize_int8(weight + 1, symmetric=False),
        "affine matrix": quantize_int8(weight + 1, symmetric=False, by_row=False),
        "groups": grouped(weight, 2),
    }


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.integers(1, 4), st.integers(1, 2 * EXACT_COLUMNS + 3), st.integers(0, 9))
def test_sums_of_whole_numbers_are_exact(n_rows, n_columns, seed):
    p, q = whole_numbers(n_rows, n_columns, seed), whole_numbers(3, n_columns, seed + 1)
    assert torch.equal(whole_product(p, q), (p.long() @ q.long().T).int())


def test_sums_of_the_largest_numbers_are_exact():
    p = torch.full((1, 3 * EXACT_COLUMNS + 1), -128, dtype=torch.int8)
    q = p.clone()
    q[0, -1] = -127  # odd, beyond 2^24: float32 would lose it
    expected = 128**2 * 3 * EXACT_COLUMNS + 128 * 127
    assert whole_product(p, q).item() == expected
    with torch.autocast("cpu", torch.bfloat16):
        assert whole_product(p, q).item() == expected


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("rows", ["dynamic", "static"])
def test_the_product_is_that_of_the_numbers_it_stands_for(kind, rows):
    weight, x = kinds()[kind], random(3, 64)
    rounded = quantize_rows(x) if rows == "dynamic" else StaticRange.between(-2.0, 3.0).quantize(x)
    expected = rounded.dequantized().double() @ weight.dequantized().double().T
    # only the scales are float32, 2^-24 each; the sums, of up to 64 numbers of 4 x 4, are whole
    assert (int8_product(rounded, weight).double() - expected).abs().max() <= 1e-5


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("activations", ACTIVATIONS, ids=["none", "dynamic", "static"])
@pytest.mark.parametrize("has_bias", [True, False])
def test_the_layer_is_near_the_one_in_floating_point(kind, activations, has_bias):
    weight, x, bias = kinds()[kind], random(2, 3, 64).clamp(-2, 3), random(5) if has_bias else None
    layer = Int8Linear(weight, bias, activations=activations)
    out, expected = layer(x), F.linear(x, weight.dequantized(), bias)
    assert out.shape == (2, 3, 5)
    # half a step of x, at most 5 / 255 or 3.5 / 127, for each weight
    step = 0.0 if activations == "none" else 3.5 / 127
    assert ((out - expected).abs() <= step / 2 * weight.dequantized().abs().sum(1) + 1e-5).all()
    assert (activations == "none") == torch.allclose(out, expected, atol=1e-5)
    assert layer.activations == activations
    assert (layer.in_features, layer.out_features) == (64, 5)
    assert layer.n_quantized == 5 * 64 + (5 if has_bias else 0)
    assert layer.n_bytes == weight.n_bytes + (20 if has_bias else 0) + (
        5 if isinstance(activations, StaticRange) else 0
    )
    assert list(layer.parameters()) == []
    assert not hasattr(layer, "weight")


@pytest.mark.parametrize("activations", ACTIVATIONS, ids=["none", "dynamic", "static"])
def test_the_gradient_goes_through_the_matrix_to_the_inputs_alone(activations):
    layer = Int8Linear(kinds()["affine rows"], random(5), activations=activations)
    x, seen = random(2, 3, 64).requires_grad_(), random(2, 3, 5, seed=3)
    (layer(x) * seen).sum().backward()
    expected = seen @ layer.dequantized()
    if isinstance(activations, StaticRange):
        inside = (x.detach() >= activations.low) & (x.detach() <= activations.high)
        assert not inside.all()
        expected = expected * inside
    assert torch.allclose(x.grad, expected, atol=1e-5)  # float32 sums of five


@pytest.mark.parametrize("activations", ACTIVATIONS, ids=["none", "dynamic", "static"])
def test_what_is_not_finite_is_seen(activations):
    layer = Int8Linear(kinds()["rows"], None, activations=activations)
    x = random(3, 64)
    x[0, 5], x[1, 7] = math.nan, math.inf
    out = layer(x)
    assert not out[:2].isfinite().any()
    assert out[2].isfinite().all()


@pytest.mark.parametrize("activations", ACTIVATIONS, ids=["none", "dynamic", "static"])
def test_formats(activations):
    """Moved to another format the buffers stay; x decides that of the output, under autocast too."""
    layer = Int8Linear(kinds()["affine matrix"], random(5), activations=activations)
    x = random(3, 64)
    expected = layer(x)
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    layer.bfloat16().double().half()
    for name, buffer in layer.named_buffers():
        assert torch.equal(buffer, before[name])
        assert buffer.dtype == before[name].dtype
    for dtype in (torch.bfloat16, torch.float64):
        out = layer(x.to(dtype))
        assert out.dtype == dtype
        assert torch.allclose(out.float(), expected, atol=0.25)  # 2^-8 of sums of up to 30 in bfloat16, or of a step
    with torch.autocast("cpu", torch.bfloat16):
        wide = x.clone().requires_grad_()
        layer(wide).sum().backward()
    assert wide.grad.dtype == torch.float32


@pytest.mark.parametrize("activations", ACTIVATIONS, ids=["none", "dynamic", "static"])
def test_the_state_is_all_there_is(activations):
    layer = Int8Linear(kinds()["affine rows"], random(5), activations=activations)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    blank = Int8(torch.zeros(5, 64, dtype=torch.int8), torch.zeros(5, 1), torch.zeros(5, 1, dtype=torch.int8))
    like = StaticRange(1.0) if isinstance(activations, StaticRange) else activations
    other = Int8Linear(blank, torch.zeros(5), activations=like)
    other.load_state_dict(torch.load(file))
    assert torch.equal(other(random(2, 64)), layer(random(2, 64)))
    assert other.activations == activations


@pytest.mark.parametrize("activations", ACTIVATIONS, ids=["none", "dynamic", "static"])
def test_an_adapter_learns_beside_it(activations):
    layer = Int8Linear(kinds()["rows"], random(5), activations=activations)
    adapted = LoRALinear(layer, LoRAConfig(rank=2))
    x = random(3, 64).requires_grad_()
    assert torch.equal(adapted(x), layer(x))
    adapted(x).square().sum().backward()
    assert adapted.adapters["default"].B.grad.abs().max() > 0
    assert x.grad.abs().max() > 0
    with pytest.raises(InputError, match="a layer with a weight in floating point, found Int8Linear"):
        adapted.merge()


def fbgemm_is_there():
    return "fbgemm" in torch.backends.quantized.supported_engines


@pytest.mark.skipif(not fbgemm_is_there(), reason="this torch has no FBGEMM")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")  # deprecated
def test_static_equals_torchs_own():
    """torch.ao's dynamic linear picks one range for all rows of a batch: given the same range, ours is the same layer.

    Its kernel keeps 7 bits of x where the processor would saturate 16-bit sums (reduce_range); so does this.
    """
    weight, bias, x = random(16, 64, seed=1), random(16, seed=2), random(7, 64)
    kept = quantize_int8(weight)
    low, high = x.min().item(), x.max().item()
    scale = (high - low) / 127
    zero = round(-low / scale)  # of 0 … 127, as quint8
    theirs = torch.quantize_per_channel(weight, kept.scale[:, 0].double(), torch.zeros(16).long(), 0, torch.qint8)
    assert torch.equal(theirs.int_repr(), kept.values)
    packed = torch.ops.quantized.linear_prepack(theirs, bias)
    expected = torch.ops.quantized.linear_dynamic(x, packed, True)
    ours = Int8Linear(kept, bias, activations=StaticRange(scale, zero - 64))  # 0 … 127 moved to -64 … 63
    # the sums are whole in both, then scaled and shifted in float32: 2^-24 of up to 30 in each of a few operations
    assert (ours(x) - expected).abs().max() <= 1e-5


@pytest.mark.skipif(not fbgemm_is_there(), reason="this torch has no FBGEMM")
@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")  # deprecated
def test_dynamic_is_nearer_than_torchs_own():
    """A range for each row loses less than torch.ao's one for all of them, where rows differ in size."""
    base = nn.Linear(64, 32)
    theirs = torch.ao.quantization.quantize_dynamic(nn.Sequential(base), {nn.Linear}, dtype=torch.qint8)
    ours = Int8Linear(quantize_int8(base.weight), base.bias, activations="dynamic")
    x = random(8, 64) * torch.logspace(-2, 1, 8)[:, None]
    with torch.no_grad():
        exact = base(x)
        error, their_error = (((found - exact).norm(dim=1) / exact.norm(dim=1)) for found in (ours(x), theirs(x)))
    assert error.max() <= 0.02  # 1 / 127 of each number and each weight, at random
    assert their_error.max() >= 5 * error.max()
    assert error[-1] <= their_error[-1]  # even the largest row: theirs has 7 bits
