"""Largest and smallest elements, their places, and elements in order."""

from collections.abc import Callable
from typing import Any

import numpy as np

from groundup.engine.errors import ShapeError
from groundup.engine.ops.dims import one_dim
from groundup.engine.ops.reduction import Dim, count, reduced, restored
from groundup.engine.ops.rules import Array, Result


def amax(a: Array, *, dim: Dim = None, keepdim: bool = False) -> Result:
    """Return y = max a: the gradient goes to the largest element; if k are equally large, each gets 1/k of it.

    At a tie the maximum has no derivative: any way of sharing that adds up to 1 points uphill, and this one is torch's.

    Example:
        >>> y, (rule,) = amax(np.array([[1.0, 5.0], [4.0, 4.0]]), dim=1)
        >>> y.tolist(), rule(np.ones(2)).tolist()
        ([5.0, 4.0], [[0.0, 1.0], [0.5, 0.5]])
    """
    return _extreme(np.max, "amax", a, dim, keepdim)


def amin(a: Array, *, dim: Dim = None, keepdim: bool = False) -> Result:
    """Return y = min a; see `amax`."""
    return _extreme(np.min, "amin", a, dim, keepdim)


def argmax(a: Array, *, dim: int | None = None, keepdim: bool = False) -> Result:
    """Return the place of the largest element, the first if several are: a whole number, which has no gradient.

    Example:
        >>> argmax(np.array([[1.0, 5.0], [4.0, 4.0]]), dim=1)[0].tolist()
        [1, 0]
    """
    return _place(np.argmax, "argmax", a, dim, keepdim), (None,)


def argmin(a: Array, *, dim: int | None = None, keepdim: bool = False) -> Result:
    """Return the place of the smallest element, the first if several are: a whole number, which has no gradient."""
    return _place(np.argmin, "argmin", a, dim, keepdim), (None,)


def argsort(a: Array, *, dim: int = -1, descending: bool = False) -> Result:
    """Return the places of the elements along `dim` in order of size; equal ones in the order in which they stand.

    Example:
        >>> argsort(np.array([3.0, 1.0, 3.0, 2.0]), descending=True)[0].tolist()
        [0, 2, 3, 1]
    """
    if a.ndim == 0:
        return np.zeros((), np.int64), (None,)
    axis = one_dim("argsort", dim, a.ndim)
    if not descending:
        return np.argsort(a, axis=axis, kind="stable"), (None,)
    # Read backwards, sorted upwards and read backwards again, equal elements keep their order.
    places = np.flip(np.argsort(np.flip(a, axis), axis=axis, kind="stable"), axis)
    return a.shape[axis] - 1 - places, (None,)


def _extreme(of: Callable[..., Any], name: str, a: Array, dim: Dim, keepdim: bool) -> Result:
    axes = reduced(name, a, dim)
    _only_some(name, a, axes)
    whole = of(a, axis=axes, keepdims=True)

    def rule(dy: Array) -> Array:
        chosen = a == whole
        share: Array = chosen / chosen.sum(axis=axes, keepdims=True, dtype=dy.dtype)
        return restored(dy, axes, keepdim) * share

    return whole if keepdim else whole.reshape([n for i, n in enumerate(a.shape) if i not in axes]), (rule,)


def _place(of: Callable[..., Any], name: str, a: Array, dim: int | None, keepdim: bool) -> Array:
    axes = reduced(name, a, dim)
    _only_some(name, a, axes)
    place = of(a, axis=None if dim is None or a.ndim == 0 else axes[0], keepdims=keepdim)
    return np.asarray(place, np.int64)


def _only_some(name: str, a: Array, axes: tuple[int, ...]) -> None:
    if count(a, axes) == 0:
        raise ShapeError(f"{name}: of no elements, over dimensions {list(axes)} of {list(a.shape)}; it has no value")
