"""Functions that reduce a tensor over some of its dimensions, or all; and the product of matrices."""

from typing import TYPE_CHECKING

from groundup.engine.autograd import apply
from groundup.engine.ops import matmul as products
from groundup.engine.ops import reduction
from groundup.engine.ops.reduction import Dim
from groundup.engine.pointwise import Operand, _matched

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor


def sum(a: "Tensor", dim: Dim = None, keepdim: bool = False) -> "Tensor":
    """Return the sum over `dim`, or of everything; of integers and truth values as int64."""
    return apply(reduction.sum, a, dim=dim, keepdim=keepdim)


def mean(a: "Tensor", dim: Dim = None, keepdim: bool = False) -> "Tensor":
    """Return the mean over `dim`, or of everything."""
    return apply(reduction.mean, a, dim=dim, keepdim=keepdim)


def matmul(a: Operand, b: Operand) -> "Tensor":
    """Return the matrix product: [..., M, K] and [..., K, N] -> [..., M, N]."""
    return apply(products.matmul, *_matched(a, b))
