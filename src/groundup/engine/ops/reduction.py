"""Sums, means, extremes and their kin over some dimensions, or all; each rule spreads dy over what was reduced."""

import math

import numpy as np

from groundup.engine.errors import ShapeError
from groundup.engine.ops.rules import Array, Result

Dim = int | tuple[int, ...] | None
"""Which dimensions to reduce: one, several, or all (None)."""


def sum(a: Array, *, dim: Dim = None, keepdim: bool = False) -> Result:
    """y = Σ a: ∂y/∂aᵢ = 1, so every element gets dy. A view that repeats dy is enough."""
    axes = _axes("sum", a, dim)
    shape = a.shape
    y = a.sum(axis=axes, keepdims=keepdim)
    return y, (lambda dy: np.broadcast_to(_restored(dy, axes, keepdim), shape),)


def mean(a: Array, *, dim: Dim = None, keepdim: bool = False) -> Result:
    """y = (1/n) Σ a: ∂y/∂aᵢ = 1/n."""
    axes = _axes("mean", a, dim)
    shape = a.shape
    n = math.prod(shape[i] for i in axes)
    with np.errstate(invalid="ignore"):
        y = a.sum(axis=axes, keepdims=keepdim) / a.dtype.type(n)
    return y, (lambda dy: np.broadcast_to(_restored(dy, axes, keepdim) / dy.dtype.type(n), shape),)


def _axes(name: str, a: Array, dim: Dim) -> tuple[int, ...]:
    """Return the dimensions as a tuple of numbers from 0."""
    if dim is None:
        return tuple(range(a.ndim))
    axes = (dim,) if isinstance(dim, int) else tuple(dim)
    positive = tuple(axis + a.ndim if axis < 0 else axis for axis in axes)
    if any(not 0 <= axis < max(a.ndim, 1) for axis in positive) or len(set(positive)) < len(positive):
        raise ShapeError(
            f"{name}: dim={dim} of shape {list(a.shape)}; each must be in {-a.ndim} … {a.ndim - 1}, and named once"
        )
    return positive if a.ndim else ()


def _restored(dy: Array, axes: tuple[int, ...], keepdim: bool) -> Array:
    """Return dy with the reduced dimensions back, at size 1, so that it broadcasts against the input."""
    return dy if keepdim else np.expand_dims(dy, axes)
