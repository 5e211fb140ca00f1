"""LayerNorm and RMSNorm: the formulas written out, and layers that run them fused.

Shapes: B batch, T positions, D width. Each position is normalized alone, over its D entries.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None, epsilon: float) -> Tensor:
    """Return (x - mean) / √(variance + ε) · weight + bias over the last axis (Ba et al. 2016, eq. 4).

    Example:
        >>> layer_norm(torch.tensor([1.0, 3.0]), torch.ones(2), None, epsilon=0.0).tolist()
        [-1.0, 1.0]
    """
    centred = x - x.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)  # divided by D, not D - 1
    normalized = centred / torch.sqrt(variance + epsilon)
    return normalized * weight if bias is None else normalized * weight + bias


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return x / √(mean(x²) + ε) · weight over the last axis (Zhang and Sennrich 2019, eq. 4).

    Example:
        >>> rms_norm(torch.tensor([3.0, -3.0]), torch.ones(2), epsilon=0.0).tolist()
        [1.0, -1.0]
    """
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + epsilon) * weight


class LayerNorm(nn.Module):
    """Shift and scale each position to mean 0 and deviation 1, then to a learned scale and shift.

    Args:
        d_model: width D.
        epsilon: added to the variance before the root.
        bias: whether there is a learned shift.
        fused: use torch's kernel; False uses `layer_norm` as written above. Both give the same.

    Example:
        >>> out = LayerNorm(3)(torch.tensor([[1.0, 2.0, 6.0]]))
        >>> torch.allclose(out.mean(), torch.tensor(0.0), atol=1e-6)
        True
    """

    def __init__(self, d_model: int, *, epsilon: float = 1e-5, bias: bool = True, fused: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.epsilon = epsilon
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` normalized: [..., D] -> [..., D]."""
        if self.fused:
            return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)
        return layer_norm(x, self.weight, self.bias, self.epsilon)


class RMSNorm(nn.Module):
    """Scale each position to root mean square 1, then to a learned scale: LayerNorm without the mean and the shift.

    Args:
        d_model: width D.
        epsilon: added to the mean square before the root.
        fused: use torch's operation; False uses `rms_norm` as written above. Both give the same.

    Example:
        >>> RMSNorm(2, epsilon=0.0)(torch.tensor([[3.0, -3.0]])).tolist()
        [[1.0, -1.0]]
    """

    def __init__(self, d_model: int, *, epsilon: float = 1e-5, fused: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.epsilon = epsilon
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` normalized: [..., D] -> [..., D]."""
        if self.fused:
            x = x.to(self.weight.dtype)  # torch has no kernel for bfloat16 queries, from autocast, and a float32 weight
            return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)
        return rms_norm(x, self.weight, self.epsilon)


def build_norm(
    kind: Literal["layer", "rms"], d_model: int, *, epsilon: float = 1e-5, bias: bool = True, fused: bool = True
) -> LayerNorm | RMSNorm:
    """Return the norm called `kind`; an RMSNorm has no bias to switch off.

    Example:
        >>> type(build_norm("rms", 8)).__name__
        'RMSNorm'
    """
    if kind == "rms":
        return RMSNorm(d_model, epsilon=epsilon, fused=fused)
    return LayerNorm(d_model, epsilon=epsilon, bias=bias, fused=fused)
