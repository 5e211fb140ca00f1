"""Arithmetic and functions of one number, element by element: with y = f(a), ∂L/∂a = f'(a) ∂L/∂y."""

import numpy as np

from groundup.engine.ops.broadcasting import elementwise, unbroadcast
from groundup.engine.ops.rules import Array, Result


def add(a: Array, b: Array) -> Result:
    """y = a + b: ∂y/∂a = 1, ∂y/∂b = 1."""
    of_a, of_b = a.shape, b.shape
    return elementwise(np.add, a, b), (lambda dy: unbroadcast(dy, of_a), lambda dy: unbroadcast(dy, of_b))


def subtract(a: Array, b: Array) -> Result:
    """y = a - b: ∂y/∂a = 1, ∂y/∂b = -1."""
    of_a, of_b = a.shape, b.shape
    return elementwise(np.subtract, a, b), (lambda dy: unbroadcast(dy, of_a), lambda dy: unbroadcast(-dy, of_b))


def multiply(a: Array, b: Array) -> Result:
    """y = ab: ∂y/∂a = b, ∂y/∂b = a."""
    of_a, of_b = a.shape, b.shape
    return elementwise(np.multiply, a, b), (lambda dy: unbroadcast(dy * b, of_a), lambda dy: unbroadcast(dy * a, of_b))


def divide(a: Array, b: Array) -> Result:
    """y = a/b: ∂y/∂a = 1/b, ∂y/∂b = -a/b². By zero it is ±inf or nan, as IEEE 754 has it."""
    of_a, of_b = a.shape, b.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        y = elementwise(np.divide, a, b)
    return y, (lambda dy: unbroadcast(dy / b, of_a), lambda dy: unbroadcast(-dy * a / (b * b), of_b))


def power(a: Array, b: Array) -> Result:
    """y = aᵇ: ∂y/∂a = b aᵇ⁻¹, ∂y/∂b = aᵇ ln a.

    At b = 0, y is 1 whatever a is: ∂y/∂a is 0 there, also at a = 0, where the formula reads 0 · ∞. And at a = 0 with
    b > 0, y stays 0 however b moves: ∂y/∂b is 0 there, where the formula reads 0 · -∞.
    """
    of_a, of_b = a.shape, b.shape
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        y = elementwise(np.power, a, b)

    def rule_b(dy: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return unbroadcast(dy * np.where((a == 0) & (b >= 0), 0, y * np.log(a)), of_b)

    def rule_a(dy: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return unbroadcast(dy * np.where(b == 0, 0, b * np.power(a, b - 1)), of_a)

    return y, (rule_a, rule_b)


def negative(a: Array) -> Result:
    """y = -a: ∂y/∂a = -1."""
    return -a, (lambda dy: -dy,)


def exp(a: Array) -> Result:
    """y = eᵃ: ∂y/∂a = eᵃ = y. Keeps the output, not the input."""
    with np.errstate(over="ignore"):
        y = np.exp(a)
    return y, (lambda dy: dy * y,)


def log(a: Array) -> Result:
    """y = ln a: ∂y/∂a = 1/a. Zero gives -inf, a negative number nan."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(a), (lambda dy: dy / a,)


def sqrt(a: Array) -> Result:
    """y = √a: y² = a, so 2y ∂y = ∂a and ∂y/∂a = 1/(2y). Keeps the output."""
    with np.errstate(invalid="ignore"):
        y = np.sqrt(a)
    return y, (lambda dy: dy / (2 * y),)


def absolute(a: Array) -> Result:
    """y = |a|: ∂y/∂a = sign(a), and 0 at 0: the middle of the slopes -1 and 1 that meet there."""
    return np.abs(a), (lambda dy: dy * np.sign(a),)


def sin(a: Array) -> Result:
    """y = sin a: ∂y/∂a = cos a."""
    return np.sin(a), (lambda dy: dy * np.cos(a),)


def cos(a: Array) -> Result:
    """y = cos a: ∂y/∂a = -sin a."""
    return np.cos(a), (lambda dy: -dy * np.sin(a),)


def tanh(a: Array) -> Result:
    """y = tanh a = sinh a / cosh a: ∂y/∂a = (cosh² a - sinh² a) / cosh² a = 1 - y². Keeps the output."""
    y = np.tanh(a)
    return y, (lambda dy: dy * (1 - y * y),)


def maximum(a: Array, b: Array) -> Result:
    """y = max(a, b): the gradient goes to the larger. Where both are equal each gets half, as torch has it."""
    of_a, of_b = a.shape, b.shape
    y = elementwise(np.maximum, a, b)
    return y, (lambda dy: unbroadcast(_share(dy, a, b, y), of_a), lambda dy: unbroadcast(_share(dy, b, a, y), of_b))


def minimum(a: Array, b: Array) -> Result:
    """y = min(a, b): the gradient goes to the smaller. Where both are equal each gets half, as torch has it."""
    of_a, of_b = a.shape, b.shape
    y = elementwise(np.minimum, a, b)
    return y, (lambda dy: unbroadcast(_share(dy, a, b, y), of_a), lambda dy: unbroadcast(_share(dy, b, a, y), of_b))


def _share(dy: Array, chosen: Array, other: Array, y: Array) -> Array:
    """dy where `chosen` alone was taken, half of it where `other` is equal, else 0."""
    weight = (chosen == y).astype(dy.dtype)
    weight[np.broadcast_to(chosen == other, weight.shape)] = 0.5
    return dy * weight


def clamp(a: Array, *, minimum: float | None = None, maximum: float | None = None) -> Result:
    """y = a moved into [minimum, maximum]: ∂y/∂a is 1 inside and at the ends, 0 where a was moved."""
    y = np.clip(a, minimum, maximum)
    return y, (lambda dy: dy * (y == a),)


def cast(a: Array, *, dtype: np.dtype) -> Result:
    """y = a in another element type; the gradient is cast back."""
    of_a = a.dtype
    return a.astype(dtype), (lambda dy: dy.astype(of_a),)
