"""Functions that rearrange a tensor, pick from it or join several: arguments as torch has them."""

from typing import TYPE_CHECKING, Any

from groundup.engine.autograd import apply
from groundup.engine.ops.rules import Array, Result

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor


def _copy(a: Array) -> Result:
    return a.copy(), (lambda dy: dy,)


def clone(a: "Tensor") -> "Tensor":
    """Return a copy that gradients flow through."""
    return apply(_copy, a)


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given one by one, or as one tuple or list."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes


def reshape(a: "Tensor", *shape: Any) -> "Tensor":
    """Return the same elements in another shape; one size may be -1."""
    from groundup.engine.ops import movement

    return apply(movement.reshape, a, shape=_sizes(shape))


def view(a: "Tensor", *shape: Any) -> "Tensor":
    """Return the same memory in another shape."""
    from groundup.engine.ops import movement

    return apply(movement.view, a, shape=_sizes(shape))


def permute(a: "Tensor", *dims: Any) -> "Tensor":
    """Return a with its dimensions in another order."""
    from groundup.engine.ops import movement

    return apply(movement.permute, a, dims=_sizes(dims))


def transpose(a: "Tensor", dim0: int, dim1: int) -> "Tensor":
    """Return a with two dimensions swapped."""
    order = list(range(a.ndim))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(a, order)


def index(a: "Tensor", key: Any) -> "Tensor":
    """Return a[key]."""
    from groundup.engine.ops import indexing

    return apply(indexing.index, a, key=key)
