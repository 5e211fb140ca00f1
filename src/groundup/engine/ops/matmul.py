"""Matrix products: of two matrices, of batches of them, and with vectors."""

import math

from groundup.engine.errors import ShapeError
from groundup.engine.ops.broadcasting import unbroadcast
from groundup.engine.ops.rules import Array, Result


def matmul(a: Array, b: Array) -> Result:
    """Return y = ab: [..., M, K] and [..., K, N] -> [..., M, N], leading dimensions broadcast.

    With y[m, n] = Σₖ a[m, k] b[k, n], the element a[m, k] is used by the whole row m of y, each time with another b:

        ∂L/∂a[m, k] = Σₙ dy[m, n] b[k, n],    so  da = dy bᵀ
        ∂L/∂b[k, n] = Σₘ a[m, k] dy[m, n],    so  db = aᵀ dy

    A vector on the left is a row, one on the right a column; the dimension of size 1 is taken away again.

    Raises:
        ShapeError: the inner sizes differ, the leading ones do not broadcast, or one input is a single number.

    Example:
        >>> import numpy as np
        >>> a, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
        >>> y, (rule_a, rule_b) = matmul(a, b)
        >>> y.tolist(), rule_a(np.ones((1, 1))).tolist(), rule_b(np.ones((1, 1))).tolist()
        ([[11.0]], [[3.0, 4.0]], [[1.0], [2.0]])
    """
    _check(a, b)
    of_a, of_b = a.shape, b.shape
    if a.ndim == 1:
        return _as(matmul(a[None, :], b), (*of_b[:-2], *of_b[1:][-1:]), of_a, of_b)
    if b.ndim == 1:
        return _as(matmul(a, b[:, None]), of_a[:-1], of_a, of_b)
    if b.ndim == 2 and a.ndim > 2:  # one product of all rows is faster than many, and db needs no sum over them
        return _as(matmul(a.reshape(math.prod(of_a[:-1]), of_a[-1]), b), (*of_a[:-1], of_b[1]), of_a, of_b)
    return a @ b, (
        lambda dy: unbroadcast(dy @ b.swapaxes(-1, -2), of_a),
        lambda dy: unbroadcast(a.swapaxes(-1, -2) @ dy, of_b),
    )


def _as(product: Result, shape: tuple[int, ...], of_a: tuple[int, ...], of_b: tuple[int, ...]) -> Result:
    """Return a product of reshaped inputs as one of the inputs themselves."""
    y, (rule_a, rule_b) = product
    inner = y.shape
    assert rule_a is not None
    assert rule_b is not None
    return y.reshape(shape), (
        lambda dy: rule_a(dy.reshape(inner)).reshape(of_a),
        lambda dy: rule_b(dy.reshape(inner)).reshape(of_b),
    )


def _check(a: Array, b: Array) -> None:
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ShapeError(
            f"matmul: shapes {list(a.shape)} and {list(b.shape)} do not fit; the last size of the first must equal "
            "the second last of the second (or its only one): transpose or reshape one of them"
        )
    if a.ndim > 2 and b.ndim > 2:
        for m, n in zip(reversed(a.shape[:-2]), reversed(b.shape[:-2]), strict=False):
            if m != n and 1 not in (m, n):
                raise ShapeError(
                    f"matmul: leading sizes of {list(a.shape)} and {list(b.shape)} do not broadcast; counted from the "
                    "right, two sizes must be equal or one of them 1"
                )
