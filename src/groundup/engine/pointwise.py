"""Functions of tensors, element by element: operands brought to one element type, then the operation of that name."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groundup.engine.autograd import apply
from groundup.engine.dtypes import DType, as_dtype, float32, float64, for_scalar, int64, is_floating, together
from groundup.engine.errors import DTypeError
from groundup.engine.ops import activation, elementwise
from groundup.engine.ops.rules import Array, Operation

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor

Operand: TypeAlias = "Tensor | Array | float"
"""What may stand beside a tensor in arithmetic."""

_NUMBERS = (int, float)  # a bool is an int
_ARRAYS = (np.ndarray, np.generic)


def cast(a: "Tensor", dtype: DType) -> "Tensor":
    """Return a in another element type; a itself if it has that type already."""
    return a if a.data.dtype == dtype else apply(elementwise.cast, a, dtype=dtype)


def to(a: "Tensor", dtype: Any) -> "Tensor":
    """Return a in an element type of the engine's, NumPy's or Python's; a itself if it has that type already."""
    return cast(a, as_dtype(dtype))


def to_float(a: "Tensor") -> "Tensor":
    """Return a as float32."""
    return cast(a, float32)


def to_double(a: "Tensor") -> "Tensor":
    """Return a as float64."""
    return cast(a, float64)


def to_long(a: "Tensor") -> "Tensor":
    """Return a as int64: floats lose what is behind the point."""
    return cast(a, int64)


def matched(name: str, a: Any, b: Any) -> "tuple[Tensor | Array, Tensor | Array]":
    """Return both operands in the element type of their result, Python numbers as arrays without dimensions.

    Args:
        name: of the operation, for the error.
        a: an Operand.
        b: another; at least one is a tensor.

    Raises:
        DTypeError: something else.
    """
    try:
        if isinstance(b, _NUMBERS):
            dtype = for_scalar(b, a.data.dtype)
            return cast(a, dtype), np.array(b, dtype)
        if isinstance(a, _NUMBERS):
            dtype = for_scalar(a, b.data.dtype)
            return np.array(a, dtype), cast(b, dtype)
        if isinstance(a, _ARRAYS):
            a = b._result(np.asarray(a), None)
        if isinstance(b, _ARRAYS):
            b = a._result(np.asarray(b), None)
        same = a.data.dtype is b.data.dtype
    except AttributeError:
        kinds = f"{type(a).__name__} and {type(b).__name__}"
        raise DTypeError(f"{name}: {kinds} do not go together; give a tensor, and a tensor, array or number") from None
    if same:
        return a, b
    dtype = together(a, b)
    return cast(a, dtype), cast(b, dtype)


def binary(op: Operation, a: Operand, b: Operand) -> "Tensor":
    """Return op(a, b) of operands in the element type of their result."""
    x, y = matched(op.__name__, a, b)
    return apply(op, x, y)


def _real(op: Operation, a: "Tensor") -> "Tensor":
    """Return op(a) for a function of real numbers: integers and truth values are taken as float32."""
    kind = getattr(getattr(a, "data", None), "dtype", None)  # apply refuses what has none
    return apply(op, a if kind is None or is_floating(kind) else cast(a, float32))


def add(a: Operand, b: Operand) -> "Tensor":
    """Return a + b."""
    return binary(elementwise.add, a, b)


def sub(a: Operand, b: Operand) -> "Tensor":
    """Return a - b."""
    return binary(elementwise.subtract, a, b)


def mul(a: Operand, b: Operand) -> "Tensor":
    """Return ab, element by element."""
    return binary(elementwise.multiply, a, b)


def div(a: Operand, b: Operand) -> "Tensor":
    """Return a / b; of integers and truth values as float32."""
    x, y = matched("divide", a, b)
    if not is_floating(x.dtype):
        x, y = (np.asarray(z, float32) if isinstance(z, np.ndarray) else cast(z, float32) for z in (x, y))
    return apply(elementwise.divide, x, y)


def pow(a: Operand, b: Operand) -> "Tensor":
    """Return aᵇ."""
    if type(b) is int and b == 2 and getattr(a, "requires_grad", False):
        return mul(a, a)  # whose gradient takes no power and no logarithm
    return binary(elementwise.power, a, b)


def remainder(a: Operand, b: Operand) -> "Tensor":
    """Return what is left of a divided by b, of the sign of b."""
    return binary(elementwise.remainder, a, b)


def floor_divide(a: Operand, b: Operand) -> "Tensor":
    """Return a / b rounded down."""
    return binary(elementwise.floor_divide, a, b)


def maximum(a: Operand, b: Operand) -> "Tensor":
    """Return the larger of both, element by element."""
    return binary(elementwise.maximum, a, b)


def minimum(a: Operand, b: Operand) -> "Tensor":
    """Return the smaller of both, element by element."""
    return binary(elementwise.minimum, a, b)


def neg(a: "Tensor") -> "Tensor":
    """Return -a."""
    return apply(elementwise.negative, a)


def abs(a: "Tensor") -> "Tensor":
    """Return |a|."""
    return apply(elementwise.absolute, a)


def exp(a: "Tensor") -> "Tensor":
    """Return eᵃ."""
    return _real(elementwise.exp, a)


def log(a: "Tensor") -> "Tensor":
    """Return the natural logarithm."""
    return _real(elementwise.log, a)


def sqrt(a: "Tensor") -> "Tensor":
    """Return the square root."""
    return _real(elementwise.sqrt, a)


def rsqrt(a: "Tensor") -> "Tensor":
    """Return 1 / √a."""
    return div(1.0, sqrt(a))


def reciprocal(a: "Tensor") -> "Tensor":
    """Return 1 / a."""
    return div(1.0, a)


def square(a: "Tensor") -> "Tensor":
    """Return a²."""
    return mul(a, a)


def sin(a: "Tensor") -> "Tensor":
    """Return the sine of a in radians."""
    return _real(elementwise.sin, a)


def cos(a: "Tensor") -> "Tensor":
    """Return the cosine of a in radians."""
    return _real(elementwise.cos, a)


def tanh(a: "Tensor") -> "Tensor":
    """Return the hyperbolic tangent.

    Example:
        >>> from groundup.engine import tensor
        >>> tanh(tensor([0.0, 100.0])).tolist()
        [0.0, 1.0]
    """
    return _real(elementwise.tanh, a)


def relu(a: "Tensor") -> "Tensor":
    """Return a where it is positive, else 0.

    Example:
        >>> from groundup.engine import tensor
        >>> relu(tensor([-2.0, 3.0])).tolist()
        [0.0, 3.0]
    """
    return apply(activation.relu, a)


def sigmoid(a: "Tensor") -> "Tensor":
    """Return 1 / (1 + e⁻ᵃ).

    Example:
        >>> from groundup.engine import tensor
        >>> sigmoid(tensor([0.0, -1e4])).tolist()
        [0.5, 0.0]
    """
    return _real(activation.sigmoid, a)


def clamp(a: "Tensor", min: float | None = None, max: float | None = None) -> "Tensor":
    """Return a moved into [min, max], at least one of them given.

    Raises:
        DTypeError: a bound that is no number: for bounds that are tensors see `maximum` and `minimum`.
        ValueError: no bound.
    """
    for bound in (min, max):
        if bound is not None:
            if not isinstance(bound, _NUMBERS):
                raise DTypeError(f"clamp: a bound is a number, not {type(bound).__name__}; see maximum and minimum")
            a = cast(a, for_scalar(bound, a.data.dtype))
    if min is None and max is None:
        raise ValueError("clamp: neither min nor max is given; give at least one")
    return apply(elementwise.clamp, a, low=min, high=max)


def rsub(a: Operand, b: Operand) -> "Tensor":
    """Return b - a: what Python asks of a for `b - a` if b does not know how."""
    return sub(b, a)


def rdiv(a: Operand, b: Operand) -> "Tensor":
    """Return b / a."""
    return div(b, a)


def rfloor_divide(a: Operand, b: Operand) -> "Tensor":
    """Return b / a rounded down."""
    return floor_divide(b, a)


def rremainder(a: Operand, b: Operand) -> "Tensor":
    """Return what is left of b divided by a."""
    return remainder(b, a)


def rpow(a: Operand, b: Operand) -> "Tensor":
    """Return bᵃ."""
    return pow(b, a)
