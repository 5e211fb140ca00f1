"""The product with a matrix that is kept in few bits and does not learn.

Shapes: N rows (any leading axes), I inputs, O outputs.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def frozen_product(x: Tensor, matrix: Callable[[], Tensor], bias: Tensor | None = None) -> Tensor:
    """Return x · Wᵀ + bias, with a gradient to `x` alone.

    W is asked for once more in the backward pass: kept until then, the matrices of all layers would lie in memory in
    float32, for the sake of which they are kept in few bits (Dettmers et al. 2023, QLoRA, does the same).

    Args:
        x: floating point [..., I].
        matrix: returns W [O, I].
        bias: [O].

    Returns:
        [..., O], in the number format of `x`, or autocast's.

    Example:
        >>> x, W = torch.ones(1, 3, requires_grad=True), torch.tensor([[1.0, 2.0, 3.0]])
        >>> out = frozen_product(x, lambda: W)
        >>> out.backward()
        >>> out.item(), x.grad.tolist()
        (6.0, [[1.0, 2.0, 3.0]])
    """
    out: Tensor = _FrozenProduct.apply(x, matrix, bias)  # type: ignore[no-untyped-call]
    return out


class _FrozenProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: Callable[[], Tensor], bias: Tensor | None) -> Tensor:  # noqa: ANN401 - autograd's context
        ctx.matrix = matrix
        return F.linear(x, matrix().to(x.dtype), None if bias is None else bias.to(x.dtype))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - autograd's context
        return grad @ ctx.matrix().to(grad.dtype), None, None
