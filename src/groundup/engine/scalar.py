"""Value: one number that remembers how it was computed, and what the chain rule makes of that."""

import math
from collections.abc import Callable
from itertools import count
from numbers import Real

from groundup.engine.graph_picture import Box, Picture
from groundup.engine.graph_walk import picture

_numbers = count(1)


class Value:
    """One number, how it was computed, and the derivative of a result with respect to it.

    An operation knows its own slope: y = a · b changes by b if a changes by 1, and by a if b does. That is all that is
    written down while computing: the inputs of y, and ∂y/∂input as a number for each. The rest is the chain rule.

    Suppose L is computed from y₁ … yₙ, and each of these directly from x. A small change dx changes yᵢ by ∂yᵢ/∂x · dx,
    and each of these changes reaches L on its own; to first order they add up:

        dL/dx = Σᵢ dL/dyᵢ · ∂yᵢ/∂x

    `backward` evaluates this sum for every x, beginning at dL/dL = 1. Tensor does the same with arrays, and no more.

    Args:
        data: the number.
        name: for pictures and `repr`.

    Attributes:
        grad: dL/d(this), summed over the calls of `backward` since it was last set to 0.
        operation: what made it; "" for a number that was given.
        inputs: the values it was computed from.
        slopes: ∂(this)/∂(input), one for each of them.

    Raises:
        TypeError: for data that is not one real number.

    Example:
        >>> a, b = Value(2.0, "a"), Value(-3.0, "b")
        >>> loss = (a * b + a**2).tanh()
        >>> loss.backward()
        >>> (a.grad - (1 - loss.data**2) * (b.data + 2 * a.data)) ** 2 < 1e-30  # tanh' = 1 - tanh²
        True
    """

    __slots__ = ("_number", "data", "grad", "inputs", "name", "operation", "slopes")

    def __init__(self, data: float, name: str = "") -> None:
        if not _is_number(data):
            raise TypeError(f"Value: expected one real number, found {data!r} ({type(data).__name__})")
        self.data = float(data)
        self.grad = 0.0
        self.name = name
        self.operation = ""
        self.inputs: tuple[Value, ...] = ()
        self.slopes: tuple[float, ...] = ()
        self._number = next(_numbers)

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"Value(data={self.data:.6g}, grad={self.grad:.6g}{name})"

    def __add__(self, other: "Value | float") -> "Value":
        a, b = self, _value(other)
        return _result("+", a.data + b.data, (a, 1.0), (b, 1.0))

    def __sub__(self, other: "Value | float") -> "Value":
        a, b = self, _value(other)
        return _result("-", a.data - b.data, (a, 1.0), (b, -1.0))

    def __mul__(self, other: "Value | float") -> "Value":
        a, b = self, _value(other)
        return _result("*", a.data * b.data, (a, b.data), (b, a.data))

    def __truediv__(self, other: "Value | float") -> "Value":
        a, b = self, _value(other)
        if b.data == 0:
            raise ZeroDivisionError(f"Value: {a.data:g} / 0 is not a number; add something small to the divisor")
        return _result("/", a.data / b.data, (a, 1 / b.data), (b, -a.data / b.data / b.data))

    def __pow__(self, n: float) -> "Value":
        """Return this to the power of a plain number; for a power that is itself a Value write (b * a.log()).exp()."""
        if not _is_number(n):
            raise TypeError("Value: the exponent of ** is a plain number; for a ** b write (b * a.log()).exp()")
        if (self.data < 0 and n % 1 != 0) or (self.data == 0 and n < 1 and n != 0):
            raise ValueError(f"Value: {self.data:g} ** {n:g} has no real value with a finite slope")
        data = _within(lambda: self.data**n, f"{self.data:g} ** {n:g}")
        slope = _within(lambda: n * self.data ** (n - 1), f"the slope of {self.data:g} ** {n:g}") if n else 0.0
        return _result(f"** {n:g}", data, (self, slope))

    def __neg__(self) -> "Value":
        return _result("neg", -self.data, (self, -1.0))

    def exp(self) -> "Value":
        """Return e to the power of this. It is its own slope."""
        data = _within(lambda: math.exp(self.data), f"exp({self.data:g})")
        return _result("exp", data, (self, data))

    def log(self) -> "Value":
        """Return the natural logarithm; its slope is 1/x."""
        if self.data <= 0:
            raise ValueError(f"Value: log({self.data:g}), but only numbers above 0 have a logarithm")
        return _result("log", math.log(self.data), (self, 1 / self.data))

    def tanh(self) -> "Value":
        """Return the hyperbolic tangent; its slope is 1 - tanh²(x)."""
        data = math.tanh(self.data)
        return _result("tanh", data, (self, 1 - data**2))

    def relu(self) -> "Value":
        """Return max(x, 0); its slope is 1 above 0 and 0 elsewhere, at 0 too (torch's choice)."""
        return _result("relu", max(self.data, 0.0), (self, 1.0 if self.data > 0 else 0.0))

    def __radd__(self, other: float) -> "Value":
        return _value(other) + self

    def __rsub__(self, other: float) -> "Value":
        return _value(other) - self

    def __rmul__(self, other: float) -> "Value":
        return _value(other) * self

    def __rtruediv__(self, other: float) -> "Value":
        return _value(other) / self

    def backward(self) -> None:
        """Add d(this)/dx to the `grad` of every value x that this was computed from, and 1 to its own.

        A value's gradient is complete once everything computed from it has passed its share on. What was computed from
        x was made after x: so values go in falling order of creation. No recursion: a chain may be of any length.
        """
        found, reached = [self], {self}
        for value in found:  # grows while it is gone through
            for x in value.inputs:
                if x not in reached:
                    reached.add(x)
                    found.append(x)
        gradient = dict.fromkeys(found, 0.0)
        gradient[self] = 1.0
        for value in sorted(found, key=lambda value: value._number, reverse=True):
            for x, slope in zip(value.inputs, value.slopes, strict=True):
                gradient[x] += gradient[value] * slope  # the chain rule
            value.grad += gradient[value]

    def draw(self, *, max_nodes: int = 60) -> Picture:
        """Return the picture of how this was computed: with data and grad of each value, and the slope on each edge.

        In a notebook it shows itself, `print` writes it as text, `save` as SVG.

        Example:
            >>> x = Value(3.0, "x")
            >>> print((x * x).draw())
            *       data 9, grad 0
            ├─ ↓ x                  × 3
            x       data 3, grad 0  × 3
        """
        return picture(self, inputs=lambda v: v.inputs, describe=_box, labels=_labels, max_nodes=max_nodes)


def _is_number(x: object) -> bool:
    return isinstance(x, Real) and not isinstance(x, bool)


def _value(x: "Value | float") -> Value:
    return x if isinstance(x, Value) else Value(x)


def _result(operation: str, data: float, *inputs: tuple[Value, float]) -> Value:
    result = Value(data)
    result.operation = operation
    result.inputs = tuple(x for x, _ in inputs)
    result.slopes = tuple(slope for _, slope in inputs)
    return result


def _within(compute: Callable[[], float], what: str) -> float:
    try:
        return compute()
    except OverflowError:
        raise OverflowError(f"Value: {what} is beyond the largest float, 1.8e308; scale the numbers down") from None


def _box(value: Value) -> Box:
    numbers = (f"data {value.data:.4g}", f"grad {value.grad:.4g}")
    if value.operation:
        return Box(title=value.operation, note=value.name, lines=numbers, kind="operation")
    if value.name:
        return Box(title=value.name, lines=numbers, kind="leaf")
    return Box(title=f"{value.data:.4g}", kind="constant")


def _labels(value: Value) -> list[str]:
    return [f"× {slope:.4g}" for slope in value.slopes]
