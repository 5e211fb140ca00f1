"""Operations that choose numbers, by place or by condition: index, gather, embedding; where, masked_fill.

To choose is linear: y = S x, where each row of S has one 1, at the place that was read. Backward is Sᵀ: each gradient
goes to the place that its number came from, and a place read k times receives the sum of k gradients.
"""

import math

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.broadcasting import does_not_broadcast, unbroadcast
from groundup.engine.ops.dims import one_dim
from groundup.engine.ops.keys import Key, parts, reason
from groundup.engine.ops.rules import Array, Result
from groundup.engine.ops.scatter import add_rows


def index(a: Array, *, key: Key) -> Result:
    """Return a[key] for any key of NumPy's or torch's kind: a view if no array or mask is in it, else a copy.

    Whole numbers, slices, None and … are applied first, and arrays to what they leave; arrays are broadcast together,
    and a mask stands for the arrays of the places where it is true. Arrays that are neighbours put their common shape
    where they stood, others put it in front. This is torch's order; NumPy counts a whole number among the arrays, so
    its x[0, :, [1, 2]] is the transpose of torch's and of ours. Steps of slices may be negative, as in NumPy.

    Raises:
        IndexError: for a number out of range, with the number and the bound.
        ShapeError: for more indices than dimensions, a mask of another shape, or arrays that do not broadcast.
        DTypeError: for an array that is neither of whole numbers nor of booleans.

    Example:
        >>> y, (rule,) = index(np.array([1.0, 2.0, 3.0]), key=np.array([0, 0, 2]))
        >>> y.tolist(), rule(np.ones(3)).tolist()
        ([1.0, 1.0, 3.0], [2.0, 0.0, 1.0])
    """
    before = a.shape
    basic, arrays = parts("index", key if isinstance(key, tuple) else (key,), before)
    between = a[basic]
    if not arrays:

        def scatter(dy: Array) -> Array:
            dx = np.zeros(before, dy.dtype)
            dx[basic] = dy  # a slice reads no place twice
            return dx

        return between, (scatter,)
    try:
        y = between[tuple(arrays.get(dim, slice(None)) for dim in range(max(arrays) + 1))]
    except IndexError:
        raise reason("index", arrays, between.shape) from None
    sizes, is_whole = between.shape, all(item is Ellipsis or item == slice(None) for item in basic)

    def accumulate(dy: Array) -> Array:
        added = _accumulated(dy, arrays, sizes)
        if is_whole:
            return added
        dx = np.zeros(before, dy.dtype)
        dx[basic] = added
        return dx

    return y, (accumulate,)


def _accumulated(dy: Array, arrays: dict[int, Array], shape: tuple[int, ...]) -> Array:
    """Return the gradient of a tensor of `shape` that was read at `arrays`: each part of dy added where it was read."""
    dims = list(arrays)
    rest = [dim for dim in range(len(shape)) if dim not in arrays]
    places = np.broadcast_arrays(*arrays.values())
    flat = np.zeros(places[0].shape, np.int64)
    for dim, place in zip(dims, places, strict=True):
        flat = flat * shape[dim] + np.where(place < 0, place + shape[dim], place)
    are_neighbours = dims[-1] - dims[0] == len(dims) - 1
    at = dims[0] if are_neighbours else 0  # where dy has the dimensions of `flat`
    dy = np.moveaxis(dy, range(at, at + flat.ndim), range(flat.ndim))
    R = math.prod(shape[dim] for dim in rest)
    added = add_rows(flat.reshape(-1), dy.reshape(flat.size, R), math.prod(shape[dim] for dim in dims))
    order = dims + rest
    return added.reshape([shape[dim] for dim in order]).transpose(np.argsort(order))


def gather(a: Array, *, dim: int, index: Array) -> Result:
    """Return numbers of `a` picked along `dim`: y[i, j] = a[index[i, j], j] for dim 0, a[i, index[i, j]] for dim 1.

    `index` has as many dimensions as `a`, and in the others than `dim` at most its sizes.

    Raises:
        DTypeError: unless `index` is of whole numbers.
        ShapeError: for an index of another number of dimensions or larger sizes.
        IndexError: for a number out of 0 … size - 1, with the number and the bound.

    Example:
        >>> y, (rule,) = gather(np.array([[1.0, 2.0], [3.0, 4.0]]), dim=1, index=np.array([[1, 1], [0, 1]]))
        >>> y.tolist(), rule(np.ones((2, 2))).tolist()
        ([[2.0, 2.0], [3.0, 4.0]], [[0.0, 2.0], [1.0, 1.0]])
    """
    dim = one_dim("gather", dim, a.ndim)
    before = a.shape
    is_fit = index.ndim == a.ndim and all(
        d == dim or n <= size for d, (n, size) in enumerate(zip(index.shape, before, strict=True))
    )
    if not is_fit:
        raise ShapeError(
            f"gather: an index of {list(index.shape)} does not fit {list(before)}; it must have as many dimensions, "
            f"and sizes at most as large except in dimension {dim}"
        )
    _check_ids("gather", index, before[dim], f"dimension {dim} of {list(before)}")
    # Places in memory order: the place of each number of `index`, with its coordinate along `dim` replaced.
    places = np.zeros(index.shape, np.int64)
    for d, size in enumerate(before):
        along = index if d == dim else np.arange(index.shape[d]).reshape([-1 if i == d else 1 for i in range(a.ndim)])
        places = places * size + along
    y = a.reshape(-1)[places]

    def rule(dy: Array) -> Array:
        return add_rows(places.reshape(-1), dy.reshape(-1, 1), math.prod(before)).reshape(before)

    return y, (rule,)


def embedding(weight: Array, *, ids: Array, padding_idx: int | None = None) -> Result:
    """Return the rows of `weight` [V, D] that `ids` [...] name: [..., D]. The row `padding_idx` receives no gradient.

    The same as one_hot(ids) @ weight, whose gradient is one_hot(ids)ᵀ @ dy: for each id, the sum of its rows of dy.

    Raises:
        DTypeError: unless `ids` are whole numbers.
        IndexError: for an id out of 0 … V - 1, with the id and the bound.

    Example:
        >>> y, (rule,) = embedding(np.array([[1.0, 1.0], [2.0, 2.0]]), ids=np.array([1, 0, 1]))
        >>> y.tolist(), rule(y).tolist()
        ([[2.0, 2.0], [1.0, 1.0], [2.0, 2.0]], [[1.0, 1.0], [4.0, 4.0]])
    """
    if weight.ndim != 2:
        raise ShapeError(f"embedding: weight must be [V, D], one row for each id, not {list(weight.shape)}")
    V, D = weight.shape
    _check_ids("embedding", ids, V, f"a table of {V} rows")

    def rule(dy: Array) -> Array:
        d_weight = add_rows(ids.reshape(-1), dy.reshape(ids.size, D), V)
        if padding_idx is not None:
            d_weight[padding_idx] = 0
        return d_weight

    return weight[ids], (rule,)


def _check_ids(op: str, ids: Array, n: int, of: str) -> None:
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"{op}: indices are {ids.dtype}; they must be whole numbers (int64)")
    if ids.size and not (ids.min() >= 0 and ids.max() < n):
        outside = ids[(ids < 0) | (ids >= n)]
        raise IndexError(f"{op}: {outside[0]} is out of range for {of}: " + (f"0 to {n - 1}" if n else "it is empty"))


def where(a: Array, b: Array, *, condition: Array) -> Result:
    """Return a where the condition holds and b elsewhere, all three broadcast together.

    With c = 1 where it holds, else 0: y = c a + (1 - c) b, so ∂L/∂a = c dy and ∂L/∂b = (1 - c) dy. It is chosen and not
    multiplied, so NaN on the side not taken stays out of the value and of both gradients.

    Example:
        >>> y, (rule_a, rule_b) = where(np.array([1.0, 2.0]), np.array([9.0]), condition=np.array([True, False]))
        >>> y.tolist(), rule_a(y).tolist(), rule_b(y).tolist()
        ([1.0, 9.0], [1.0, 0.0], [9.0])
    """
    _check_mask("where", condition)
    of_a, of_b = a.shape, b.shape
    try:
        y = np.where(condition, a, b)
    except ValueError:
        raise ShapeError(does_not_broadcast("where", condition.shape, of_a, of_b)) from None
    zero = a.dtype.type(0)
    return y, (
        lambda dy: unbroadcast(np.where(condition, dy, zero), of_a),
        lambda dy: unbroadcast(np.where(condition, zero, dy), of_b),
    )


def masked_fill(a: Array, *, mask: Array, value: float) -> Result:
    """Return a with `value` where the mask is True, both broadcast together; no gradient flows where it was filled.

    Raises:
        DTypeError: for a mask that is not of booleans, or a value that `a` cannot hold.

    Example:
        >>> y, (rule,) = masked_fill(np.array([1.0, 2.0]), mask=np.array([True, False]), value=-np.inf)
        >>> y.tolist(), rule(np.ones(2)).tolist()
        ([-inf, 2.0], [0.0, 1.0])
    """
    _check_mask("masked_fill", mask)
    if a.dtype.kind != "f" and not float(value).is_integer():
        raise DTypeError(f"masked_fill: {a.dtype} cannot hold {value}; fill with a whole number, or convert to floats")
    before = a.shape
    try:
        y = np.where(mask, a.dtype.type(value), a)
    except ValueError:
        raise ShapeError(does_not_broadcast("masked_fill", before, mask.shape)) from None
    return y, (lambda dy: unbroadcast(np.where(mask, dy.dtype.type(0), dy), before),)


def _check_mask(op: str, mask: Array) -> None:
    if mask.dtype != bool:
        raise DTypeError(f"{op}: the condition is {mask.dtype}; it must be of booleans, such as x > 0")
