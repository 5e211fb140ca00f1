"""Tensors from data, filled with a value, or counted."""

from typing import Any

import numpy as np

from groundup.engine.dtypes import as_array, float32
from groundup.engine.ops.rules import Array
from groundup.engine.tensor import Tensor


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor with a copy of data: a number, nested lists, or an array."""
    array = as_array(data.data if isinstance(data, Tensor) else data, dtype)
    return Tensor(np.array(array), requires_grad=requires_grad)


def from_numpy(array: Array) -> Tensor:
    """Return a tensor on the array's own memory: a change of one is a change of both."""
    return Tensor(array)


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes


def zeros(*size: Any, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return zeros of a shape, given as sizes or as one tuple."""
    return Tensor(np.zeros(_sizes(size), dtype), requires_grad=requires_grad)


def ones(*size: Any, dtype: Any = float32, requires_grad: bool = False) -> Tensor:
    """Return ones of a shape, given as sizes or as one tuple."""
    return Tensor(np.ones(_sizes(size), dtype), requires_grad=requires_grad)


def full(size: tuple[int, ...], fill_value: float, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of one value everywhere."""
    return Tensor(np.full(size, fill_value, as_array(fill_value, dtype).dtype), requires_grad=requires_grad)


def arange(start: float, end: float | None = None, step: float = 1, *, dtype: Any = None) -> Tensor:
    """Return start, start + step, … below end; one argument counts from 0."""
    if end is None:
        start, end = 0, start
    if dtype is None and any(isinstance(x, float) for x in (start, end, step)):
        dtype = float32
    return Tensor(np.arange(start, end, step, dtype=dtype))


def zeros_like(a: Tensor, *, dtype: Any = None) -> Tensor:
    """Return zeros of a's shape and type."""
    return Tensor(np.zeros(a.shape, dtype or a.dtype))


def ones_like(a: Tensor, *, dtype: Any = None) -> Tensor:
    """Return ones of a's shape and type."""
    return Tensor(np.ones(a.shape, dtype or a.dtype))
