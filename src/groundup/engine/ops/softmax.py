"""Softmax and its logarithm along one dimension."""

import numpy as np

from groundup.engine.errors import DTypeError
from groundup.engine.ops.dims import one_dim
from groundup.engine.ops.rules import Array, Result


def softmax(x: Array, *, dim: int) -> Result:
    """Return y = e^x / Σ e^x along `dim`: positive numbers whose sum is 1.

    The largest x is subtracted first. That changes nothing, as e^(x-m) / Σ e^(x-m) = e^x / Σ e^x, but the largest
    power is e⁰ = 1, so nothing overflows, and the sum is at least 1.

    Derivation. By the quotient rule ∂yᵢ/∂xⱼ = yᵢ (δᵢⱼ - yⱼ), where δᵢⱼ is 1 if i = j, else 0. So

        ∂L/∂xⱼ = Σᵢ dyᵢ yᵢ (δᵢⱼ - yⱼ) = yⱼ (dyⱼ - Σᵢ dyᵢ yᵢ)

    Only y is kept.

    Example:
        >>> y, (rule,) = softmax(np.array([0.0, 1000.0, 1000.0]), dim=0)
        >>> y.tolist(), rule(np.array([0.0, 1.0, -1.0])).tolist()
        ([0.0, 0.5, 0.5], [0.0, 0.5, -0.5])
    """
    dim = _checked("softmax", x, dim)
    with np.errstate(invalid="ignore", over="ignore"):  # a row of -∞ has no softmax: nan, as in torch
        y = x - _largest(x, dim)
        np.exp(y, out=y)
        y /= _sum(y, dim)

    def rule(dy: Array) -> Array:
        dx: Array = dy * y
        np.subtract(dy, _sum(dx, dim), out=dx)
        dx *= y
        return dx

    return y, (rule,)


def log_softmax(x: Array, *, dim: int) -> Result:
    """Return y = ln softmax(x) = x - ln Σ e^x along `dim`, without the powers that would be 0 or ∞.

    Derivation. ∂/∂xⱼ ln Σ e^x = e^xⱼ / Σ e^x = e^yⱼ, so ∂yᵢ/∂xⱼ = δᵢⱼ - e^yⱼ and

        ∂L/∂xⱼ = dyⱼ - e^yⱼ Σᵢ dyᵢ

    Only y is kept.

    Example:
        >>> y, (rule,) = log_softmax(np.array([0.0, 1000.0]), dim=0)
        >>> y.tolist(), rule(np.array([1.0, 0.0])).tolist()
        ([-1000.0, 0.0], [1.0, -1.0])
    """
    dim = _checked("log_softmax", x, dim)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        y = x - _largest(x, dim)
        y -= np.log(_sum(np.exp(y), dim))

    def rule(dy: Array) -> Array:
        dx: Array = np.exp(y)
        dx *= _sum(dy, dim)
        np.subtract(dy, dx, out=dx)
        return dx

    return y, (rule,)


def _sum(a: Array, dim: int) -> Array:
    """Return Σ a along `dim`, which stays as size 1; along the last one as a product with ones, five times as fast."""
    total: Array = a @ np.ones((a.shape[-1], 1), a.dtype) if dim == a.ndim - 1 else a.sum(dim, keepdims=True)
    return total if a.ndim > 1 else total.reshape(1)


def _largest(x: Array, dim: int) -> Array:
    """Return max(x) along `dim`, which stays as size 1; of an empty dimension 0, which nothing needs."""
    largest: Array = x.max(dim, keepdims=True) if x.shape[dim] else x.sum(dim, keepdims=True)
    return largest


def _checked(op: str, x: Array, dim: int) -> int:
    if x.dtype.kind != "f":
        raise DTypeError(f"{op}: a tensor of {x.dtype}; it must hold floats: convert it with .float()")
    return one_dim(op, dim, x.ndim)
