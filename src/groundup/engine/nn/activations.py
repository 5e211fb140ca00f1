"""Activations as modules, for `Sequential`."""

from typing import Literal

from groundup.engine import functional
from groundup.engine.nn.module import Module
from groundup.engine.tensor import Tensor


class ReLU(Module):
    """max(x, 0)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return max(x, 0)."""
        return functional.relu(x)


class GELU(Module):
    """x Φ(x), Φ the normal distribution function.

    Args:
        approximate: "tanh" for the form that GPT-2 was trained with.

    Example:
        >>> GELU(approximate="tanh")
        GELU(approximate='tanh')
    """

    def __init__(self, approximate: Literal["none", "tanh"] = "none") -> None:
        super().__init__()
        self.approximate: Literal["none", "tanh"] = approximate

    def forward(self, x: Tensor) -> Tensor:
        """Return x Φ(x)."""
        return functional.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        """Return the setting as torch writes it."""
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x · sigmoid(x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x · sigmoid(x)."""
        return functional.silu(x)


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return 1 / (1 + e^-x)."""
        return functional.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Return tanh x."""
        return functional.tanh(x)


class Softmax(Module):
    """e^x / Σ e^x along a dimension.

    Args:
        dim: the dimension whose numbers sum to 1.

    Example:
        >>> Softmax(dim=-1)(Tensor([0.0, 0.0])).tolist()
        [0.5, 0.5]
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        """Return softmax(x)."""
        return functional.softmax(x, self.dim)

    def extra_repr(self) -> str:
        """Return the setting as torch writes it."""
        return f"dim={self.dim}"
