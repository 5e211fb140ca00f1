"""The types that every operation shares: what it takes, and what it returns.

An operation computes y = f(a, b, …) and returns, beside y, one rule for each array that it took. If L is the number at
the end of the computation, a rule turns dy = ∂L/∂y into ∂L/∂a by the chain rule:

    ∂L/∂aᵢ = Σⱼ (∂L/∂yⱼ) (∂yⱼ/∂aᵢ)

which is the transposed Jacobian times dy: linear in dy, and never written out as a matrix. A rule is a closure: the
arrays that it names stay in memory until the backward pass has been through, and no others do. So a rule should name
as few as it can: `shape = a.shape` before the lambda, if all it needs of `a` is the shape.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
"""A NumPy array of any shape and element type."""

Rule: TypeAlias = Callable[[Array], Array]
"""∂L/∂(output) -> ∂L/∂(one input), of exactly that input's shape and dtype.

It changes neither its argument nor an array of its closure. It may return its argument, or a view of it.
"""

Result: TypeAlias = tuple[Array, tuple[Rule | None, ...]]
"""The output, and a rule for each array that the operation took; None where no gradient can flow."""

Operation: TypeAlias = Callable[..., Result]
"""Arrays by position, settings (dimensions, shapes, indices, masks) by name."""
