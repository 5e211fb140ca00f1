"""Comparisons and questions of truth: their outputs are True or False, which no gradient flows through."""

import numpy as np

from groundup.engine.ops.broadcasting import elementwise
from groundup.engine.ops.reduction import Dim, reduced
from groundup.engine.ops.rules import Array, Result


def equal(a: Array, b: Array) -> Result:
    """Return where a = b."""
    return elementwise(np.equal, a, b), (None, None)


def not_equal(a: Array, b: Array) -> Result:
    """Return where a ≠ b."""
    return elementwise(np.not_equal, a, b), (None, None)


def less(a: Array, b: Array) -> Result:
    """Return where a < b."""
    return elementwise(np.less, a, b), (None, None)


def less_equal(a: Array, b: Array) -> Result:
    """Return where a ≤ b."""
    return elementwise(np.less_equal, a, b), (None, None)


def greater(a: Array, b: Array) -> Result:
    """Return where a > b."""
    return elementwise(np.greater, a, b), (None, None)


def greater_equal(a: Array, b: Array) -> Result:
    """Return where a ≥ b."""
    return elementwise(np.greater_equal, a, b), (None, None)


def isnan(a: Array) -> Result:
    """Return where a is not a number."""
    return np.isnan(a), (None,)


def isfinite(a: Array) -> Result:
    """Return where a is a number and not ±inf."""
    return np.isfinite(a), (None,)


def logical_not(a: Array) -> Result:
    """Return where a is False or 0."""
    return np.logical_not(a), (None,)


def logical_and(a: Array, b: Array) -> Result:
    """Return where a and b both hold."""
    return elementwise(np.logical_and, a, b), (None, None)


def logical_or(a: Array, b: Array) -> Result:
    """Return where a or b holds, or both."""
    return elementwise(np.logical_or, a, b), (None, None)


def some(a: Array, *, dim: Dim = None, keepdim: bool = False) -> Result:
    """Return whether some element is not 0; of no elements, False."""
    return np.any(a, axis=reduced("any", a, dim), keepdims=keepdim), (None,)


def every(a: Array, *, dim: Dim = None, keepdim: bool = False) -> Result:
    """Return whether no element is 0; of no elements, True."""
    return np.all(a, axis=reduced("all", a, dim), keepdims=keepdim), (None,)
