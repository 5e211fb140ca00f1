"""Element types: which there are, what data becomes, and what two of them become together, as torch has it."""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.rules import Array

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor

DType: TypeAlias = np.dtype[Any]
"""A NumPy element type."""

float32: DType = np.dtype(np.float32)
float64: DType = np.dtype(np.float64)
int64: DType = np.dtype(np.int64)
bool_: DType = np.dtype(np.bool_)

CATEGORIES = {"b": 0, "u": 1, "i": 1, "f": 2}
_OF_PYTHON = (bool_, int64, float32)  # what a Python bool, int and float are when there is nothing to go by


def as_dtype(dtype: Any) -> DType:
    """Return an element type given as the engine's, NumPy's, or as Python's bool, int (int64) or float (float64).

    Raises:
        DTypeError: not a type of truth values, integers or floats.
    """
    try:
        found: DType = np.dtype(dtype)
    except TypeError:
        raise DTypeError(f"{dtype!r} is no element type; give float32, float64, int64 or bool") from None
    if found.kind not in CATEGORIES:
        what = "Python objects (None, dicts, integers beyond 64 bits)" if found.kind == "O" else found
        raise DTypeError(f"tensors hold truth values, integers or floats, not {what}; convert the data first")
    return found


def is_floating(dtype: DType) -> bool:
    """Return whether a gradient can flow through this type."""
    return dtype.kind == "f"


def as_array(data: Any, dtype: Any = None) -> Array:
    """Return data as an array: a NumPy array as it is (not a copy), Python floats as float32, ints as int64.

    Raises:
        ShapeError: lists of unequal lengths.
        DTypeError: something that is no number.

    Example:
        >>> as_array([1, 2]).dtype, as_array([1, 2.5]).dtype
        (dtype('int64'), dtype('float32'))
    """
    if isinstance(data, np.ndarray | np.generic):
        array = np.asarray(data)
        is_python = False
    else:
        try:
            array = np.asarray(data)
        except ValueError as error:
            raise ShapeError(f"tensor: lists at one depth must be of one length ({error})") from None
        is_python = not hasattr(data, "__array__")
    if dtype is not None:
        as_dtype(array.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            array = array.astype(as_dtype(dtype), copy=False)
    elif is_python and array.dtype == float64:
        with np.errstate(over="ignore"):  # beyond float32 is ∞, as in torch
            array = array.astype(float32)
    as_dtype(array.dtype)
    return array


def promoted(a: DType, b: DType) -> DType:
    """Return the type that holds both: a float before an int before a bool; in one category, the wider.

    Unlike NumPy's rule an int64 does not turn a float32 into a float64.
    """
    if a.kind == b.kind:
        return np.promote_types(a, b)
    ours, theirs = CATEGORIES[a.kind], CATEGORIES[b.kind]
    return np.promote_types(a, b) if ours == theirs else a if ours > theirs else b


def together(a: "Tensor", b: "Tensor") -> DType:
    """Return the type of a result of both: a tensor without dimensions widens another only across categories."""
    x, y = a.data.dtype, b.data.dtype
    if (a.data.ndim == 0) != (b.data.ndim == 0):
        whole, single = (y, x) if a.data.ndim == 0 else (x, y)
        return whole if CATEGORIES[whole.kind] >= CATEGORIES[single.kind] else single
    return promoted(x, y)


def for_scalar(value: float, beside: DType) -> DType:
    """Return the type of a result of a Python number and a tensor of type `beside`: a number never widens a float."""
    category = 0 if isinstance(value, bool) else 1 if isinstance(value, int) else 2
    return beside if CATEGORIES[beside.kind] >= category else _OF_PYTHON[category]
