"""Functions that rearrange a tensor, pick from it or join several: arguments as torch has them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from groundup.engine.autograd import apply
from groundup.engine.dtypes import promoted
from groundup.engine.errors import DTypeError, ShapeError, not_tensors
from groundup.engine.ops import elementwise, indexing, joining, movement
from groundup.engine.ops.dims import one_dim
from groundup.engine.ops.rules import Array
from groundup.engine.pointwise import cast, matched

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor

Size = int | Sequence[int]
"""Sizes, or numbers of dimensions: one by one, or as one tuple or list."""


_SEVERAL = (tuple, list)


def sizes(given: tuple[Size, ...]) -> tuple[int, ...]:
    """Return sizes that were given one by one, or as one sequence, as a tuple."""
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], _SEVERAL) else given  # type: ignore[return-value]


def new_sizes(name: str, given: tuple[Size, ...]) -> tuple[int, ...]:
    """Return the sizes of a tensor to be made.

    Raises:
        ShapeError: a size that is no whole number of 0 or more.
    """
    found = sizes(given)
    if not all(isinstance(size, int | np.integer) and size >= 0 for size in found):
        raise ShapeError(f"{name}: sizes are whole numbers of 0 or more, found {list(found)}")
    return found


def plain_key(key: Any) -> Any:
    """Return what stands between the brackets of x[…], with arrays in the place of tensors."""
    if isinstance(key, tuple):
        return tuple(plain_key(item) for item in key)
    if isinstance(key, np.ndarray):
        return key
    data = getattr(key, "data", key)
    return data if isinstance(data, np.ndarray) else key


def _plain(name: str, a: "Tensor | Array") -> Array:
    """Return the array of a tensor, or the array that was given."""
    data = plain_key(a)
    if not isinstance(data, np.ndarray):
        raise DTypeError(not_tensors(name, a))
    return data


def clone(a: "Tensor") -> "Tensor":
    """Return a copy that gradients flow through."""
    return apply(elementwise.copy, a)


def contiguous(a: "Tensor") -> "Tensor":
    """Return a itself if its numbers lie in order in memory, else a copy where they do."""
    return a if a.data.flags.c_contiguous else clone(a)


def reshape(a: "Tensor", *shape: Size) -> "Tensor":
    """Return the same numbers in another shape; one size may be -1. A view if it can be, else a copy."""
    return apply(movement.reshape, a, shape=sizes(shape))


def view(a: "Tensor", *shape: Size) -> "Tensor":
    """Return the same memory in another shape; one size may be -1."""
    return apply(movement.view, a, shape=sizes(shape))


def flatten(a: "Tensor", start_dim: int = 0, end_dim: int = -1) -> "Tensor":
    """Return a with the dimensions start_dim … end_dim as one."""
    if not a.ndim:
        return reshape(a, 1)
    first, last = one_dim("flatten", start_dim, a.ndim), one_dim("flatten", end_dim, a.ndim)
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in shape {list(a.shape)}")
    return reshape(a, *a.shape[:first], int(np.prod(a.shape[first : last + 1])), *a.shape[last + 1 :])


def permute(a: "Tensor", *dims: Size) -> "Tensor":
    """Return a view with the dimensions in the order given."""
    return apply(movement.permute, a, dims=sizes(dims))


def transpose(a: "Tensor", dim0: int, dim1: int) -> "Tensor":
    """Return a view with two dimensions exchanged."""
    return apply(movement.transpose, a, dim0=dim0, dim1=dim1)


def t(a: "Tensor") -> "Tensor":
    """Return the transpose of a matrix; a tensor of fewer dimensions as it is.

    Raises:
        ShapeError: more than two dimensions, of which it would have to guess two.
    """
    if a.ndim > 2:
        raise ShapeError(f"t: {list(a.shape)} is no matrix; use mT for its last two dimensions, or permute")
    return permute(a, *range(a.ndim - 1, -1, -1))


def matrix_transpose(a: "Tensor") -> "Tensor":
    """Return the transposes of the matrices in the last two dimensions."""
    return transpose(a, -2, -1)


def expand(a: "Tensor", *shape: Size) -> "Tensor":
    """Return a read-only view with dimensions of size 1 repeated to `shape`; -1 keeps a size."""
    return apply(movement.expand, a, shape=sizes(shape))


def expand_as(a: "Tensor", other: "Tensor") -> "Tensor":
    """Return a expanded to the shape of another tensor."""
    return expand(a, other.shape)


def squeeze(a: "Tensor", dim: int | tuple[int, ...] | None = None) -> "Tensor":
    """Return a view without the dimensions of size 1, or without those among `dim`."""
    return apply(movement.squeeze, a, dim=dim)


def unsqueeze(a: "Tensor", dim: int) -> "Tensor":
    """Return a view with a new dimension of size 1 at `dim`."""
    return apply(movement.unsqueeze, a, dim=dim)


def pad(a: "Tensor", pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> "Tensor":
    """Return a with `value` around it: (before, after) of the last dimension, then of the one before, ….

    Example:
        >>> from groundup.engine import tensor
        >>> pad(tensor([[1, 2]]), (0, 1, 1, 0)).tolist()
        [[0, 0, 0], [1, 2, 0]]
    """
    if mode != "constant":
        raise ValueError(f"pad: mode is {mode!r}; 'constant' is the only one here")
    return apply(movement.pad, a, pad=tuple(pad), value=value)


def flip(a: "Tensor", dims: Size) -> "Tensor":
    """Return a read backwards along dimensions."""
    return apply(movement.flip, a, dims=dims)


def index(a: "Tensor", key: Any) -> "Tensor":
    """Return a[key]: for whole numbers, slices, None and … a view; for arrays, tensors and masks a copy."""
    return apply(indexing.index, a, key=plain_key(key))


def gather(a: "Tensor", dim: int, index: "Tensor") -> "Tensor":
    """Return a with its places along `dim` chosen by `index`: y[i, j] = a[i, index[i, j]] for dim 1."""
    return apply(indexing.gather, a, dim=dim, index=_plain("gather", index))


def where(condition: "Tensor | Array", a: "Tensor | float", b: "Tensor | float") -> "Tensor":
    """Return a where the condition holds and b elsewhere; all three are broadcast together."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        a = condition._result(np.asarray(a, np.float32 if isinstance(a, float) else None), None)  # type: ignore[union-attr]
    x, y = matched("where", a, b)
    return apply(indexing.where, x, y, condition=_plain("where", condition))


def masked_fill(a: "Tensor", mask: "Tensor | Array", value: float) -> "Tensor":
    """Return a with `value` where the mask is true."""
    if not isinstance(value, int | float | np.number):
        raise DTypeError(f"masked_fill: value is a number, not {type(value).__name__}; see where for two tensors")
    return apply(indexing.masked_fill, a, mask=_plain("masked_fill", mask), value=value)


def tril(a: "Tensor", diagonal: int = 0) -> "Tensor":
    """Return a with zeros above a diagonal of its matrices (the last two dimensions); 0 is the main one."""
    return apply(indexing.masked_fill, a, mask=~_lower("tril", a, diagonal), value=0)


def triu(a: "Tensor", diagonal: int = 0) -> "Tensor":
    """Return a with zeros below a diagonal of its matrices (the last two dimensions); 0 is the main one."""
    return apply(indexing.masked_fill, a, mask=_lower("triu", a, diagonal - 1), value=0)


def _lower(name: str, a: "Tensor", diagonal: int) -> Array:
    """Return where the matrices in the last two dimensions lie on or below a diagonal."""
    if a.ndim < 2:
        raise ShapeError(f"{name}: {list(a.shape)} holds no matrix; two dimensions or more are needed")
    return np.tri(a.shape[-2], a.shape[-1], diagonal, dtype=bool)


def cat(tensors: Sequence["Tensor"], dim: int = 0) -> "Tensor":
    """Return the tensors one behind another along a dimension that they have."""
    return apply(joining.concatenate, *_alike("cat", tensors), dim=dim)


def stack(tensors: Sequence["Tensor"], dim: int = 0) -> "Tensor":
    """Return the tensors, all of one shape, side by side along a new dimension."""
    return apply(joining.stack, *_alike("stack", tensors), dim=dim)


def split(a: "Tensor", split_size: int | Sequence[int], dim: int = 0) -> "tuple[Tensor, ...]":
    """Return views of a cut along `dim`: pieces of one size (the last may be smaller), or of the sizes given."""
    dim = one_dim("split", dim, a.ndim)
    n = a.shape[dim]
    if isinstance(split_size, int):
        if split_size < 1:
            raise ShapeError(f"split: pieces of {split_size} along dimension {dim} of {list(a.shape)}; give 1 or more")
        split_size = [min(split_size, n - start) for start in range(0, n, split_size)] or [0]
    if sum(split_size) != n:
        raise ShapeError(f"split: sizes {list(split_size)} do not add up to {n}, dimension {dim} of {list(a.shape)}")
    ends = np.cumsum(split_size).tolist()
    before = (slice(None),) * dim
    return tuple(index(a, (*before, slice(e - s, e))) for s, e in zip(split_size, ends, strict=True))


def chunk(a: "Tensor", chunks: int, dim: int = 0) -> "tuple[Tensor, ...]":
    """Return at most `chunks` pieces of a along `dim`, of equal size but for the last."""
    if chunks < 1:
        raise ShapeError(f"chunk: {chunks} pieces of {list(a.shape)}; give 1 or more")
    return split(a, max(1, -(-a.shape[one_dim("chunk", dim, a.ndim)] // chunks)), dim)


def _alike(name: str, tensors: Sequence["Tensor"]) -> list["Tensor"]:
    """Return the tensors in the one element type that holds them all."""
    if not len(tensors):
        raise ShapeError(f"{name}: no tensors; give at least one")
    if not all(hasattr(x, "_requires_grad") for x in tensors):
        raise DTypeError(not_tensors(name, *tensors))
    whole = tensors[0].dtype
    for other in tensors[1:]:
        whole = promoted(whole, other.dtype)
    return [cast(x, whole) for x in tensors]
