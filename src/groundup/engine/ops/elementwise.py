"""Arithmetic and functions of numbers, element by element: with y = f(a), ∂L/∂a = f'(a) ∂L/∂y.

Each element of y depends on one element of each input, so the Jacobian is diagonal and the chain rule is a product,
element by element. Inputs of two shapes are broadcast, which `unbroadcast` undoes for their gradients.
"""

from typing import Any

import numpy as np

from groundup.engine.errors import DTypeError
from groundup.engine.ops.broadcasting import elementwise, unbroadcast
from groundup.engine.ops.rules import Array, Result


def add(a: Array, b: Array) -> Result:
    """Return y = a + b: ∂y/∂a = 1, ∂y/∂b = 1. Keeps only shapes.

    Example:
        >>> y, (rule_a, rule_b) = add(np.ones((2, 3)), np.array([1.0, 2.0, 3.0]))
        >>> rule_b(np.ones((2, 3))).tolist()  # b was used by both rows
        [2.0, 2.0, 2.0]
    """
    of_a, of_b = a.shape, b.shape
    return elementwise(np.add, a, b), (lambda dy: unbroadcast(dy, of_a), lambda dy: unbroadcast(dy, of_b))


def subtract(a: Array, b: Array) -> Result:
    """Return y = a - b: ∂y/∂a = 1, ∂y/∂b = -1. Keeps only shapes."""
    of_a, of_b = a.shape, b.shape
    return elementwise(np.subtract, a, b), (lambda dy: unbroadcast(dy, of_a), lambda dy: -unbroadcast(dy, of_b))


def multiply(a: Array, b: Array) -> Result:
    """Return y = ab: ∂y/∂a = b, ∂y/∂b = a. Each rule keeps the other input.

    Example:
        >>> y, (rule_a, rule_b) = multiply(np.array([2.0, 3.0]), np.array(10.0))
        >>> rule_a(np.ones(2)).tolist(), rule_b(np.ones(2)).tolist()
        ([10.0, 10.0], 5.0)
    """
    of_a, of_b = a.shape, b.shape
    return elementwise(np.multiply, a, b), (lambda dy: unbroadcast(dy * b, of_a), lambda dy: unbroadcast(dy * a, of_b))


def divide(a: Array, b: Array) -> Result:
    """Return y = a/b: ∂y/∂a = 1/b, ∂y/∂b = -a/b². Division by zero gives ±inf or nan, as IEEE 754 has it."""
    of_a, of_b = a.shape, b.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        y = elementwise(np.divide, a, b)
    return y, (lambda dy: unbroadcast(dy / b, of_a), lambda dy: unbroadcast(-dy * a / (b * b), of_b))


def power(a: Array, b: Array) -> Result:
    """Return y = aᵇ: ∂y/∂a = b aᵇ⁻¹, ∂y/∂b = aᵇ ln a.

    At b = 0, y is 1 whatever a is, so ∂y/∂a is 0, also at a = 0, where the formula reads 0 · ∞. At a = 0 and b ≥ 0
    ∂y/∂b is taken as 0, where the formula reads 0 · -∞. Both are torch's choice.

    Raises:
        DTypeError: a negative power of integers, which is no integer.

    Example:
        >>> y, (rule_a, rule_b) = power(np.array([2.0, 3.0]), np.array(3.0))
        >>> y.tolist(), rule_a(np.ones(2)).tolist()
        ([8.0, 27.0], [12.0, 27.0])
    """
    if a.dtype.kind != "f" and (b < 0).any():
        raise DTypeError(f"power: a negative power of {a.dtype} is no {a.dtype}; convert it first, as by x.float()")
    of_a, of_b = a.shape, b.shape
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        y = elementwise(np.power, a, b).astype(a.dtype, copy=False)  # of truth values NumPy's is int8

    def rule_a(dy: Array) -> Array:
        slope = dy * (b * np.power(a, b - b.dtype.type(1)))
        return unbroadcast(np.where(b == 0, b.dtype.type(0), slope), of_a)

    def rule_b(dy: Array) -> Array:
        slope = dy * (y * np.log(a))
        return unbroadcast(np.where((a == 0) & (b >= 0), a.dtype.type(0), slope), of_b)

    return y, (rule_a, rule_b)


def remainder(a: Array, b: Array) -> Result:
    """Return y = a - b⌊a/b⌋, of the sign of b: ∂y/∂a = 1, ∂y/∂b = -⌊a/b⌋ between the jumps."""
    _not_by_zero("remainder", b)
    of_a, of_b = a.shape, b.shape
    with np.errstate(divide="ignore", invalid="ignore"):
        y = elementwise(np.remainder, a, b).astype(a.dtype, copy=False)
    return y, (lambda dy: unbroadcast(dy, of_a), lambda dy: unbroadcast(-dy * np.floor(a / b), of_b))


def floor_divide(a: Array, b: Array) -> Result:
    """Return y = ⌊a/b⌋, which moves in jumps: no gradient flows.

    Raises:
        ZeroDivisionError: integers divided by 0, where floats give ±inf or nan; so for `remainder`.
    """
    _not_by_zero("floor_divide", b)
    with np.errstate(divide="ignore", invalid="ignore"):
        return elementwise(np.floor_divide, a, b).astype(a.dtype, copy=False), (None, None)


def _not_by_zero(name: str, b: Array) -> None:
    if b.dtype.kind != "f" and not b.all():
        raise ZeroDivisionError(f"{name}: {b.dtype} divided by 0 is no {b.dtype}; convert to floats for inf and nan")


def negative(a: Array) -> Result:
    """Return y = -a: ∂y/∂a = -1.

    Raises:
        DTypeError: truth values.
    """
    if a.dtype.kind == "b":
        raise DTypeError("negative: of truth values there is none; use ~ for `not`, or convert first, as by x.long()")
    return -a, (lambda dy: -dy,)


def absolute(a: Array) -> Result:
    """Return y = |a|: ∂y/∂a = sign(a), and 0 at 0: the middle of the slopes -1 and 1 that meet there."""
    return np.abs(a), (lambda dy: dy * np.sign(a),)


def exp(a: Array) -> Result:
    """Return y = eᵃ: ∂y/∂a = eᵃ = y. Keeps the output, not the input."""
    with np.errstate(over="ignore"):
        y = np.exp(a)
    return y, (lambda dy: dy * y,)


def log(a: Array) -> Result:
    """Return y = ln a: a = eʸ, so ∂a/∂y = a and ∂y/∂a = 1/a. Zero gives -inf, a negative number nan."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(a), (lambda dy: dy / a,)


def sqrt(a: Array) -> Result:
    """Return y = √a: a = y², so ∂a/∂y = 2y and ∂y/∂a = 1/(2y). Keeps the output."""
    with np.errstate(invalid="ignore"):
        y = np.sqrt(a)
    return y, (lambda dy: dy / (2 * y),)


def sin(a: Array) -> Result:
    """Return y = sin a: ∂y/∂a = cos a."""
    with np.errstate(invalid="ignore"):
        return np.sin(a), (lambda dy: dy * np.cos(a),)


def cos(a: Array) -> Result:
    """Return y = cos a: ∂y/∂a = -sin a."""
    with np.errstate(invalid="ignore"):
        return np.cos(a), (lambda dy: -dy * np.sin(a),)


def tanh(a: Array) -> Result:
    """Return y = sinh a / cosh a: ∂y/∂a = (cosh² a - sinh² a) / cosh² a = 1 - y². Keeps the output."""
    y = np.tanh(a)
    return y, (lambda dy: dy * (1 - y * y),)


def maximum(a: Array, b: Array) -> Result:
    """Return y = max(a, b): the gradient goes to the larger. Where both are equal each gets half, as in torch.

    Example:
        >>> y, (rule_a, rule_b) = maximum(np.array([1.0, 2.0, 3.0]), np.array(2.0))
        >>> rule_a(np.ones(3)).tolist(), rule_b(np.ones(3)).tolist()
        ([0.0, 0.5, 1.0], 1.5)
    """
    of_a, of_b = a.shape, b.shape
    y = elementwise(np.maximum, a, b)
    return y, (
        lambda dy: unbroadcast(dy * _share(a > b, a == b, dy), of_a),
        lambda dy: unbroadcast(dy * _share(b > a, a == b, dy), of_b),
    )


def minimum(a: Array, b: Array) -> Result:
    """Return y = min(a, b): the gradient goes to the smaller. Where both are equal each gets half, as in torch."""
    of_a, of_b = a.shape, b.shape
    y = elementwise(np.minimum, a, b)
    return y, (
        lambda dy: unbroadcast(dy * _share(a < b, a == b, dy), of_a),
        lambda dy: unbroadcast(dy * _share(b < a, a == b, dy), of_b),
    )


def _share(taken: Array, equal: Array, dy: Array) -> Array:
    """Return 1 where this input was taken, ½ where both are equal, else 0; nan is neither."""
    share: Array = taken + dy.dtype.type(0.5) * equal
    return share


def clamp(a: Array, *, low: float | None = None, high: float | None = None) -> Result:
    """Return a moved into [low, high]: ∂y/∂a is 1 inside and at the ends, 0 where a was moved.

    Example:
        >>> y, (rule,) = clamp(np.array([-2.0, 0.5, 1.0]), low=0.0, high=1.0)
        >>> y.tolist(), rule(np.ones(3)).tolist()
        ([0.0, 0.5, 1.0], [0.0, 1.0, 1.0])
    """
    y = np.clip(a, low, high)
    inside = y == a
    return y, (lambda dy: dy * inside,)


def copy(a: Array) -> Result:
    """Return y = a in memory of its own: ∂y/∂a = 1."""
    return a.copy(), (lambda dy: dy,)


def cast(a: Array, *, dtype: "np.dtype[Any]") -> Result:
    """Return y = a in another element type; the gradient is cast back."""
    of_a = a.dtype
    with np.errstate(over="ignore", invalid="ignore"):
        return a.astype(dtype), (lambda dy: dy.astype(of_a),)
