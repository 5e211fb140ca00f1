"""The layer in 4 bits: its product, its gradient, what moves with it, and what it refuses to be."""

import io

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.finetuning import LoRAConfig
from groundup.errors import InputError
from groundup.finetuning.lora_linear import LoRALinear
from groundup.quantization.int4 import Int4, quantize_int4
from groundup.quantization.int4_linear import Int4Linear


def layer_of(*, bias: bool = True, scaled: bool = False) -> Int4Linear:
    torch.manual_seed(0)
    weight = quantize_int4(torch.randn(6, 64), group_size=32)
    return Int4Linear(weight, torch.randn(6) if bias else None, input_scale=torch.rand(64) + 0.5 if scaled else None)


@pytest.mark.parametrize("shape", [(64,), (3, 64), (2, 3, 64), (0, 64)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
def test_product_and_gradient_are_those_of_the_numbers_it_stands_for(shape: tuple[int, ...], bias: bool, scaled: bool):
    layer = layer_of(bias=bias, scaled=scaled)
    x = torch.randn(shape, requires_grad=True)
    expected = F.linear(x, layer.dequantized(), layer.bias)
    found = layer(x)
    assert torch.equal(found, expected)
    grad = torch.randn_like(expected)
    (of_x,), (of_theirs,) = torch.autograd.grad(found, x, grad), torch.autograd.grad(expected, x, grad)
    torch.testing.assert_close(of_x, of_theirs, rtol=1e-6, atol=1e-6)  # sums of 6 products, in another order


def test_scaled_inputs_are_in_the_matrix():
    layer, x = layer_of(scaled=True), torch.randn(3, 64)
    assert layer.input_scale is not None
    expected = F.linear(x * layer.input_scale, layer.kept.dequantized(), layer.bias)
    torch.testing.assert_close(
        layer(x), expected, rtol=1e-5, atol=1e-5
    )  # 64 products of float32, scaled earlier or later


def test_nothing_of_the_matrix_is_kept_for_the_backward_pass():
    layer, kept = layer_of(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda t: t):
        layer(torch.randn(2, 64, requires_grad=True))
    assert sum(kept) == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_output_has_the_number_format_of_the_input(dtype: torch.dtype):
    layer, x = layer_of(), torch.randn(2, 64, dtype=dtype, requires_grad=True)
    out = layer(x)
    out.sum().backward()
    assert out.dtype == dtype
    assert x.grad is not None
    assert x.grad.dtype == dtype


def test_autocast_computes_in_its_format():
    layer, x = layer_of(), torch.randn(2, 64, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
    out.float().sum().backward()
    assert out.dtype == torch.bfloat16
    assert x.grad is not None
    assert x.grad.dtype == torch.float32


@pytest.mark.parametrize("cast", [nn.Module.half, nn.Module.bfloat16, nn.Module.double, nn.Module.float])
def test_casting_a_model_leaves_its_bits(cast):
    layer = layer_of(scaled=True)
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    cast(layer)
    for name, buffer in layer.named_buffers():
        assert buffer.dtype == before[name].dtype
        assert torch.equal(buffer, before[name])


def test_moves_and_is_saved_whole():
    layer = layer_of(scaled=True)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = layer_of(scaled=True).to("meta").to_empty(device="cpu")
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.dequantized(), layer.dequantized())
    assert list(layer.state_dict()) == ["packed", "scale", "minimum", "bias", "input_scale"]


def test_counts():
    layer = layer_of()
    assert layer.n_quantized == 6 * 64 + 6
    assert layer.n_bytes == 6 * 32 + 2 * 6 * 2 * 2 + 6 * 4  # two a byte; scale and minimum of two groups; bias
    assert not list(layer.parameters())
    assert "group_size=32" in repr(layer)


def test_adapters_learn_beside_it_and_are_not_merged_into_it():
    layer = layer_of()
    beside = LoRALinear(layer, LoRAConfig(rank=2))
    x: Tensor = torch.randn(3, 64, requires_grad=True)
    assert torch.equal(beside(x), layer(x))
    beside(x).sum().backward()
    assert beside.adapter is not None
    assert beside.adapter.B.grad is not None
    with pytest.raises(InputError, match="weight in floating point, found Int4Linear"):
        beside.merge()


def test_kept_is_the_weight_that_came():
    weight = quantize_int4(torch.randn(4, 64), group_size=64)
    kept = Int4Linear(weight, None).kept
    assert isinstance(kept, Int4)
    assert kept.packed is weight.packed
    assert kept.group_size == 64
