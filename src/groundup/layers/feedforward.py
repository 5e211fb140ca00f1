"""The feed-forward layer, which treats every position alone: plain, and gated (SwiGLU).

Shapes: B batch, T positions, D width, F = d_ff inner width.
"""

from torch import Tensor, nn

from groundup.configs.seq2seq import FeedForwardKind
from groundup.layers.activations import BY_HAND, FUSED, ActivationName


class FeedForward(nn.Module):
    """Widen, bend, narrow: down(activation(up(x))) (Vaswani et al. 2017, eq. 2, which bends with ReLU).

    Args:
        d_model: width D of input and output.
        d_ff: inner width F.
        activation: gelu, gelu_tanh, relu, relu_squared or silu.
        bias: whether both projections have a bias.
        fused: use torch's kernel for the activation; False uses the formula in `activations`.

    Example:
        >>> import torch
        >>> FeedForward(4, 16)(torch.ones(2, 3, 4)).shape
        torch.Size([2, 3, 4])
    """

    def __init__(
        self, d_model: int, d_ff: int, *, activation: ActivationName = "gelu", bias: bool = True, fused: bool = True
    ) -> None:
        super().__init__()
        self.up = nn.Linear(d_model, d_ff, bias=bias)
        self.down = nn.Linear(d_ff, d_model, bias=bias)
        self.activation = (FUSED if fused else BY_HAND)[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output: [B, T, D] -> [B, T, D]."""
        out: Tensor = self.down(self.activation(self.up(x)))  # D -> F -> D
        return out


class SwiGLU(nn.Module):
    """Widen twice, let one gate the other, narrow: down(silu(gate(x)) · up(x)) (Shazeer 2020, eq. 6).

    Args:
        d_model: width D of input and output.
        d_ff: inner width F; 8/3 · D costs what a plain layer of 4 · D does.
        bias: whether the three projections have a bias.
        fused: use torch's kernel for silu; False uses the formula in `activations`.

    Example:
        >>> import torch
        >>> SwiGLU(4, 16)(torch.ones(2, 3, 4)).shape
        torch.Size([2, 3, 4])
    """

    def __init__(self, d_model: int, d_ff: int, *, bias: bool = True, fused: bool = True) -> None:
        super().__init__()
        self.gate = nn.Linear(d_model, d_ff, bias=bias)
        self.up = nn.Linear(d_model, d_ff, bias=bias)
        self.down = nn.Linear(d_ff, d_model, bias=bias)
        self.joined: nn.Module | None = None  # a copy for inference has gate and up in one product here
        self.activation = (FUSED if fused else BY_HAND)["silu"]

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output: [B, T, D] -> [B, T, D]."""
        gate, up = (self.gate(x), self.up(x)) if self.joined is None else self.joined(x).chunk(2, dim=-1)
        out: Tensor = self.down(self.activation(gate) * up)  # D -> F -> D
        return out


def build_feed_forward(
    activation: FeedForwardKind, d_model: int, d_ff: int, *, bias: bool = True, fused: bool = True
) -> FeedForward | SwiGLU:
    """Return the feed-forward layer for `activation`: SwiGLU for swiglu, else the plain one.

    Example:
        >>> type(build_feed_forward("swiglu", 4, 16)).__name__
        'SwiGLU'
    """
    if activation == "swiglu":
        return SwiGLU(d_model, d_ff, bias=bias, fused=fused)
    return FeedForward(d_model, d_ff, activation=activation, bias=bias, fused=fused)
