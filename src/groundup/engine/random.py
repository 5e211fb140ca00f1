"""Random tensors from a seeded generator: the same seed gives the same numbers, on every machine."""

from typing import Any

import numpy as np

from groundup.engine.dtypes import float32, int64
from groundup.engine.tensor import Tensor


class Generator:
    """A source of random numbers with its own seed."""

    def __init__(self, seed: int = 0) -> None:
        self.numbers = np.random.default_rng(seed)

    def manual_seed(self, seed: int) -> "Generator":
        """Begin anew from a seed."""
        self.numbers = np.random.default_rng(seed)
        return self


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Begin the default generator anew from a seed, and return it."""
    return default_generator.manual_seed(seed)


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes


def randn(*size: Any, generator: Generator | None = None, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return normal numbers of mean 0 and deviation 1."""
    numbers = (generator or default_generator).numbers
    return Tensor(numbers.standard_normal(_sizes(size), dtype=dtype), requires_grad=requires_grad)


def rand(*size: Any, generator: Generator | None = None, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return numbers uniform in [0, 1)."""
    numbers = (generator or default_generator).numbers
    return Tensor(numbers.random(_sizes(size), dtype=dtype), requires_grad=requires_grad)


def randint(low: int, high: int, size: tuple[int, ...], *, generator: Generator | None = None) -> Tensor:
    """Return integers uniform in low … high - 1."""
    return Tensor((generator or default_generator).numbers.integers(low, high, size, dtype=int64))


def randperm(n: int, *, generator: Generator | None = None) -> Tensor:
    """Return 0 … n - 1 in random order."""
    return Tensor((generator or default_generator).numbers.permutation(n))
