"""Operations that move numbers and change none: reshape, permute, expand, pad, flip and their kin.

Each is a linear map whose matrix P has entries 0 and 1: y = P x, so dL/dx = Pᵀ dL/dy. Where P only renames places
(reshape, permute, flip), Pᵀ undoes the renaming. Where it writes one number to several places (expand), Pᵀ adds them
up. Where a place of x is left out (a crop), its gradient is 0.
"""

import math

import numpy as np

from groundup.engine.errors import ShapeError
from groundup.engine.ops.broadcasting import unbroadcast
from groundup.engine.ops.dims import one_dim
from groundup.engine.ops.rules import Array, Result


def reshape(a: Array, *, shape: tuple[int, ...]) -> Result:
    """Return `a` with the same numbers, in the same order, as another shape; one size may be -1: what is left.

    Raises:
        ShapeError: if the counts differ.

    Example:
        >>> y, (rule,) = reshape(np.arange(6.0), shape=(2, -1))
        >>> y.shape, rule(y).shape
        ((2, 3), (6,))
    """
    return _reshaped("reshape", a, shape)


def _reshaped(op: str, a: Array, shape: tuple[int, ...]) -> Result:
    try:
        y = None if min(shape, default=0) < -1 else a.reshape(shape)  # NumPy takes any negative number for -1
    except (ValueError, TypeError):
        y = None
    if y is None:
        raise ShapeError(_cannot_reshape(op, a.shape, shape))
    before = a.shape
    return y, (lambda dy: dy.reshape(before),)


def view(a: Array, *, shape: tuple[int, ...]) -> Result:
    """Return `reshape` without a copy: the result shares memory with `a`.

    Raises:
        ShapeError: if the counts differ, or if the strides of `a` allow no view of that shape.

    Example:
        >>> view(np.ones((2, 3)).T, shape=(6,))
        Traceback (most recent call last):
        groundup.engine.errors.ShapeError: view: [3, 2] as [6] is not one run of memory; use reshape
    """
    y, rules = _reshaped("view", a, shape)
    if a.size and not np.may_share_memory(y, a):  # a fresh copy has other bounds
        raise ShapeError(f"view: {list(a.shape)} as {list(y.shape)} is not one run of memory; use reshape")
    return y, rules


def _cannot_reshape(op: str, before: tuple[int, ...], shape: tuple[int, ...]) -> str:
    wanted = list(shape) if isinstance(shape, (tuple, list)) else shape
    start = f"{op}: {list(before)} holds {math.prod(before)} numbers"
    if isinstance(wanted, list) and all(isinstance(size, (int, np.integer)) for size in wanted):
        if min(wanted, default=0) < -1 or wanted.count(-1) > 1:
            return f"{start}; {wanted} is no shape: sizes are 0 or more, and one of them may be -1 for what is left"
        if -1 not in wanted:
            return f"{start}, and {wanted} would hold {math.prod(wanted)}; the two must be equal"
        known = -math.prod(wanted)
        return (
            f"{start}; what is left for the -1 in {wanted} is {math.prod(before)} / {known}, which is no whole number"
        )
    return f"{start}; {wanted!r} is no shape: give whole numbers"


def permute(a: Array, *, dims: tuple[int, ...]) -> Result:
    """Return a view of `a` with its dimensions in the order `dims`: y.shape[i] = a.shape[dims[i]].

    The gradient goes back by the inverse permutation, which is argsort(dims).

    Raises:
        ShapeError: unless `dims` names each dimension once.

    Example:
        >>> y, (rule,) = permute(np.ones((2, 3, 4)), dims=(2, 0, 1))
        >>> y.shape, rule(y).shape
        ((4, 2, 3), (2, 3, 4))
    """
    try:
        y = a.transpose(dims)
    except (ValueError, TypeError):
        for dim in dims:
            one_dim("permute", dim, a.ndim)
        raise ShapeError(
            f"permute: dims {list(dims)} must name each of the {a.ndim} dimensions of {list(a.shape)} exactly once"
        ) from None
    inverse = [0] * a.ndim
    for place, dim in enumerate(dims):
        inverse[dim] = place  # a negative one counts from the back here too
    return y, (lambda dy: dy.transpose(inverse),)


def transpose(a: Array, *, dim0: int, dim1: int) -> Result:
    """Return a view of `a` with two dimensions exchanged; exchanging twice is the identity, so backward is the same.

    Example:
        >>> y, (rule,) = transpose(np.ones((2, 3, 4)), dim0=-2, dim1=-1)
        >>> y.shape, rule(y).shape
        ((2, 4, 3), (2, 3, 4))
    """
    dim0, dim1 = one_dim("transpose", dim0, a.ndim), one_dim("transpose", dim1, a.ndim)
    return a.swapaxes(dim0, dim1), (lambda dy: dy.swapaxes(dim0, dim1),)


def expand(a: Array, *, shape: tuple[int, ...]) -> Result:
    """Return a read-only view of `a` repeated to `shape`, without copies: dimensions of size 1 are read many times.

    New dimensions may stand in front; -1 keeps a size. One number of `a` is in many places of the result, so its
    gradient is the sum over them.

    Raises:
        ShapeError: if a size other than 1 would change, or if dimensions would be lost.

    Example:
        >>> y, (rule,) = expand(np.array([[1.0], [2.0]]), shape=(2, 3))
        >>> y.tolist(), rule(y).tolist()
        ([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]], [[3.0], [6.0]])
    """
    before, n_new = a.shape, len(shape) - a.ndim
    old = (1,) * n_new + before
    sizes = tuple(old[i] if size == -1 and i >= n_new else size for i, size in enumerate(shape))
    if n_new < 0 or any(size != was and (was != 1 or size < 0) for size, was in zip(sizes, old, strict=True)):
        raise ShapeError(
            f"expand: {list(before)} cannot become {list(shape)}: only sizes of 1 may grow, new dimensions stand in "
            "front, and -1 keeps the size of a dimension that was there"
        )
    return np.broadcast_to(a, sizes), (lambda dy: unbroadcast(dy, before),)


def squeeze(a: Array, *, dim: int | tuple[int, ...] | None = None) -> Result:
    """Return a view without the dimensions of size 1: all of them, or those in `dim` (others there stay, as in torch).

    Example:
        >>> squeeze(np.ones((1, 3, 1)))[0].shape, squeeze(np.ones((1, 3, 1)), dim=(0, 1))[0].shape
        ((3,), (3, 1))
    """
    before = a.shape
    named = range(a.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    gone = {one_dim("squeeze", d, a.ndim) for d in named}
    after = tuple(size for d, size in enumerate(before) if size != 1 or d not in gone)
    return a.reshape(after), (lambda dy: dy.reshape(before),)


def unsqueeze(a: Array, *, dim: int) -> Result:
    """Return a view with a new dimension of size 1 at `dim` of the result.

    Example:
        >>> unsqueeze(np.ones((2, 3)), dim=-1)[0].shape
        (2, 3, 1)
    """
    before = a.shape
    at = one_dim("unsqueeze", dim, a.ndim + 1)
    return a.reshape(*before[:at], 1, *before[at:]), (lambda dy: dy.reshape(before),)


def pad(a: Array, *, pad: tuple[int, ...], value: float = 0.0) -> Result:
    """Return `a` with `value` around it: `pad` is (before, after) of the last dimension, then of the one before, ….

    The order is torch's. Negative numbers crop. What is padded is a constant, so the gradient is the middle of dy; what
    was cropped has gradient 0.

    Raises:
        ShapeError: for an odd count of numbers, more pairs than dimensions, or a crop larger than the dimension.

    Example:
        >>> y, (rule,) = pad(np.ones((1, 2)), pad=(1, 0, 0, 1))
        >>> y.tolist(), rule(y).tolist()
        ([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]], [[1.0, 1.0]])
    """
    if len(pad) % 2 or len(pad) > 2 * a.ndim:
        raise ShapeError(
            f"pad: {list(pad)} must be pairs (before, after) from the last dimension on, at most {a.ndim} for "
            f"{list(a.shape)}"
        )
    pairs = [(0, 0)] * (a.ndim - len(pad) // 2) + list(zip(pad[-2::-2], pad[::-2], strict=True))
    shape = tuple(first + size + last for size, (first, last) in zip(a.shape, pairs, strict=True))
    if any(size + min(0, first) + min(0, last) < 0 for size, (first, last) in zip(a.shape, pairs, strict=True)):
        raise ShapeError(f"pad: {list(pad)} crops more than {list(a.shape)} has; crop less")
    # Of each dimension, the part of `a` that stays and the place where it comes to lie.
    source = tuple(
        slice(max(0, -first), size - max(0, -last)) for size, (first, last) in zip(a.shape, pairs, strict=True)
    )
    target = tuple(slice(max(0, first), size - max(0, last)) for size, (first, last) in zip(shape, pairs, strict=True))
    y = np.full(shape, value, a.dtype)
    y[target] = a[source]
    before, is_cropped = a.shape, min(pad, default=0) < 0

    def rule(dy: Array) -> Array:
        if not is_cropped:
            return dy[target]
        dx = np.zeros(before, dy.dtype)
        dx[source] = dy[target]
        return dx

    return y, (rule,)


def flip(a: Array, *, dims: int | tuple[int, ...]) -> Result:
    """Return a view of `a` read backwards along `dims`.

    Example:
        >>> flip(np.arange(3.0), dims=0)[0].tolist()
        [2.0, 1.0, 0.0]
    """
    named = {one_dim("flip", dim, a.ndim) for dim in (dims if isinstance(dims, (tuple, list)) else (dims,))}
    key = tuple(slice(None, None, -1 if dim in named else None) for dim in range(a.ndim))
    return a[key], (lambda dy: dy[key],)
