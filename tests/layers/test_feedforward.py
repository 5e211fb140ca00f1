"""Feed-forward layers against torch's modules and transformers' Llama MLP, in float64."""

import pytest
import torch
from torch import nn

from groundup.layers.activations import BY_HAND, FUSED
from groundup.layers.feedforward import FeedForward, SwiGLU, build_feed_forward

EXACT = 1e-12  # float64 rounds at 1e-16; sums of at most 20 products of size 1


def assert_equal_forward_and_gradients(ours, theirs, x):
    results = []
    for layer in (ours, theirs):
        out = layer(x)
        probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(9), dtype=out.dtype)
        results.append([out, *torch.autograd.grad((out * probe).sum(), [x, *layer.parameters()])])
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= EXACT


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("name", "module"),
    [("relu", nn.ReLU()), ("gelu", nn.GELU()), ("gelu_tanh", nn.GELU(approximate="tanh")), ("silu", nn.SiLU())],
)
def test_plain_layer_equals_torch(name, module, bias, fused):
    torch.manual_seed(0)
    ours = FeedForward(5, 20, activation=name, bias=bias, fused=fused).double()
    theirs = nn.Sequential(nn.Linear(5, 20, bias=bias), module, nn.Linear(20, 5, bias=bias)).double()
    theirs[0].load_state_dict(ours.up.state_dict())
    theirs[2].load_state_dict(ours.down.state_dict())
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    assert_equal_forward_and_gradients(ours, theirs, x)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_swiglu_equals_transformers(bias, fused):
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaMLP

    torch.manual_seed(0)
    ours = SwiGLU(4, 10, bias=bias, fused=fused).double()
    config = LlamaConfig(hidden_size=4, intermediate_size=10, num_attention_heads=2, mlp_bias=bias)
    theirs = LlamaMLP(config).double()
    theirs.load_state_dict({f"{k.split('.')[0]}_proj.{k.split('.')[1]}": v for k, v in ours.state_dict().items()})
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert_equal_forward_and_gradients(ours, theirs, x)


@pytest.mark.parametrize("activation", ["gelu", "swiglu"])
def test_positions_do_not_mix(activation):
    torch.manual_seed(0)
    layer = build_feed_forward(activation, 4, 8).double()
    x = torch.randn(1, 6, 4, dtype=torch.float64)
    order = torch.tensor([5, 2, 0, 1, 4, 3])
    assert (layer(x[:, order]) - layer(x)[:, order]).abs().max() <= EXACT


def test_fused_chooses_the_kernel_and_not_fused_the_formula():
    for activation, name in (("relu", "relu"), ("gelu_tanh", "gelu_tanh"), ("swiglu", "silu")):
        assert build_feed_forward(activation, 4, 8).activation is FUSED[name]
        assert build_feed_forward(activation, 4, 8, fused=False).activation is BY_HAND[name]


def test_build_feed_forward_chooses_by_name():
    assert isinstance(build_feed_forward("swiglu", 4, 8, bias=False), SwiGLU)
    plain = build_feed_forward("relu", 4, 8, bias=False)
    assert isinstance(plain, FeedForward)
    assert plain.up.bias is None
