"""Dropout on a CPU for half of what torch's takes: whole words of random bits, cut into four, in place of floats."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

LEVELS = 2**16
"""Probabilities are rounded to so many: an entry is dropped or not by 16 bits."""


class Dropout(nn.Module):
    """Set each entry to zero with probability p while training, and divide the others by 1 - p.

    Source: Srivastava et al. 2014; divided while training, so that nothing has to be done afterwards.

    On other devices, and compiled, it is `F.dropout`. On a CPU that draws a float for each entry, one after the other:
    an eighth of a training step of an encoder–decoder 256 wide. Here four entries share a draw. p is rounded to
    1/65,536, and what is kept is divided by exactly the probability of keeping it, so the mean stays what it was.

    Args:
        p: probability.

    Raises:
        ValueError: p below 0 or not below 1.

    Example:
        >>> dropout, x = Dropout(0.25), torch.ones(10_000)
        >>> sorted(set(dropout(x).tolist())), round(dropout(x).mean().item(), 1)
        ([0.0, 1.3333333730697632], 1.0)
        >>> dropout.eval()(x) is x
        True
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"expected a probability of at least 0 and below 1, found {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Return `x` with entries dropped, or `x` itself where there is nothing to drop."""
        return dropped(x, self.p) if self.training else x

    def extra_repr(self) -> str:
        """Return what print shows of it."""
        return f"p={self.p}"


def dropped(x: Tensor, p: float) -> Tensor:
    """Return `x` with each entry zero by probability p, the others divided by 1 - p.

    Example:
        >>> dropped(torch.ones(3), 0.0)
        tensor([1., 1., 1.])
    """
    n_dropped = min(round(p * LEVELS), LEVELS - 1)
    if n_dropped == 0:
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, p)
    out: Tensor = _Dropped.apply(x, n_dropped)  # type: ignore[no-untyped-call]
    return out


class _Dropped(torch.autograd.Function):
    """One byte of each entry is kept for the backward pass, as torch's does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, n_dropped: int) -> Tensor:  # noqa: ANN401 - autograd's context
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        is_kept = (words.view(torch.int16)[: x.numel()] >= n_dropped - LEVELS // 2).view(x.shape)
        ctx.save_for_backward(is_kept)
        ctx.scale = LEVELS / (LEVELS - n_dropped)
        return is_kept.to(x.dtype).mul_(ctx.scale).mul_(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - autograd's context
        (is_kept,) = ctx.saved_tensors
        return is_kept.to(grad.dtype).mul_(ctx.scale).mul_(grad), None
