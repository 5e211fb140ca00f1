"""Activation-aware scaling: the product stays, large inputs get finer steps, the error is at most that of rounding."""

import pytest
import torch
from torch import Tensor

from groundup.quantization.activation_aware import activation_aware_scale
from groundup.quantization.gptq import gptq
from groundup.quantization.int4 import Int4, quantize_int4
from groundup.quantization.int4_linear import Int4Linear


def layer(seed: int, spread: float) -> tuple[Tensor, Tensor]:
    """Return a weight [24, 128] and inputs [200, 128] whose sizes are spread."""
    generator = torch.Generator().manual_seed(seed)
    sizes = (torch.randn(128, generator=generator) * spread).exp()
    return torch.randn(24, 128, generator=generator), torch.randn(200, 128, generator=generator) * sizes


def lost(kept: Int4, scale: Tensor, weight: Tensor, x: Tensor) -> float:
    out = Int4Linear(kept, None, input_scale=scale)(x)
    return (out - x @ weight.T).square().sum().item()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spread", [0.0, 0.5, 1.5])
def test_products_never_change_more_than_by_rounding(seed: int, spread: float):
    weight, x = layer(seed, spread)
    scale = activation_aware_scale(weight, x.T @ x, x.abs().mean(0), group_size=32)
    aware = lost(quantize_int4(weight / scale, group_size=32), scale, weight, x)
    rounded = lost(quantize_int4(weight, group_size=32), torch.ones(128), weight, x)
    assert aware <= rounded * 1.001  # the search sums tr(D H Dᵀ), the test the products: float32 both
    if spread > 1:
        assert aware < 0.8 * rounded


def test_error_of_the_search_is_that_of_the_products():
    """Every exponent's own error, by the products themselves: the one found is the least of them."""
    weight, x = layer(0, 1.0)
    size = x.abs().mean(0)
    found = activation_aware_scale(weight, x.T @ x, size, group_size=32)
    size = size / size.log().mean().exp()
    tried = [size ** -(step / 10) for step in range(11)]
    errors = [lost(quantize_int4(weight / scale, group_size=32), scale, weight, x) for scale in tried]
    assert torch.allclose(found, tried[errors.index(min(errors))])


def test_gptq_of_the_scaled_layer_loses_less_still():
    weight, x = layer(0, 1.5)
    H = x.T @ x
    scale = activation_aware_scale(weight, H, x.abs().mean(0), group_size=32)
    rounded = lost(quantize_int4(weight / scale, group_size=32), scale, weight, x)
    kept = gptq(weight / scale, H * scale[:, None] * scale, group_size=32)
    assert lost(kept, scale, weight, x) < rounded


def test_larger_inputs_get_a_smaller_factor():
    weight, x = layer(1, 1.5)
    size = x.abs().mean(0)
    scale = activation_aware_scale(weight, x.T @ x, size, group_size=64)
    assert torch.equal(scale.argsort(descending=True), size.argsort())
    assert scale.log().mean().abs() < 1e-5  # their product is 1, up to float32


def test_inputs_that_were_silent_are_kept_finite():
    weight, x = layer(0, 1.5)
    x[:, ::7] = 0
    scale = activation_aware_scale(weight, x.T @ x, x.abs().mean(0), group_size=32)
    assert scale.isfinite().all()
    assert (scale > 0).all()
    silent = activation_aware_scale(weight, torch.zeros(128, 128), torch.zeros(128), group_size=32)
    assert torch.equal(silent, torch.ones(128))


def test_layers_with_one_input_can_share_a_scale():
    weight, x = layer(0, 1.5)
    both = torch.cat([weight, -2 * weight])  # the same groups, mirrored and larger: the same best exponent
    args = (x.T @ x, x.abs().mean(0))
    alone = activation_aware_scale(weight, *args, group_size=32)
    assert torch.equal(activation_aware_scale(both, *args, group_size=32), alone)
