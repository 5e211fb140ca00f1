"""Changing a tensor in place: the rules that leaves, views and dtypes set, and the functions ending in _.

While gradients are recorded, x.mul_(y) is x·y followed by a copy into the memory of x: x gets the history of the copy.
What was computed from x before keeps its own history; if that needs the old numbers, the backward pass says so.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from groundup.engine import changes, pointwise
from groundup.engine.autograd import Node, is_grad_enabled
from groundup.engine.dtypes import CATEGORIES
from groundup.engine.errors import DTypeError, GradientError, ShapeError
from groundup.engine.ops.broadcasting import unbroadcast
from groundup.engine.ops.keys import located, reason
from groundup.engine.ops.rules import Array, Rule
from groundup.engine.pointwise import Operand
from groundup.engine.shaping import clone, plain_key

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor


def setitem(a: "Tensor", key: Any, value: Operand) -> None:
    """Write value, broadcast, to the places `key` of a: the gradient of value comes from them, that of a from the rest.

    Raises:
        GradientError: a is a leaf that requires a gradient, or a view of one, outside `no_grad`.
        ShapeError: value does not broadcast to what `key` selects, or `key` has more indices than a has dimensions.
        IndexError: a place that a does not have.
        DTypeError: a float is written into integers, or an integer into truth values.
    """
    _write(a, plain_key(key), value, "setitem")


def copy_(a: "Tensor", b: Operand) -> "Tensor":
    """Write b, broadcast, over a."""
    return _write(a, ..., b, "copy_")


def fill_(a: "Tensor", value: float) -> "Tensor":
    """Write one number everywhere."""
    return _write(a, ..., value, "fill_")


def zero_(a: "Tensor") -> "Tensor":
    """Write zeros everywhere."""
    return _write(a, ..., 0, "zero_")


def add_(a: "Tensor", b: Operand, *, alpha: float = 1) -> "Tensor":
    """Add alpha · b to a."""
    return _calculate(a, b if alpha == 1 else pointwise.mul(b, alpha), pointwise.add, np.add)


def sub_(a: "Tensor", b: Operand, *, alpha: float = 1) -> "Tensor":
    """Subtract alpha · b from a."""
    return _calculate(a, b if alpha == 1 else pointwise.mul(b, alpha), pointwise.sub, np.subtract)


def mul_(a: "Tensor", b: Operand) -> "Tensor":
    """Multiply a by b."""
    return _calculate(a, b, pointwise.mul, np.multiply)


def div_(a: "Tensor", b: Operand) -> "Tensor":
    """Divide a by b."""
    return _calculate(a, b, pointwise.div, np.divide)


def clamp_(a: "Tensor", min: float | None = None, max: float | None = None) -> "Tensor":
    """Move a into [min, max]."""
    return _write(a, ..., pointwise.clamp(a, min, max), "clamp_")


def _calculate(a: "Tensor", b: Operand, function: Callable[[Operand, Operand], "Tensor"], ufunc: np.ufunc) -> "Tensor":
    """Put function(a, b) in the place of a; without a record, by the ufunc, which needs no memory in between."""
    other: Any = getattr(b, "data", b) if not isinstance(b, np.ndarray) else b
    if is_grad_enabled() and (a._requires_grad or getattr(b, "_requires_grad", False)):
        before = clone(a) if getattr(b, "_requires_grad", False) else a  # the gradient of b may need a as it was
        return _write(a, ..., function(before, b), f"{ufunc.__name__}_")
    _check_kind(a, np.true_divide(1, 1) if ufunc is np.divide else other, f"{ufunc.__name__}_")
    _check_writable(a, f"{ufunc.__name__}_")
    try:
        ufunc(a.data, other, out=a.data, casting="same_kind")
    except ValueError:
        raise ShapeError(_does_not_fit(f"{ufunc.__name__}_", np.shape(other), a.shape)) from None
    changes.note(a.data)
    return a


def _write(a: "Tensor", key: Any, value: Operand, name: str) -> "Tensor":
    """Write value to the places `key` of a, and record that if either requires a gradient."""
    number: Any = getattr(value, "data", value) if not isinstance(value, np.ndarray) else value
    source: Any = value if getattr(value, "_requires_grad", False) else None
    recorded = is_grad_enabled() and (a._requires_grad or source is not None)
    if recorded:
        _check_history(a, name)
    _check_kind(a, number, name)
    _check_writable(a, name)
    place, rest, arrays = located(name, a.data, key)
    try:
        place[rest] = number
    except ValueError:
        raise ShapeError(_does_not_fit(name, np.shape(number), place[rest].shape)) from None
    except IndexError:
        raise reason(name, arrays, place.shape) from None
    changes.note(a.data, recorded=recorded)
    if recorded:
        _record(a, key, source, np.shape(number), name)
    return a


def _record(a: "Tensor", key: Any, source: "Tensor | None", shape: tuple[int, ...], name: str) -> None:
    """Make the history of a: what a was outside `key`, what `source` is at `key`."""
    of_a, of_source = a.data.dtype, None if source is None else source.data.dtype

    def rule_a(dy: Array) -> Array:
        dx = dy.copy()
        place, rest, _ = located(name, dx, key)
        place[rest] = 0
        return dx

    def rule_source(dy: Array) -> Array:
        place, rest, _ = located(name, dy, key)
        chosen = np.asarray(place[rest])
        while chosen.ndim < len(shape):  # dimensions of size 1 in front, which writing ignored
            chosen = chosen[None]
        return unbroadcast(chosen, shape).astype(of_source, copy=False)

    old = a._node
    rules: list[Rule | None] = [None if old is None else rule_a, None if source is None else rule_source]
    parents = [old, None if source is None else source if source._node is None else source._node]
    a._node = Node(name, parents, rules, a.data)
    if old is not None:  # retain_grad() was asked of the tensor, not of the operation that made it first
        a._node.retained, old.retained = old.retained, None
    a._requires_grad = of_a.kind == "f"


def _check_history(a: "Tensor", name: str) -> None:
    """Refuse a leaf that requires a gradient, and a view of one: its own gradient would be that of lost numbers."""
    if a._node is None:
        if a._requires_grad:
            raise GradientError(
                f"{name}: in-place change of a leaf that requires a gradient; do it under no_grad(), or on a clone()"
            )
        return
    parent: Node | Tensor | None = a._node
    while isinstance(parent, Node) and len(parent.inputs) == 1:  # views have one input
        parent = parent.inputs[0]
    if isinstance(parent, Node) or parent is None:
        return
    if changes.owner_of(parent.data) is changes.owner_of(a.data):
        raise GradientError(
            f"{name}: in-place change of a view of a leaf that requires a gradient; do it under no_grad(), or on a "
            "clone()"
        )


def _check_kind(a: "Tensor", value: Any, name: str) -> None:
    """Refuse to write floats into integers, or integers into truth values: digits would be lost in silence."""
    kind = np.asarray(value).dtype
    if kind.kind not in CATEGORIES:
        raise DTypeError(
            f"{name}: numbers can be written, {type(value).__name__} cannot; give a tensor, array or number"
        )
    if CATEGORIES[kind.kind] > CATEGORIES[a.data.dtype.kind]:
        raise DTypeError(
            f"{name}: a result of {kind} cannot be kept in a tensor of {a.data.dtype}; convert it with to()"
        )


def _check_writable(a: "Tensor", name: str) -> None:
    if not a.data.flags.writeable:
        raise GradientError(
            f"{name}: this memory cannot be written to: it is an expanded view, or an array that came read-only; "
            "clone() it first"
        )


def _does_not_fit(name: str, value: tuple[int, ...], place: tuple[int, ...]) -> str:
    return (
        f"{name}: a value of shape {list(value)} does not broadcast to {list(place)}, and the place cannot grow; "
        "reshape the value"
    )
