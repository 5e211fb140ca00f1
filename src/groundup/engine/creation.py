"""Tensors from data, filled with a value, or counted."""

from typing import Any

import numpy as np

from groundup.engine.dtypes import as_array, as_dtype, float32
from groundup.engine.errors import DTypeError
from groundup.engine.ops.rules import Array
from groundup.engine.shaping import Size, new_sizes
from groundup.engine.tensor import Tensor


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor with a copy of data: a number, nested lists of numbers, an array, or another tensor.

    Python floats become float32, ints int64; an array keeps its element type.

    Example:
        >>> tensor([[1, 2], [3, 4]])
        tensor([[1, 2],
                [3, 4]])
    """
    array = as_array(data.data if isinstance(data, Tensor) else data, dtype)
    return Tensor(array.copy(), requires_grad=requires_grad)


def as_tensor(data: Any, *, dtype: Any = None) -> Tensor:
    """Return data as a tensor, on the same memory if it is an array of that type; a tensor of that type as it is."""
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    return Tensor(data, dtype=dtype)


def from_numpy(array: Array) -> Tensor:
    """Return a tensor on the array's own memory: a change of one is a change of the other."""
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"from_numpy: expected an array, found a {type(array).__name__}; use tensor()")
    return Tensor(array)


def empty(*size: Size, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return a tensor of a shape, given as sizes or as one tuple, with whatever was in that memory."""
    return Tensor(np.empty(new_sizes("empty", size), as_dtype(dtype)), requires_grad=requires_grad)


def zeros(*size: Size, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return zeros of a shape, given as sizes or as one tuple."""
    return Tensor(np.zeros(new_sizes("zeros", size), as_dtype(dtype)), requires_grad=requires_grad)


def ones(*size: Size, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return ones of a shape, given as sizes or as one tuple."""
    return Tensor(np.ones(new_sizes("ones", size), as_dtype(dtype)), requires_grad=requires_grad)


def full(size: Size, fill_value: float, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return one value everywhere; its kind gives the element type: 1.0 float32, 1 int64, True bool.

    Example:
        >>> full((2, 3), 7)
        tensor([[7, 7, 7],
                [7, 7, 7]])
    """
    return Tensor(
        np.full(new_sizes("full", (size,)), fill_value, as_array(fill_value, dtype).dtype), requires_grad=requires_grad
    )


def zeros_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return zeros of the shape and type of a tensor."""
    return zeros(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def ones_like(input: Tensor, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return ones of the shape and type of a tensor."""
    return ones(input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def full_like(input: Tensor, fill_value: float, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return one value everywhere, of the shape and type of a tensor."""
    return full(input.shape, fill_value, dtype=dtype or input.dtype, requires_grad=requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return the matrix [n, m] (m = n if left out) with ones on its diagonal and zeros elsewhere."""
    rows, columns = new_sizes("eye", (n, n if m is None else m))
    return Tensor(np.eye(rows, columns, dtype=as_dtype(dtype)), requires_grad=requires_grad)


def arange(
    start: float, end: float | None = None, step: float = 1, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """Return start, start + step, … as long as it is below end (above, for a negative step); one number is the end.

    Example:
        >>> arange(3), arange(0, 1, 0.5)
        (tensor([0, 1, 2]), tensor([0.0000, 0.5000]))
    """
    if end is None:
        start, end = 0, start
    if not all(isinstance(x, int | float | np.number) for x in (start, end, step)) or step == 0:
        raise ValueError(f"arange: start, end and step are numbers, step not 0; found {start!r}, {end!r} and {step!r}")
    if dtype is None:
        dtype = float32 if any(isinstance(x, float) for x in (start, end, step)) else np.int64
    return Tensor(np.arange(start, end, step).astype(as_dtype(dtype)), requires_grad=requires_grad)


def linspace(start: float, end: float, steps: int, *, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return `steps` numbers from start to end, both included, at equal distances."""
    (steps,) = new_sizes("linspace", (steps,))
    return Tensor(np.linspace(start, end, steps).astype(as_dtype(dtype)), requires_grad=requires_grad)
