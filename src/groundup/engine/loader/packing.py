"""Packing: the arrays of a batch into a block of shared memory, and what is left of the batch around them.

A batch is a nest of tuples, lists and mappings with tensors and arrays in it. Packing writes the elements of these one
after the other into the block, and puts a note of where in their place. The rest, the skeleton, is some hundred bytes
and travels through a pipe; the elements, which are most of a batch, are never pickled.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from groundup.engine.ops.rules import Array
from groundup.engine.tensor import Tensor

_ALIGNMENT = 64
"""Bytes: where a cache line begins, so that two arrays never share one."""


class Placed(NamedTuple):
    """Stands in a skeleton where an array was."""

    offset: int
    """In bytes, from the start of the block."""
    shape: tuple[int, ...]
    dtype: str
    is_tensor: bool


def take_apart(batch: Any) -> tuple[Any, list[tuple[Placed, Array]], int]:
    """Return the skeleton of a batch, its arrays with their places, and the bytes that they need together.

    Example:
        >>> skeleton, arrays, n_bytes = take_apart(("a", Tensor([1.0, 2.0])))
        >>> skeleton, n_bytes
        (('a', Placed(offset=0, shape=(2,), dtype='<f4', is_tensor=True)), 64)
    """
    arrays: list[tuple[Placed, Array]] = []
    end = 0

    def place(leaf: Any) -> Any:
        nonlocal end
        array = leaf.data if type(leaf) is Tensor else leaf
        if type(array) is not np.ndarray or array.dtype.hasobject or array.dtype.names:
            return leaf  # travels in the skeleton
        placed = Placed(end, array.shape, array.dtype.str, type(leaf) is Tensor)
        arrays.append((placed, array))
        end += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        return placed

    return _rebuilt(batch, place), arrays, end


def write(arrays: list[tuple[Placed, Array]], block: memoryview) -> None:
    """Copy each array to its place in the block."""
    for placed, array in arrays:
        _view(placed, block)[...] = array


def put_together(skeleton: Any, block: memoryview) -> Any:
    """Return the batch again, with arrays of its own: the block is free for another.

    Example:
        >>> skeleton, arrays, n_bytes = take_apart({"x": Tensor([1.0, 2.0]), "name": "b"})
        >>> block = memoryview(bytearray(n_bytes))
        >>> write(arrays, block)
        >>> put_together(skeleton, block)
        {'x': tensor([1., 2.]), 'name': 'b'}
    """

    def copy(leaf: Any) -> Any:
        if type(leaf) is not Placed:
            return leaf
        array = _view(leaf, block).copy()
        return Tensor(array) if leaf.is_tensor else array

    return _rebuilt(skeleton, copy)


def _view(placed: Placed, block: memoryview) -> Array:
    return np.ndarray(placed.shape, placed.dtype, block, placed.offset)


def _rebuilt(node: Any, leaf: Callable[[Any], Any]) -> Any:
    kind = type(node)
    if kind is Placed:
        return leaf(node)
    if kind is tuple or kind is list:
        return kind([_rebuilt(child, leaf) for child in node])
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return kind(*[_rebuilt(child, leaf) for child in node])
    if kind is dict or (isinstance(node, Mapping) and hasattr(node, "copy") and hasattr(node, "__setitem__")):
        rebuilt = node.copy()  # so that an OrderedDict stays one
        for key, child in node.items():
            rebuilt[key] = _rebuilt(child, leaf)
        return rebuilt
    return leaf(node)
