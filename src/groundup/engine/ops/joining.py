"""Operations that join arrays: concatenate along a dimension that is there, stack along a new one.

Joining copies each input to its own part of the result, so its gradient is that part of dy.
"""

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.dims import one_dim
from groundup.engine.ops.rules import Array, Result, Rule


def concatenate(*arrays: Array, dim: int = 0) -> Result:
    """Return arrays one after the other along `dim`; their other sizes must be equal.

    Raises:
        ShapeError: without arrays, or if sizes other than along `dim` differ.
        DTypeError: if their element types differ.

    Example:
        >>> y, rules = concatenate(np.ones((1, 2)), np.zeros((2, 2)))
        >>> y.shape, [rule(y).shape for rule in rules]
        ((3, 2), [(1, 2), (2, 2)])
    """
    _check("concatenate", arrays)
    first = arrays[0]
    dim = one_dim("concatenate", dim, first.ndim)
    for array in arrays:
        if array.ndim != first.ndim or any(
            d != dim and n != m for d, (n, m) in enumerate(zip(array.shape, first.shape, strict=True))
        ):
            raise ShapeError(
                f"concatenate: {list(array.shape)} does not fit {list(first.shape)}; sizes must be equal except in "
                f"dimension {dim}"
            )
    rules: list[Rule] = []
    start = 0
    for array in arrays:
        part = (slice(None),) * dim + (slice(start, start + array.shape[dim]),)
        start += array.shape[dim]
        rules.append(_taking(part))
    return np.concatenate(arrays, axis=dim), tuple(rules)


def stack(*arrays: Array, dim: int = 0) -> Result:
    """Return arrays of one shape side by side along a new dimension `dim` of the result.

    Raises:
        ShapeError: without arrays, or if their shapes differ.
        DTypeError: if their element types differ.

    Example:
        >>> y, rules = stack(np.ones(3), np.zeros(3), dim=-1)
        >>> y.shape, rules[0](y).tolist()
        ((3, 2), [1.0, 1.0, 1.0])
    """
    _check("stack", arrays)
    first = arrays[0]
    dim = one_dim("stack", dim, first.ndim + 1)
    for array in arrays:
        if array.shape != first.shape:
            raise ShapeError(
                f"stack: {list(array.shape)} beside {list(first.shape)}; all shapes must be equal (concatenate joins "
                "along a dimension that is there)"
            )
    return np.stack(arrays, axis=dim), tuple(_taking((slice(None),) * dim + (i,)) for i in range(len(arrays)))


def _taking(part: tuple[slice | int, ...]) -> Rule:
    return lambda dy: dy[*part, ...]  # with … an array even where only one number is taken


def _check(op: str, arrays: tuple[Array, ...]) -> None:
    if not arrays:
        raise ShapeError(f"{op}: no tensors were given; give at least one")
    for array in arrays:
        if array.dtype != arrays[0].dtype:
            raise DTypeError(
                f"{op}: {array.dtype} beside {arrays[0].dtype}; all must have one element type: convert some of them"
            )
