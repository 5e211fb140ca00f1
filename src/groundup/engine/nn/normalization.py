"""LayerNorm and RMSNorm: every position brought to one scale, then to a learned one."""

from collections.abc import Sequence
from typing import Any

from groundup.engine import creation, functional
from groundup.engine.dtypes import float32
from groundup.engine.nn.module import Module
from groundup.engine.nn.parameter import Parameter
from groundup.engine.tensor import Tensor


class LayerNorm(Module):
    """Shift and scale to mean 0 and deviation 1 over the last dimensions, then by learned weight and bias.

    Args:
        normalized_shape: size of the last dimension, or sizes of the last ones, that are normalized together.
        eps: added to the variance.
        elementwise_affine: whether there are a weight and a bias.
        bias: whether there is a bias beside the weight.
        dtype: of the parameters.

    Example:
        >>> LayerNorm(2, eps=0.0)(creation.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = float32,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = Parameter(creation.ones(self.normalized_shape, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)
        shift = Parameter(creation.zeros(self.normalized_shape, dtype=dtype)) if elementwise_affine and bias else None
        self.register_parameter("bias", shift)

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalized: [..., *normalized_shape], same shape."""
        return functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the sizes and settings as torch writes them."""
        affine = f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        return f"{self.normalized_shape}, eps={self.eps}, {affine}"


class RMSNorm(Module):
    """Scale to root mean square 1 over the last dimensions, then by a learned weight.

    Args:
        normalized_shape: size of the last dimension, or sizes of the last ones, that are normalized together.
        eps: added to the mean square; None for the smallest step of the input's type.
        elementwise_affine: whether there is a weight.
        dtype: of the weight.

    Example:
        >>> RMSNorm(2, eps=0.0)(creation.tensor([[3.0, -3.0]])).tolist()
        [[1.0, -1.0]]
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: Any = float32,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        weight = Parameter(creation.ones(self.normalized_shape, dtype=dtype)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalized: [..., *normalized_shape], same shape."""
        return functional.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Return the sizes and settings as torch writes them."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
