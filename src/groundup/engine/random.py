"""Random tensors from seeded generators: the same seed gives the same numbers, on any machine, whoever else draws."""

from typing import Any, Self

import numpy as np

from groundup.engine.dtypes import as_dtype, float32, float64
from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.shaping import Size, new_sizes
from groundup.engine.tensor import Tensor


class Generator:
    """A stream of random numbers with its own seed; `numbers` is the NumPy generator inside.

    Example:
        >>> bool((randn(3, generator=Generator(1)) == randn(3, generator=Generator(1))).all())
        True
    """

    def __init__(self, seed: int = 0) -> None:
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Self:
        """Begin anew from a seed, a whole number of 0 or more, and return self."""
        if not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"manual_seed: a seed is a whole number of 0 or more, not {seed!r}")
        self.numbers = np.random.default_rng(seed)
        return self

    def get_state(self) -> dict[str, Any]:
        """Return where the stream is: numbers and strings that JSON can hold."""
        return dict(self.numbers.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where `get_state` was."""
        self.numbers.bit_generator.state = state


default_generator = Generator()
"""Draws when no other generator is named. Seeded with 0 on import: a program gives the same numbers each time."""


def manual_seed(seed: int) -> Generator:
    """Begin the default generator anew from a seed, and return it."""
    return default_generator.manual_seed(seed)


def _numbers(generator: Generator | None) -> np.random.Generator:
    return (default_generator if generator is None else generator).numbers


def _floats(name: str, dtype: Any) -> Any:
    found = as_dtype(dtype)
    if found not in (float32, float64):
        raise DTypeError(f"{name}: draws float32 or float64, not {found}; see randint for whole numbers")
    return found.type


def rand(*size: Size, generator: Generator | None = None, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return numbers uniform in [0, 1), of a shape given as sizes or as one tuple."""
    drawn = _numbers(generator).random(new_sizes("rand", size), dtype=_floats("rand", dtype))
    return Tensor(np.asarray(drawn), requires_grad=requires_grad)


def randn(*size: Size, generator: Generator | None = None, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return normal numbers of mean 0 and deviation 1, of a shape given as sizes or as one tuple."""
    drawn = _numbers(generator).standard_normal(new_sizes("randn", size), dtype=_floats("randn", dtype))
    return Tensor(np.asarray(drawn), requires_grad=requires_grad)


def normal(mean: float, std: float, size: Size, *, generator: Generator | None = None, dtype: Any = float32) -> Tensor:
    """Return normal numbers of a mean and a deviation."""
    return randn(size, generator=generator, dtype=dtype) * std + mean


def randint(low: int, high: int, size: Size, *, generator: Generator | None = None) -> Tensor:
    """Return whole numbers uniform in low … high - 1."""
    if low >= high:
        raise ValueError(f"randint: there is no whole number from {low} up to but not including {high}")
    shape = new_sizes("randint", (size,))
    return Tensor(np.asarray(_numbers(generator).integers(low, high, shape, dtype=np.int64)))


def randperm(n: int, *, generator: Generator | None = None) -> Tensor:
    """Return 0 … n - 1 in random order."""
    (n,) = new_sizes("randperm", (n,))
    return Tensor(_numbers(generator).permutation(n).astype(np.int64))


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Return places drawn with probabilities in proportion to the weights of each row: [..., V] -> [..., num_samples].

    Args:
        input: weights, not negative; a row need not add up to 1.
        num_samples: how many to draw from each row.
        replacement: whether the same place can be drawn again.
        generator: of the random numbers.

    Raises:
        ValueError: negative weights, or fewer weights above 0 than draws without replacement.
        ShapeError: a single number, or rows without weights.
    """
    if not input.ndim or not input.shape[-1]:
        raise ShapeError(f"multinomial: weights are [..., V] with V at least 1, not {list(input.shape)}")
    weights = input.data.reshape(-1, input.shape[-1]).astype(np.float64)
    least = 1 if replacement else num_samples
    if not (weights >= 0).all() or ((weights > 0).sum(axis=1) < least).any():
        raise ValueError(
            f"multinomial: each row of {list(input.shape)} needs weights of 0 or more, at least {least} above 0"
        )
    numbers = _numbers(generator)
    rows = [numbers.choice(len(row), num_samples, replacement, row / row.sum()) for row in weights]
    return Tensor(np.array(rows, np.int64).reshape(*input.shape[:-1], num_samples))
