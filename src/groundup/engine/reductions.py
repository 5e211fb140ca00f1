"""Functions that reduce a tensor over some of its dimensions or all, that order it, and the product of matrices."""

from typing import TYPE_CHECKING, NamedTuple

from groundup.engine.autograd import apply
from groundup.engine.errors import ShapeError
from groundup.engine.ops import comparison, extremes, indexing, reduction
from groundup.engine.ops import matmul as products
from groundup.engine.ops import softmax as shares
from groundup.engine.ops.dims import one_dim
from groundup.engine.ops.reduction import Dim
from groundup.engine.pointwise import Operand, matched, maximum, minimum
from groundup.engine.shaping import squeeze, unsqueeze

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor


class Chosen(NamedTuple):
    """Elements, and the places along a dimension that they were found at."""

    values: "Tensor"
    indices: "Tensor"


def sum(a: "Tensor", dim: Dim = None, keepdim: bool = False) -> "Tensor":
    """Return the sum over `dim`, or of everything; of integers and truth values as int64."""
    return apply(reduction.sum, a, dim=dim, keepdim=keepdim)


def mean(a: "Tensor", dim: Dim = None, keepdim: bool = False) -> "Tensor":
    """Return the mean over `dim`, or of everything."""
    return apply(reduction.mean, a, dim=dim, keepdim=keepdim)


def var(
    a: "Tensor", dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> "Tensor":
    """Return the variance over `dim`, or of everything: the sum of squared deviations by n - correction."""
    correction = int(unbiased) if correction is None else correction
    return apply(reduction.var, a, dim=dim, correction=correction, keepdim=keepdim)


def std(
    a: "Tensor", dim: Dim = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> "Tensor":
    """Return the standard deviation: the square root of `var`."""
    correction = int(unbiased) if correction is None else correction
    return apply(reduction.std, a, dim=dim, correction=correction, keepdim=keepdim)


def prod(a: "Tensor", dim: int | None = None, keepdim: bool = False) -> "Tensor":
    """Return the product over `dim`, or of everything."""
    return apply(reduction.prod, a, dim=dim, keepdim=keepdim)


def cumsum(a: "Tensor", dim: int) -> "Tensor":
    """Return the sums of each element and all before it along `dim`."""
    return apply(reduction.cumsum, a, dim=dim)


def any(a: "Tensor", dim: Dim = None, keepdim: bool = False) -> "Tensor":
    """Return whether some element is not 0."""
    return apply(comparison.some, a, dim=dim, keepdim=keepdim)


def all(a: "Tensor", dim: Dim = None, keepdim: bool = False) -> "Tensor":
    """Return whether no element is 0."""
    return apply(comparison.every, a, dim=dim, keepdim=keepdim)


def logsumexp(a: "Tensor", dim: Dim = None, keepdim: bool = False) -> "Tensor":
    """Return ln Σ exp a over `dim`, without overflow."""
    return apply(reduction.logsumexp, a, dim=dim, keepdim=keepdim)


def softmax(a: "Tensor", dim: int) -> "Tensor":
    """Return exp a / Σ exp a along `dim`: shares that add up to 1.

    Example:
        >>> from groundup.engine import tensor
        >>> softmax(tensor([[0.0, 0.0]]), dim=-1).tolist()
        [[0.5, 0.5]]
    """
    return apply(shares.softmax, a, dim=dim)


def log_softmax(a: "Tensor", dim: int) -> "Tensor":
    """Return the logarithm of `softmax`, exact also where softmax is 0 in floats.

    Example:
        >>> from groundup.engine import tensor
        >>> log_softmax(tensor([0.0, 1000.0]), dim=-1).tolist()
        [-1000.0, 0.0]
    """
    return apply(shares.log_softmax, a, dim=dim)


def amax(a: "Tensor", dim: Dim = None, keepdim: bool = False) -> "Tensor":
    """Return the largest elements; the gradient is shared among equals."""
    return apply(extremes.amax, a, dim=dim, keepdim=keepdim)


def amin(a: "Tensor", dim: Dim = None, keepdim: bool = False) -> "Tensor":
    """Return the smallest elements; the gradient is shared among equals."""
    return apply(extremes.amin, a, dim=dim, keepdim=keepdim)


def argmax(a: "Tensor", dim: int | None = None, keepdim: bool = False) -> "Tensor":
    """Return the places of the largest elements, counted along `dim`, or through everything."""
    return apply(extremes.argmax, a, dim=dim, keepdim=keepdim)


def argmin(a: "Tensor", dim: int | None = None, keepdim: bool = False) -> "Tensor":
    """Return the places of the smallest elements, counted along `dim`, or through everything."""
    return apply(extremes.argmin, a, dim=dim, keepdim=keepdim)


def max(a: "Tensor", dim: "int | Tensor | None" = None, keepdim: bool = False) -> "Tensor | Chosen":
    """Return the largest element; with `dim`, the largest along it and their places; of two tensors, `maximum`."""
    if dim is None:
        return amax(a)
    return _along(a, argmax(a, dim, keepdim=True), dim, keepdim) if isinstance(dim, int) else maximum(a, dim)


def min(a: "Tensor", dim: "int | Tensor | None" = None, keepdim: bool = False) -> "Tensor | Chosen":
    """Return the smallest element; with `dim`, the smallest along it and their places; of two tensors, `minimum`."""
    if dim is None:
        return amin(a)
    return _along(a, argmin(a, dim, keepdim=True), dim, keepdim) if isinstance(dim, int) else minimum(a, dim)


def _along(a: "Tensor", places: "Tensor", dim: int, keepdim: bool) -> Chosen:
    """Return the elements at `places`, where the reduced dimension still has size 1: the gradient goes to these."""
    if a.ndim == 0:
        return Chosen(a, places)
    values = apply(indexing.gather, a, dim=dim, index=places.data)
    return Chosen(values, places) if keepdim else Chosen(squeeze(values, dim), squeeze(places, dim))


def argsort(a: "Tensor", dim: int = -1, descending: bool = False) -> "Tensor":
    """Return the places of the elements along `dim` in order of size."""
    return apply(extremes.argsort, a, dim=dim, descending=descending)


def sort(a: "Tensor", dim: int = -1, descending: bool = False) -> Chosen:
    """Return the elements along `dim` in order of size, and their places."""
    places = argsort(a, dim, descending)
    return Chosen(apply(indexing.gather, a, dim=dim, index=places.data), places)


def topk(a: "Tensor", k: int, dim: int = -1) -> Chosen:
    """Return the k largest elements along `dim`, the largest first, and their places."""
    size = a.shape[one_dim("topk", dim, a.ndim)] if a.ndim else 1
    if not 0 <= k <= size:
        raise ShapeError(f"topk: k is {k}, and dimension {dim} of {list(a.shape)} has {size}; give 0 to {size}")
    if not a.ndim:
        return Chosen(a, argsort(a, dim))
    places = argsort(a, dim, descending=True).data.swapaxes(dim, -1)[..., :k].swapaxes(dim, -1)
    return Chosen(apply(indexing.gather, a, dim=dim, index=places), a._result(places, None))


def matmul(a: Operand, b: Operand) -> "Tensor":
    """Return the matrix product: [..., M, K] and [..., K, N] -> [..., M, N]."""
    x, y = matched("matmul", a, b)
    return apply(products.matmul, x, y)


def outer(a: "Tensor", b: "Tensor") -> "Tensor":
    """Return every product of an element of one vector and one of another: [M] and [N] -> [M, N]."""
    return matmul(unsqueeze(a, 1), unsqueeze(b, 0))


def rmatmul(a: Operand, b: Operand) -> "Tensor":
    """Return b @ a: what Python asks of a if b does not know how."""
    return matmul(b, a)
