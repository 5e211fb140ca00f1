"""The non-linearities of the feed-forward layer, written out, and torch's kernels for the same functions."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

ActivationName = Literal["gelu", "gelu_tanh", "relu", "relu_squared", "silu"]


def relu(x: Tensor) -> Tensor:
    """Return max(x, 0).

    Example:
        >>> relu(torch.tensor([-2.0, 3.0])).tolist()
        [0.0, 3.0]
    """
    return torch.where(x > 0, x, torch.zeros_like(x))


def relu_squared(x: Tensor) -> Tensor:
    """Return max(x, 0)² (So et al. 2021, "Primer", section 4): cheaper than gelu, and it learns a little faster.

    Example:
        >>> relu_squared(torch.tensor([-2.0, 3.0])).tolist()
        [0.0, 9.0]
    """
    return relu(x) * relu(x)


def gelu(x: Tensor) -> Tensor:
    """Return x · Φ(x), with Φ the normal distribution function (Hendrycks and Gimpel 2016).

    Example:
        >>> round(gelu(torch.tensor(1.0)).item(), 4)  # Φ(1) = 0.8413
        0.8413
    """
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def gelu_tanh(x: Tensor) -> Tensor:
    """Return the tanh approximation of `gelu` that GPT-2 was trained with; they differ by less than 5e-4.

    Example:
        >>> round(gelu_tanh(torch.tensor(1.0)).item(), 4)
        0.8412
    """
    return x * 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x: Tensor) -> Tensor:
    """Return x · sigmoid(x), also called swish: the gate of SwiGLU.

    Example:
        >>> round(silu(torch.tensor(1.0)).item(), 4)
        0.7311
    """
    return x / (1 + torch.exp(-x))


def _fused_gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def _fused_relu_squared(x: Tensor) -> Tensor:
    return F.relu(x).square()


BY_HAND: dict[ActivationName, Callable[[Tensor], Tensor]] = {
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "relu": relu,
    "relu_squared": relu_squared,
    "silu": silu,
}
"""The functions above, by name."""

FUSED: dict[ActivationName, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": _fused_gelu_tanh,
    "relu": F.relu,
    "relu_squared": _fused_relu_squared,
    "silu": F.silu,
}
"""The same functions as one torch kernel each."""
