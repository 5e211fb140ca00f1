"""Broadcasting and its adjoint: what was stretched over a dimension collects the gradients along it."""

from typing import Any

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.rules import Array


def unbroadcast(dy: Array, shape: tuple[int, ...]) -> Array:
    """Return the gradient of an array of `shape` from the gradient of that array broadcast to dy.shape.

    Broadcasting repeats: y[i, j] = a[j] for every i. By the chain rule a[j] collects from all its copies,

        ∂L/∂a[j] = Σᵢ ∂L/∂y[i, j]

    so dy is summed over the dimensions that `shape` does not have, and over those where it has 1.

    Example:
        >>> unbroadcast(np.ones((2, 3)), (3,))
        array([2., 2., 2.])
    """
    if dy.shape == shape:
        return dy
    extra = dy.ndim - len(shape)
    if extra:
        dy = dy.sum(axis=tuple(range(extra)))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and dy.shape[i] != 1)
    if stretched:
        dy = dy.sum(axis=stretched, keepdims=True)
    return dy


def elementwise(ufunc: np.ufunc, a: Array, b: Array) -> Any:
    """Return ufunc(a, b) with broadcasting.

    Raises:
        ShapeError: the shapes cannot be broadcast together.
        DTypeError: the function is not defined for these element types.
    """
    try:
        return ufunc(a, b)
    except ValueError:
        raise ShapeError(does_not_broadcast(ufunc.__name__, a.shape, b.shape)) from None
    except TypeError:
        raise DTypeError(
            f"{ufunc.__name__}: not defined for {a.dtype} and {b.dtype}; convert first, as by x.long() or x.float()"
        ) from None


def does_not_broadcast(operation: str, *shapes: tuple[int, ...]) -> str:
    """Return the message for shapes that cannot be broadcast together."""
    named = " and ".join(str(list(shape)) for shape in shapes)
    return (
        f"{operation}: shapes {named} do not broadcast; counted from the right, two sizes must be equal or one of "
        "them 1: reshape or unsqueeze one of the tensors"
    )
