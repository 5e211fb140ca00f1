"""Inputs for proving the engine's operations: shapes, layouts and settings made from a stream of whole numbers.

The same recipes serve twice: in the tests the whole numbers are chosen by hypothesis, which looks for the smallest case
that fails; in `groundup verify` by a seeded generator.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from groundup.engine.ops.rules import Array

T = TypeVar("T")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """What one call of an operation takes."""

    inputs: tuple[Array, ...]
    """By position."""
    settings: dict[str, Any] = field(default_factory=dict)
    """By name."""


class Choices:
    """Draws shapes, numbers and settings.

    Args:
        choose: returns a whole number from low to high, both included.

    Example:
        >>> lowest = Choices(lambda low, high: low)
        >>> lowest.shape(2, 3, smallest=1), lowest.numbers((2,))[0].shape
        ((1, 1), (2,))
    """

    def __init__(self, choose: Callable[[int, int], int]) -> None:
        self.number = choose

    def flag(self) -> bool:
        """Return False or True."""
        return bool(self.number(0, 1))

    def one(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[self.number(0, len(options) - 1)]

    def size(self, smallest: int = 0) -> int:
        """Return a size of at most 4, in one of ten cases 0."""
        return max(smallest, self.one((1, 0, 2, 3, 4, 1, 2, 3, 4, 2)))

    def shape(self, least: int = 0, most: int = 3, smallest: int = 0) -> Shape:
        """Return `least` to `most` sizes."""
        return tuple(self.size(smallest) for _ in range(self.number(least, most)))

    def beside(self, shape: Shape) -> Shape:
        """Return a shape that broadcasts to `shape`: without some leading dimensions, and 1 here and there."""
        kept = shape[self.number(0, len(shape)) :] if self.flag() else shape
        return tuple(1 if self.flag() else size for size in kept)

    def both(self, shape: Shape) -> tuple[Shape, Shape]:
        """Return two shapes that broadcast together."""
        other = self.beside(shape)
        return (other, shape) if self.flag() else (shape, other)

    def dim(self, n_dims: int) -> int:
        """Return a dimension, counted from the front or from the back."""
        return self.number(-n_dims, n_dims - 1)

    def dims(self, n_dims: int) -> int | tuple[int, ...] | None:
        """Return one dimension, several, or None for all."""
        if not n_dims or self.number(0, 2) == 0:
            return None
        chosen = tuple(d for d in range(n_dims) if self.flag())
        return chosen if len(chosen) > 1 else self.dim(n_dims)

    def order(self, n_dims: int) -> tuple[int, ...]:
        """Return all dimensions in some order."""
        left = list(range(n_dims))
        return tuple(left.pop(self.number(0, len(left) - 1)) for _ in range(n_dims))

    def numbers(self, *shapes: Shape, low: float = -2.0, high: float = 2.0) -> tuple[Array, ...]:
        """Return float64 arrays of these shapes, in various layouts.

        No two of all their numbers are equal, and none is 0: at kinks such as those of max and |x| there is no
        derivative to compare with. What happens there is tested by itself.
        """
        counts = [math.prod(shape) for shape in shapes]
        total = sum(counts)
        order = np.random.default_rng(self.number(0, 999)).permutation(total)
        # An even grid, moved by 0.37 of a step: so 0, and a number's negative, are not on it.
        values = low + (high - low) * (order + 0.37) / max(1, total)
        parts = np.split(values, np.cumsum(counts)[:-1]) if shapes else []
        return tuple(self.layout(part.reshape(shape)) for part, shape in zip(parts, shapes, strict=True))

    def layout(self, array: Array) -> Array:
        """Return the same numbers, read-only, lying in memory in order, in reverse, by columns, or with gaps."""
        kind = self.number(0, 3) if array.ndim else 0
        if kind == 1:
            array = array[::-1].copy()[::-1]
        elif kind == 2:
            array = array.T.copy().T
        elif kind == 3:
            array = np.repeat(array, 2, axis=-1)[..., ::2]
        array = array[...]
        array.flags.writeable = False  # an operation that changes its input is caught
        return array

    def mask(self, shape: Shape) -> Array:
        """Return booleans."""
        return np.asarray(np.random.default_rng(self.number(0, 999)).random(shape) < self.one((0.5, 0.0, 1.0)))

    def places(self, shape: Shape, size: int, *, negative: bool = False) -> Array:
        """Return whole numbers below `size`, some of them several times."""
        generator = np.random.default_rng(self.number(0, 999))
        return np.asarray(generator.integers(-size if negative else 0, size, shape))

    def key(self, shape: Shape) -> Any:  # noqa: ANN401 - a key has many types
        """Return what may stand between the brackets of x[…] in NumPy and torch, for x of this shape."""
        common = self.shape(0, 2, smallest=1)
        items: list[Any] = []
        dim, rest = 0, self.number(0, len(shape))  # dimensions from `rest` on are not named, or … stands for them
        while dim < rest:
            kind = self.number(0, 5)
            if kind == 0 and shape[dim]:
                items.append(self.dim(shape[dim]))
            elif kind == 1 and shape[dim]:
                items.append(self.places(self.beside(common), shape[dim], negative=True))
            elif kind == 2 and not any(isinstance(item, np.ndarray) for item in items):
                n_dims = self.number(1, rest - dim)
                items.append(self.mask(shape[dim : dim + n_dims]))
                common, dim = (1,), dim + n_dims - 1  # the number of True is not known to other arrays: only 1 fits
            else:
                start, stop = self.number(-5, 5), self.number(-5, 5)
                items.append(slice(start, stop, self.number(1, 2)) if kind == 3 else slice(None))
            dim += 1
        if rest < len(shape) and self.flag():
            items.append(...)
        if self.flag():
            items.insert(self.number(0, len(items)), None)
        return items[0] if len(items) == 1 and self.flag() else tuple(items)
