"""Linear layers through oneDNN: the same float32 product as torch's default, by another library's kernels.

Shapes: N rows (any leading axes), I inputs, O outputs.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

EXACT = 1e-5
"""Largest relative error of a float32 product: 2^-24 · √512 is 1e-6. bfloat16 inside would give 3e-3, TF32 4e-4."""


class OneDNNLinears(TorchFunctionMode):
    """While it is entered, F.linear (and with it every nn.Linear) of float32 on the CPU goes through oneDNN.

    torch's default for float32 is MKL or OpenBLAS; oneDNN is faster on some processors, by up to 2. Layers, parameters
    and state_dict are untouched: what runs outside of it runs as always. Other number formats and devices, and products
    under autocast, which are oneDNN's already, are left to torch.

    Example:
        >>> layer, x = torch.nn.Linear(4, 2), torch.ones(3, 4)
        >>> with OneDNNLinears():
        ...     torch.allclose(layer(x), x @ layer.weight.T + layer.bias)
        True
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever func returns
        """Run `func`, or its twin from oneDNN."""
        if func is F.linear and not torch.is_autocast_enabled("cpu"):
            return _linear(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x · weightᵀ + bias through oneDNN, forward and both products of the backward pass.

    Args:
        x: float32 [..., I] on the CPU.
        weight: [O, I].
        bias: [O].

    Returns:
        [..., O].

    Example:
        >>> x, weight = torch.ones(3, 4), torch.ones(2, 4)
        >>> onednn_linear(x, weight).tolist()
        [[4.0, 4.0], [4.0, 4.0], [4.0, 4.0]]
    """
    out: Tensor = _OneDNNLinear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return out


def is_exact() -> bool:
    """Whether oneDNN is there and its float32 product is one: on some processors a setting turns it into bfloat16's.

    Example:
        >>> is_exact() in (True, False)
        True
    """
    is_there: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if not is_there or not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(n, 512, generator=generator) for n in (64, 96))
    expected = x.double() @ weight.double().T
    try:
        error: float = ((_product(x, weight, None).double() - expected).norm() / expected.norm()).item()
    except (RuntimeError, NotImplementedError):  # built without the kernel
        return False
    return error < EXACT


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    tensors = [x, weight] if bias is None else [x, weight, bias]
    if any(t.dtype != torch.float32 or t.device.type != "cpu" for t in tensors) or x.numel() == 0:
        return F.linear(x, weight, bias)
    return onednn_linear(x, weight, bias)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


class _OneDNNLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:  # noqa: ANN401 - autograd's context
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - autograd's context
        x, weight = ctx.saved_tensors
        rows = grad.reshape(-1, grad.shape[-1])  # [N, O]
        wants_x, wants_weight, wants_bias = ctx.needs_input_grad
        return (
            _product(rows, weight.t(), None).view_as(x) if wants_x else None,
            _product(rows.t(), x.reshape(-1, x.shape[-1]).t(), None) if wants_weight else None,
            rows.sum(0) if wants_bias else None,
        )
