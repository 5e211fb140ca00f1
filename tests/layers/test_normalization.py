"""Norms against torch's, in float64, and the laws that define them."""

import pytest
import torch
from torch import nn

from groundup.layers.normalization import LayerNorm, RMSNorm, build_norm

EXACT = 1e-12  # float64 rounds at 1e-16; a few tens of operations on numbers of size 1


def outputs_and_gradients(layer, x):
    out = layer(x)
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(9), dtype=out.dtype)
    return [out, *torch.autograd.grad((out * probe).sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_norm_equals_torch_forward_and_gradients(fused, bias):
    torch.manual_seed(0)
    theirs = nn.LayerNorm(7, eps=1e-3, bias=bias, dtype=torch.float64)
    ours = LayerNorm(7, epsilon=1e-3, bias=bias, fused=fused).double()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter)
    ours.load_state_dict(theirs.state_dict())
    x = (torch.randn(2, 3, 7, dtype=torch.float64) * 3 + 1).requires_grad_()
    for a, b in zip(outputs_and_gradients(ours, x), outputs_and_gradients(theirs, x), strict=True):
        assert (a - b).abs().max() <= EXACT


@pytest.mark.parametrize("fused", [True, False])
def test_rms_norm_equals_torch_forward_and_gradients(fused):
    torch.manual_seed(0)
    theirs = nn.RMSNorm(7, eps=1e-3, dtype=torch.float64)
    ours = RMSNorm(7, epsilon=1e-3, fused=fused).double()
    nn.init.normal_(theirs.weight)
    ours.load_state_dict(theirs.state_dict())
    x = (torch.randn(2, 3, 7, dtype=torch.float64) * 3 + 1).requires_grad_()
    for a, b in zip(outputs_and_gradients(ours, x), outputs_and_gradients(theirs, x), strict=True):
        assert (a - b).abs().max() <= EXACT


@pytest.mark.parametrize("fused", [True, False])
def test_layer_norm_gives_mean_zero_and_deviation_one(fused):
    x = torch.randn(4, 5, 64) * 7 + 3
    out = LayerNorm(64, fused=fused)(x)
    assert out.mean(-1).abs().max() < 1e-6  # float32 rounds at 6e-8, averaged over 64 entries of size 1
    # epsilon = 1e-5 beside a variance near 49 lowers the deviation by about 1e-7; the rest is rounding
    assert (out.std(-1, unbiased=False) - 1).abs().max() < 1e-5


@pytest.mark.parametrize("fused", [True, False])
def test_layer_norm_ignores_shift_and_scale_of_its_input(fused):
    x = torch.randn(3, 16, dtype=torch.float64)
    norm = LayerNorm(16, epsilon=1e-30, fused=fused).double()
    assert (norm(5 * x - 2) - norm(x)).abs().max() <= EXACT


@pytest.mark.parametrize("fused", [True, False])
def test_rms_norm_gives_root_mean_square_one_and_keeps_direction(fused):
    x = torch.randn(3, 16, dtype=torch.float64)
    out = RMSNorm(16, epsilon=1e-30, fused=fused).double()(x)
    assert (out.square().mean(-1) - 1).abs().max() <= EXACT
    assert (torch.cosine_similarity(out, x, dim=-1) - 1).abs().max() <= EXACT


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_a_constant_position_stays_finite(fused, kind):
    x = torch.zeros(2, 8, requires_grad=True)
    out = build_norm(kind, 8, fused=fused)(x)
    out.sum().backward()
    assert out.eq(0).all()
    assert x.grad.isfinite().all()


def test_build_norm_passes_everything_on():
    norm = build_norm("layer", 8, epsilon=0.5, bias=False, fused=False)
    assert isinstance(norm, LayerNorm)
    assert (norm.epsilon, norm.bias, norm.fused) == (0.5, None, False)
    norm = build_norm("rms", 8, epsilon=0.5, fused=False)
    assert isinstance(norm, RMSNorm)
    assert (norm.epsilon, norm.fused) == (0.5, False)
