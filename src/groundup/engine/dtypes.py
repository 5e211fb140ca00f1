"""Element types: which there are, what data becomes, and what two of them become together, as torch has it."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groundup.engine.ops.rules import Array

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor

DType: TypeAlias = np.dtype[Any]
"""A NumPy element type."""

float32: DType = np.dtype(np.float32)
float64: DType = np.dtype(np.float64)
int64: DType = np.dtype(np.int64)
bool_: DType = np.dtype(np.bool_)

_CATEGORIES = {"b": 0, "u": 1, "i": 1, "f": 2}
_OF_PYTHON = (bool_, int64, float32)  # what a Python bool, int and float are when there is nothing to go by


def is_floating(dtype: DType) -> bool:
    """Return whether a gradient can flow through this type."""
    return dtype.kind == "f"


def as_array(data: Any, dtype: Any = None) -> Array:
    """Return data as an array: a NumPy array as it is (not a copy), Python floats as float32, ints as int64.

    Example:
        >>> as_array([1, 2]).dtype, as_array([1, 2.5]).dtype
        (dtype('int64'), dtype('float32'))
    """
    if not isinstance(data, np.ndarray | np.generic):
        array = np.asarray(data)
        if dtype is None and array.dtype == float64 and not hasattr(data, "__array__"):
            dtype = float32
        data = array
    return np.asarray(data, dtype=dtype)


def promoted(a: DType, b: DType) -> DType:
    """Return the type that holds both: a float before an int before a bool; in one category, the wider.

    Unlike NumPy's rule an int64 does not turn a float32 into a float64.
    """
    if a.kind == b.kind:
        return np.promote_types(a, b)
    ours, theirs = _CATEGORIES[a.kind], _CATEGORIES[b.kind]
    return np.promote_types(a, b) if ours == theirs else a if ours > theirs else b


def together(a: "Tensor", b: "Tensor") -> DType:
    """Return the type of a result of both: a tensor without dimensions widens another only across categories."""
    x, y = a.data.dtype, b.data.dtype
    if (a.data.ndim == 0) != (b.data.ndim == 0):
        whole, single = (y, x) if a.data.ndim == 0 else (x, y)
        return whole if _CATEGORIES[whole.kind] >= _CATEGORIES[single.kind] else single
    return promoted(x, y)


def for_scalar(value: float, beside: DType) -> DType:
    """Return the type of a result of a Python number and a tensor of type `beside`: a number never widens a float."""
    category = 0 if isinstance(value, bool) else 1 if isinstance(value, int) else 2
    return beside if _CATEGORIES[beside.kind] >= category else _OF_PYTHON[category]
