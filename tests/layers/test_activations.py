"""Non-linearities against torch's, in float64: values and slopes."""

import pytest
import torch

from groundup.layers.activations import BY_HAND, FUSED, gelu, gelu_tanh


@pytest.mark.parametrize("name", list(BY_HAND))
def test_formula_equals_torch_in_value_and_slope(name):
    x = torch.linspace(-30, 30, 2_001, dtype=torch.float64)
    x = x[x != 0].requires_grad_()  # at 0 relu has no slope
    ours, theirs = BY_HAND[name](x), FUSED[name](x)
    # x up to 30, of which float64 keeps 3e-15, and squared up to 900, which both sides compute alike
    assert (ours - theirs).abs().max() <= 1e-13
    slopes = [torch.autograd.grad(y.sum(), x)[0] for y in (ours, theirs)]
    assert (slopes[0] - slopes[1]).abs().max() <= 1e-13


def test_the_two_gelus_differ_by_less_than_documented():
    x = torch.linspace(-6, 6, 10_001, dtype=torch.float64)
    difference = (gelu(x) - gelu_tanh(x)).abs().max()
    assert 1e-4 < difference < 5e-4


@pytest.mark.parametrize("name", [name for name in BY_HAND if name != "relu_squared"])
def test_far_out_it_is_zero_or_the_identity(name):
    x = torch.tensor([-80.0, 80.0])
    assert torch.allclose(BY_HAND[name](x), torch.tensor([0.0, 80.0]), atol=1e-30)


def test_relu_squared_is_what_its_name_says():
    x = torch.linspace(-3, 3, 101, dtype=torch.float64)
    for function in (BY_HAND["relu_squared"], FUSED["relu_squared"]):
        assert torch.equal(function(x), torch.where(x > 0, x * x, 0.0))
