"""Functions of tensors whose answers are True or False, and the operators that put such answers together."""

from typing import TYPE_CHECKING, Any

from groundup.engine.autograd import apply
from groundup.engine.dtypes import bool_
from groundup.engine.errors import DTypeError
from groundup.engine.ops import comparison
from groundup.engine.pointwise import Operand, binary

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor


def eq(a: Operand, b: Operand) -> "Tensor":
    """Return where a = b."""
    return binary(comparison.equal, a, b)


def ne(a: Operand, b: Operand) -> "Tensor":
    """Return where a ≠ b."""
    return binary(comparison.not_equal, a, b)


def lt(a: Operand, b: Operand) -> "Tensor":
    """Return where a < b."""
    return binary(comparison.less, a, b)


def le(a: Operand, b: Operand) -> "Tensor":
    """Return where a ≤ b."""
    return binary(comparison.less_equal, a, b)


def gt(a: Operand, b: Operand) -> "Tensor":
    """Return where a > b."""
    return binary(comparison.greater, a, b)


def ge(a: Operand, b: Operand) -> "Tensor":
    """Return where a ≥ b."""
    return binary(comparison.greater_equal, a, b)


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
    """Return where both a and b hold."""
    return binary(comparison.logical_and, a, b)


def logical_or(a: Operand, b: Operand) -> "Tensor":
    """Return where a or b holds, or both."""
    return binary(comparison.logical_or, a, b)


def both(a: Operand, b: Operand) -> "Tensor":
    """Return a & b of truth values."""
    return logical_and(_truth("&", a), _truth("&", b))


def either(a: Operand, b: Operand) -> "Tensor":
    """Return a | b of truth values."""
    return logical_or(_truth("|", a), _truth("|", b))


def opposite(a: "Tensor") -> "Tensor":
    """Return ~a of truth values."""
    return logical_not(_truth("~", a))


def _truth(operator: str, a: Any) -> Any:
    """Return a, having refused numbers: there torch's operators work on bits, which these do not."""
    kind = getattr(a, "dtype", type(a))
    if kind not in (bool, bool_):
        raise DTypeError(
            f"{operator}: defined for truth values, such as x > 0, not for {getattr(kind, '__name__', kind)}; compare "
            "first, or use logical_and, logical_or, logical_not"
        )
    return a
