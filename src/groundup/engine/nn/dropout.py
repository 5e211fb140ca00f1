"""Dropout: while training, each number is zeroed with some probability."""

from groundup.engine import functional
from groundup.engine.nn.module import Module
from groundup.engine.random import Generator
from groundup.engine.tensor import Tensor


class Dropout(Module):
    """Zero numbers at random and scale the others up, while `training`; after `eval()` change nothing.

    Args:
        p: probability of zero.
        generator: where the choice comes from; by default the engine's, see `manual_seed`.

    Example:
        >>> Dropout(0.9).eval()(Tensor([1.0, 2.0])).tolist()
        [1.0, 2.0]
    """

    def __init__(self, p: float = 0.5, *, generator: Generator | None = None) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p is {p}; it must be a probability, from 0 to 1")
        self.p = p
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        """Return x, with some numbers zeroed while training."""
        return functional.dropout(x, self.p, self.training, self.generator)

    def extra_repr(self) -> str:
        """Return the probability as torch writes it."""
        return f"p={self.p}"
