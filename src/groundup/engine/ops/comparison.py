"""Comparisons, element by element: their outputs are True or False, which no gradient flows through."""

import numpy as np

from groundup.engine.ops.broadcasting import elementwise
from groundup.engine.ops.rules import Array, Result


def equal(a: Array, b: Array) -> Result:
    """y = (a = b)."""
    return elementwise(np.equal, a, b), (None, None)


def not_equal(a: Array, b: Array) -> Result:
    """y = (a ≠ b)."""
    return elementwise(np.not_equal, a, b), (None, None)


def less(a: Array, b: Array) -> Result:
    """y = (a < b)."""
    return elementwise(np.less, a, b), (None, None)


def less_equal(a: Array, b: Array) -> Result:
    """y = (a ≤ b)."""
    return elementwise(np.less_equal, a, b), (None, None)


def greater(a: Array, b: Array) -> Result:
    """y = (a > b)."""
    return elementwise(np.greater, a, b), (None, None)


def greater_equal(a: Array, b: Array) -> Result:
    """y = (a ≥ b)."""
    return elementwise(np.greater_equal, a, b), (None, None)


def isnan(a: Array) -> Result:
    """y = whether a is not a number."""
    return np.isnan(a), (None,)


def isfinite(a: Array) -> Result:
    """y = whether a is a number and not ±inf."""
    return np.isfinite(a), (None,)


def logical_not(a: Array) -> Result:
    """y = not a."""
    return np.logical_not(a), (None,)


def logical_and(a: Array, b: Array) -> Result:
    """y = a and b."""
    return elementwise(np.logical_and, a, b), (None, None)


def logical_or(a: Array, b: Array) -> Result:
    """y = a or b."""
    return elementwise(np.logical_or, a, b), (None, None)
