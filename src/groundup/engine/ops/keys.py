"""The key of x[…] taken apart: what gives a view, and the arrays that choose among what that leaves."""

from types import EllipsisType
from typing import TypeAlias

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.rules import Array

Basic: TypeAlias = int | slice | EllipsisType | None
Key: TypeAlias = Basic | Array | list[int] | list[bool] | tuple[Basic | Array | list[int] | list[bool], ...]
"""What may stand between the brackets of x[…]: whole numbers, slices, None, …, integer arrays, boolean masks."""
Parts: TypeAlias = tuple[tuple[Basic, ...], dict[int, Array]]
"""A key without its arrays, and its arrays by the dimension that each one indexes of what is then left."""


def parts(op: str, key: tuple[Basic | Array | list[int] | list[bool], ...], shape: tuple[int, ...]) -> Parts:
    """Return the key without its arrays, and its arrays by the dimension that each one indexes of what is then left."""
    items = [_as_array(op, item) if isinstance(item, (list, bool, np.bool_, np.ndarray)) else item for item in key]
    n_used = sum(_n_dims(item) for item in items)
    n_ellipses = sum(item is Ellipsis for item in items)
    if n_used > len(shape) or n_ellipses > 1:
        raise ShapeError(
            f"{op}: {n_used} indices and {n_ellipses} ellipses (…) for the {len(shape)} dimensions of {list(shape)}; "
            "each dimension takes one index, and one … stands for those not named"
        )
    basic: list[Basic] = []
    arrays: dict[int, Array] = {}
    dim = left = 0  # dimensions of the tensor read so far, and dimensions that are left of them
    for item in items:
        if isinstance(item, np.ndarray):
            found = _places(op, item, shape, dim)
            arrays |= dict(enumerate(found, left))
            basic += [slice(None)] * len(found) if _n_dims(item) else [None]
            dim, left = dim + _n_dims(item), left + len(found)
        elif item is None or isinstance(item, slice):
            basic.append(item)
            dim, left = dim + _n_dims(item), left + 1
        elif item is Ellipsis:
            basic.append(item)
            dim, left = dim + len(shape) - n_used, left + len(shape) - n_used
        else:
            basic.append(_in_range(op, item, shape, dim))
            dim += 1
    if not n_ellipses:
        basic.append(Ellipsis)  # with it NumPy gives an array even where every index is a number
    return tuple(basic), arrays


def _as_array(op: str, item: Array | list[int] | list[bool] | bool) -> Array | int:
    array = np.asarray(item)
    if not array.size and isinstance(item, list):
        return array.astype(np.int64)  # [] has no numbers to tell their kind from
    if array.dtype.kind not in "iub":
        raise DTypeError(f"{op}: an array of {array.dtype} cannot index; give whole numbers or booleans")
    return int(array) if array.ndim == 0 and array.dtype != bool else array


def _n_dims(item: object) -> int:
    """Return how many dimensions of the tensor an item reads: a mask as many as it has, None and … none."""
    if isinstance(item, np.ndarray) and item.dtype == bool:
        return item.ndim
    return 0 if item is None or item is Ellipsis else 1


def _places(op: str, item: Array, shape: tuple[int, ...], dim: int) -> tuple[Array, ...]:
    """Return integer arrays, for a mask those of the places where it is true."""
    if item.dtype != bool:
        return (item,)
    if not item.ndim:  # True keeps all, False nothing, along a new dimension
        return (np.zeros(int(item), np.int64),)
    wanted = shape[dim : dim + item.ndim]
    if item.shape != wanted:
        raise ShapeError(
            f"{op}: a mask of {list(item.shape)} does not fit {list(shape)} from dimension {dim} on; it must be "
            f"{list(wanted)}"
        )
    return np.nonzero(item)


def _in_range(op: str, item: object, shape: tuple[int, ...], dim: int) -> int:
    if not isinstance(item, (int, np.integer)):
        raise DTypeError(
            f"{op}: {item!r} cannot index; give whole numbers, slices, None, …, arrays of whole numbers or masks"
        )
    if not -shape[dim] <= item < shape[dim]:
        raise IndexError(f"{op}: {item} is out of range for dimension {dim} of {list(shape)}, which {_has(shape[dim])}")
    return int(item)


def _has(size: int) -> str:
    return f"has {size}: {-size} to {size - 1}" if size else "is empty"


def located(op: str, a: Array, key: Key) -> tuple[Array, tuple[Array | slice, ...], dict[int, Array]]:
    """Return a view of a, what to index it by to have a[key] in torch's order, and the arrays in that by dimension.

    Whole numbers, slices, None and … make the view; arrays and masks are left. The same places can be written to:
    view[rest] = numbers.
    """
    if key is Ellipsis:  # all of it, the commonest place to write to
        return a, (), {}
    basic, arrays = parts(op, key if isinstance(key, tuple) else (key,), a.shape)
    last = max(arrays, default=-1)
    return a[basic], tuple(arrays.get(dim, slice(None)) for dim in range(last + 1)), arrays


def reason(op: str, arrays: dict[int, Array], shape: tuple[int, ...]) -> IndexError | ShapeError:
    """Return why NumPy refused these arrays for a tensor of this shape."""
    for dim, array in arrays.items():
        outside = array[(array < -shape[dim]) | (array >= shape[dim])]
        if outside.size:
            return IndexError(
                f"{op}: {outside[0]} is out of range for dimension {dim} of {list(shape)}, which {_has(shape[dim])}"
            )
    shapes = " and ".join(str(list(array.shape)) for array in arrays.values())
    return ShapeError(f"{op}: arrays of {shapes} do not broadcast together; sizes must be equal or 1")
