"""Sums, means and variances over some dimensions, or all; each rule spreads dy over what was reduced."""

import math
from typing import TypeAlias

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.dims import one_dim
from groundup.engine.ops.rules import Array, Result

Dim: TypeAlias = int | tuple[int, ...] | None
"""Which dimensions to reduce: one, several, or all (None)."""


def sum(a: Array, *, dim: Dim = None, keepdim: bool = False) -> Result:
    """Return y = Σ a: ∂y/∂aᵢ = 1, so every element gets dy. Integers and truth values are summed as int64.

    The rule returns a view that repeats dy: nothing is written.

    Example:
        >>> y, (rule,) = sum(np.ones((2, 3)), dim=1)
        >>> y.tolist(), rule(np.array([5.0, 7.0])).tolist()
        ([3.0, 3.0], [[5.0, 5.0, 5.0], [7.0, 7.0, 7.0]])
    """
    axes = reduced("sum", a, dim)
    shape = a.shape
    y = a.sum(axis=axes, keepdims=keepdim, dtype=None if a.dtype.kind == "f" else np.int64)
    return y, (lambda dy: np.broadcast_to(restored(dy, axes, keepdim), shape),)


def mean(a: Array, *, dim: Dim = None, keepdim: bool = False) -> Result:
    """Return y = (1/n) Σ a over n elements: ∂y/∂aᵢ = 1/n. The mean of none is nan.

    Example:
        >>> y, (rule,) = mean(np.array([1.0, 2.0, 6.0]))
        >>> float(y), rule(np.array(3.0)).tolist()
        (3.0, [1.0, 1.0, 1.0])
    """
    _only_floats("mean", a)
    axes = reduced("mean", a, dim)
    shape = a.shape
    n = a.dtype.type(count(a, axes))
    with np.errstate(invalid="ignore"):
        y = a.sum(axis=axes, keepdims=keepdim) / n
    return y, (lambda dy: np.broadcast_to(restored(dy, axes, keepdim) / n, shape),)


def var(a: Array, *, dim: Dim = None, correction: float = 1, keepdim: bool = False) -> Result:
    """Return y = Σ (a - m)² / (n - correction), where m is the mean of the n elements.

    m depends on every element as well, but that adds nothing, since the deviations from the mean add up to 0:

        ∂y/∂aᵢ = 2 (aᵢ - m) / (n - c)  -  (2 / (n - c)) Σⱼ (aⱼ - m) ∂m/∂aᵢ  =  2 (aᵢ - m) / (n - c)

    With correction 1 (Bessel's) the mean of y over samples is the variance of what they were drawn from; with 0 it is
    the variance of the elements themselves. With n ≤ correction it is nan or inf.

    Example:
        >>> y, (rule,) = var(np.array([1.0, 2.0, 6.0]))
        >>> float(y), rule(np.array(1.0)).tolist()
        (7.0, [-2.0, -1.0, 3.0])
    """
    _only_floats("var", a)
    axes = reduced("var", a, dim)
    n = count(a, axes)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviations = a - a.sum(axis=axes, keepdims=True) / a.dtype.type(n)
        y = np.square(deviations).sum(axis=axes, keepdims=keepdim) / a.dtype.type(max(0, n - correction))
        scale = a.dtype.type(2) / a.dtype.type(max(0, n - correction))
    return y, (lambda dy: restored(dy, axes, keepdim) * scale * deviations,)


def std(a: Array, *, dim: Dim = None, correction: float = 1, keepdim: bool = False) -> Result:
    """Return y = √var(a): ∂y/∂a = ∂var/∂a / (2y). Where all elements are equal that is 0/0: nan, as in torch.

    Example:
        >>> float(std(np.array([1.0, 2.0, 3.0]))[0])
        1.0
    """
    _only_floats("std", a)
    variance, (rule,) = var(a, dim=dim, correction=correction, keepdim=keepdim)
    assert rule is not None
    y = np.sqrt(variance)
    return y, (lambda dy: rule(np.asarray(dy / (2 * y))),)


def prod(a: Array, *, dim: Dim = None, keepdim: bool = False) -> Result:
    """Return y = Π a: ∂y/∂aᵢ = Πⱼ≠ᵢ aⱼ, which is y/aᵢ where no element is 0.

    With one 0 among the elements only its own derivative is not 0: the product of the others. With two, none is.

    Example:
        >>> y, (rule,) = prod(np.array([2.0, 0.0, 4.0]))
        >>> float(y), rule(np.array(1.0)).tolist()
        (0.0, [0.0, 8.0, 0.0])
    """
    axes = reduced("prod", a, dim)
    y = a.prod(axis=axes, keepdims=keepdim, dtype=None if a.dtype.kind == "f" else np.int64)

    def rule(dy: Array) -> Array:
        is_zero = a == 0
        n_zeros = is_zero.sum(axis=axes, keepdims=True)
        of_others = np.where(is_zero, 1, a).prod(axis=axes, keepdims=True)  # the product of what is not 0
        alone = np.where(is_zero, n_zeros == 1, n_zeros == 0)  # no other element is 0
        derivative = alone * of_others / np.where(is_zero, 1, a)
        spread: Array = restored(dy, axes, keepdim) * derivative
        return spread.astype(dy.dtype, copy=False)

    return y, (rule,)


def cumsum(a: Array, *, dim: int) -> Result:
    """Return yᵢ = Σⱼ≤ᵢ aⱼ along `dim`: aⱼ is in every yᵢ with i ≥ j, so ∂L/∂aⱼ = Σᵢ≥ⱼ ∂L/∂yᵢ: summed from the end.

    Example:
        >>> y, (rule,) = cumsum(np.array([1.0, 2.0, 3.0]), dim=0)
        >>> y.tolist(), rule(np.array([1.0, 0.0, 5.0])).tolist()
        ([1.0, 3.0, 6.0], [6.0, 5.0, 5.0])
    """
    if a.ndim == 0:
        return a.copy(), (lambda dy: dy,)
    axis = one_dim("cumsum", dim, a.ndim)
    y = a.cumsum(axis=axis, dtype=None if a.dtype.kind == "f" else np.int64)
    return y, (lambda dy: np.flip(np.flip(dy, axis).cumsum(axis=axis), axis),)


def logsumexp(a: Array, *, dim: Dim = None, keepdim: bool = False) -> Result:
    """Return y = ln Σ exp a: ∂y/∂aᵢ = exp aᵢ / Σ exp a = exp(aᵢ - y), the softmax.

    The largest element m is taken out before, y = m + ln Σ exp(a - m): so no exp overflows, and at least one is 1.

    Example:
        >>> round(float(logsumexp(np.array([1000.0, 1000.0]))[0]) - 1000, 6)  # ln 2
        0.693147
    """
    _only_floats("logsumexp", a)
    axes = reduced("logsumexp", a, dim)
    largest = np.max(a, axis=axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, a.dtype.type(0))  # inf - inf would be nan
    with np.errstate(divide="ignore", over="ignore"):
        whole = np.log(np.exp(a - shift).sum(axis=axes, keepdims=True)) + shift
    y = whole if keepdim else whole.reshape(np.delete(whole.shape, axes))

    def rule(dy: Array) -> Array:
        softmax: Array = np.exp(a - whole)  # nan if every element is -inf: 0/0, as in torch
        return restored(dy, axes, keepdim) * softmax

    return y, (rule,)


def reduced(name: str, a: Array, dim: Dim) -> tuple[int, ...]:
    """Return the dimensions to reduce, counted from the front.

    Raises:
        ShapeError: there is no such dimension, or one is named twice.
    """
    if dim is None:
        return tuple(range(a.ndim))
    named = (dim,) if isinstance(dim, int) else tuple(dim)
    if a.ndim == 0 and all(d in (-1, 0) for d in named):
        return ()
    axes = tuple(one_dim(name, d, a.ndim) for d in named)
    if len(set(axes)) < len(axes):
        raise ShapeError(f"{name}: dim={dim} names a dimension of {list(a.shape)} twice; name each once")
    return axes


def restored(dy: Array, axes: tuple[int, ...], keepdim: bool) -> Array:
    """Return dy with the reduced dimensions back, at size 1, so that it broadcasts against the input."""
    if keepdim:
        return dy
    left = iter(dy.shape)
    return dy.reshape([1 if axis in axes else next(left) for axis in range(dy.ndim + len(axes))])


def count(a: Array, axes: tuple[int, ...]) -> int:
    """Return how many elements become one."""
    return math.prod(a.shape[axis] for axis in axes)


def _only_floats(name: str, a: Array) -> None:
    if a.dtype.kind != "f":
        raise DTypeError(f"{name}: not defined for {a.dtype}; convert it first, as by x.float()")
