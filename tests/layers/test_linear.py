"""oneDNN's linear layer against torch's: values, gradients, shapes, and what it leaves alone."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from groundup.layers import linear
from groundup.layers.linear import OneDNNLinears, is_exact, onednn_linear

pytestmark = pytest.mark.skipif(not is_exact(), reason="no exact oneDNN on this machine")


@pytest.mark.parametrize("shape", [(5, 7), (2, 5, 7), (2, 3, 4, 7), (7,)])
@pytest.mark.parametrize("bias", [False, True])
def test_values_and_gradients_are_torchs(shape: tuple[int, ...], bias: bool):
    torch.manual_seed(0)
    layer = nn.Linear(7, 11, bias=bias)
    inputs = [torch.randn(shape, requires_grad=True), *layer.parameters()]
    grad = torch.randn(*shape[:-1], 11)
    expected = layer(inputs[0])
    with OneDNNLinears():
        found = layer(inputs[0])
    assert "OneDNN" in type(found.grad_fn).__name__
    # Sums of at most 60 float32 products, in another order.
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    gradients = zip(torch.autograd.grad(found, inputs, grad), torch.autograd.grad(expected, inputs, grad), strict=True)
    for a, b in gradients:
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_only_what_has_a_gradient_is_computed():
    x, weight = torch.randn(3, 4), torch.randn(2, 4, requires_grad=True)
    onednn_linear(x, weight).sum().backward()
    assert x.grad is None
    torch.testing.assert_close(weight.grad, x.sum(0).expand(2, 4), rtol=1e-5, atol=1e-6)


def test_frozen_weights_and_no_grad():
    x, weight = torch.randn(3, 4, requires_grad=True), torch.randn(2, 4)
    onednn_linear(x, weight, torch.zeros(2)).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, weight.sum(0).expand(3, 4), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        assert not onednn_linear(x, weight).requires_grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_formats_are_left_to_torch(dtype: torch.dtype):
    x, weight = torch.randn(3, 4, dtype=dtype), torch.randn(2, 4, dtype=dtype)
    with OneDNNLinears():
        assert torch.equal(F.linear(x, weight), x @ weight.T)


def test_autocast_is_left_alone_and_nothing_stays_behind():
    layer, x = nn.Linear(4, 2), torch.randn(3, 4)
    with torch.autocast("cpu", torch.bfloat16), OneDNNLinears():
        assert layer(x).dtype == torch.bfloat16
    assert "OneDNN" not in type(layer(x).grad_fn).__name__


def test_empty_batches():
    with OneDNNLinears():
        assert F.linear(torch.ones(0, 4), torch.ones(2, 4)).shape == (0, 2)


def test_a_product_with_bfloat16_inside_is_found_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(linear, "_product", lambda x, w, b: (x.bfloat16() @ w.bfloat16().T).float())
    assert not is_exact()
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not is_exact()
