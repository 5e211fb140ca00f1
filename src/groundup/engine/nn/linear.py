"""Linear: y = x Wᵀ + b."""

import math
from typing import Any

from groundup.engine import creation, functional
from groundup.engine.dtypes import float32
from groundup.engine.nn import init
from groundup.engine.nn.module import Module
from groundup.engine.nn.parameter import Parameter
from groundup.engine.tensor import Tensor


class Linear(Module):
    """Map the last dimension linearly: [..., in_features] -> [..., out_features].

    Weight and bias begin uniform in ±1/√in_features, torch's default: `init.kaiming_uniform_` with a = √5 derives it.

    Args:
        in_features: last size of the input.
        out_features: last size of the output.
        bias: whether b is there.
        dtype: of the parameters.

    Example:
        >>> Linear(3, 2)(creation.ones(5, 3)).shape
        (5, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, dtype: Any = float32) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(creation.zeros(out_features, in_features, dtype=dtype))
        self.register_parameter("bias", Parameter(creation.zeros(out_features, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial weights anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(max(1, self.in_features))
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return x Wᵀ + b."""
        return functional.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return the sizes as torch writes them."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
