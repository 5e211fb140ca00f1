"""Functions of tensors, element by element: operands brought to one element type, then the operation of that name."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groundup.engine.autograd import apply
from groundup.engine.dtypes import DType, float32, for_scalar, is_floating, together
from groundup.engine.ops import comparison, elementwise
from groundup.engine.ops.rules import Array

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor

Operand: TypeAlias = "Tensor | Array | float"
"""What may stand beside a tensor in arithmetic."""


def cast(a: "Tensor", dtype: DType) -> "Tensor":
    """Return a in another element type; a itself if it has that type already."""
    return a if a.data.dtype == dtype else apply(elementwise.cast, a, dtype=dtype)


def _matched(a: Operand, b: Operand) -> "tuple[Tensor | Array, Tensor | Array]":
    """Return both operands in the element type of their result; Python numbers become arrays without dimensions."""
    if isinstance(a, int | float):
        dtype = for_scalar(a, b.data.dtype)
        return np.array(a, dtype), cast(b, dtype)
    if isinstance(b, int | float):
        dtype = for_scalar(b, a.data.dtype)
        return cast(a, dtype), np.array(b, dtype)
    if isinstance(a, np.ndarray | np.generic):
        a = b._result(np.asarray(a), None)
    if isinstance(b, np.ndarray | np.generic):
        b = a._result(np.asarray(b), None)
    if a.data.dtype is b.data.dtype:
        return a, b
    dtype = together(a, b)
    return cast(a, dtype), cast(b, dtype)


def _floating(a: "Tensor") -> "Tensor":
    """Return a, or if it holds integers or truth values, a as float32: what a function of real numbers needs."""
    return a if is_floating(a.data.dtype) else cast(a, float32)


def add(a: Operand, b: Operand) -> "Tensor":
    """Return a + b."""
    return apply(elementwise.add, *_matched(a, b))


def sub(a: Operand, b: Operand) -> "Tensor":
    """Return a - b."""
    return apply(elementwise.subtract, *_matched(a, b))


def mul(a: Operand, b: Operand) -> "Tensor":
    """Return ab, element by element."""
    return apply(elementwise.multiply, *_matched(a, b))


def div(a: Operand, b: Operand) -> "Tensor":
    """Return a / b, of floats also where both are integers."""
    x, y = _matched(a, b)
    if not is_floating(x.dtype):
        x, y = (
            x.astype(float32) if isinstance(x, np.ndarray) else cast(x, float32),
            y.astype(float32) if isinstance(y, np.ndarray) else cast(y, float32),
        )
    return apply(elementwise.divide, x, y)


def pow(a: Operand, b: Operand) -> "Tensor":
    """Return aᵇ."""
    return apply(elementwise.power, *_matched(a, b))


def maximum(a: Operand, b: Operand) -> "Tensor":
    """Return the larger of both, element by element."""
    return apply(elementwise.maximum, *_matched(a, b))


def minimum(a: Operand, b: Operand) -> "Tensor":
    """Return the smaller of both, element by element."""
    return apply(elementwise.minimum, *_matched(a, b))


def neg(a: "Tensor") -> "Tensor":
    """Return -a."""
    return apply(elementwise.negative, a)


def exp(a: "Tensor") -> "Tensor":
    """Return eᵃ."""
    return apply(elementwise.exp, _floating(a))


def log(a: "Tensor") -> "Tensor":
    """Return the natural logarithm."""
    return apply(elementwise.log, _floating(a))


def sqrt(a: "Tensor") -> "Tensor":
    """Return the square root."""
    return apply(elementwise.sqrt, _floating(a))


def rsqrt(a: "Tensor") -> "Tensor":
    """Return 1 / √a."""
    return pow(_floating(a), -0.5)


def abs(a: "Tensor") -> "Tensor":
    """Return |a|."""
    return apply(elementwise.absolute, a)


def sin(a: "Tensor") -> "Tensor":
    """Return the sine of a in radians."""
    return apply(elementwise.sin, _floating(a))


def cos(a: "Tensor") -> "Tensor":
    """Return the cosine of a in radians."""
    return apply(elementwise.cos, _floating(a))


def tanh(a: "Tensor") -> "Tensor":
    """Return the hyperbolic tangent."""
    return apply(elementwise.tanh, _floating(a))


def square(a: "Tensor") -> "Tensor":
    """Return a²."""
    return mul(a, a)


def clamp(a: "Tensor", min: float | None = None, max: float | None = None) -> "Tensor":
    """Return a moved into [min, max]."""
    return apply(elementwise.clamp, a, minimum=min, maximum=max)


def eq(a: Operand, b: Operand) -> "Tensor":
    """Return where a = b."""
    return apply(comparison.equal, *_matched(a, b))


def ne(a: Operand, b: Operand) -> "Tensor":
    """Return where a ≠ b."""
    return apply(comparison.not_equal, *_matched(a, b))


def lt(a: Operand, b: Operand) -> "Tensor":
    """Return where a < b."""
    return apply(comparison.less, *_matched(a, b))


def le(a: Operand, b: Operand) -> "Tensor":
    """Return where a ≤ b."""
    return apply(comparison.less_equal, *_matched(a, b))


def gt(a: Operand, b: Operand) -> "Tensor":
    """Return where a > b."""
    return apply(comparison.greater, *_matched(a, b))


def ge(a: Operand, b: Operand) -> "Tensor":
    """Return where a ≥ b."""
    return apply(comparison.greater_equal, *_matched(a, b))


def isnan(a: "Tensor") -> "Tensor":
    """Return where a is not a number."""
    return apply(comparison.isnan, a)


def isfinite(a: "Tensor") -> "Tensor":
    """Return where a is neither ±inf nor nan."""
    return apply(comparison.isfinite, a)


def logical_not(a: "Tensor") -> "Tensor":
    """Return where a is False or 0."""
    return apply(comparison.logical_not, a)


def logical_and(a: Operand, b: Operand) -> "Tensor":
    """Return where both are."""
    return apply(comparison.logical_and, *_matched(a, b))


def logical_or(a: Operand, b: Operand) -> "Tensor":
    """Return where one is, or both."""
    return apply(comparison.logical_or, *_matched(a, b))


_ = Any
