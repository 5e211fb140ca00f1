"""Matrix products, batched and broadcast."""

import numpy as np

from groundup.engine.errors import ShapeError
from groundup.engine.ops.broadcasting import unbroadcast
from groundup.engine.ops.rules import Array, Result


def matmul(a: Array, b: Array) -> Result:
    """Return a @ b: [..., M, K] and [..., K, N] -> [..., M, N], leading dimensions broadcast.

    With y[m, n] = Σₖ a[m, k] b[k, n], a[m, k] is used by the whole row m of y, with weights b[k, :]:

        ∂L/∂a[m, k] = Σₙ dy[m, n] b[k, n],    so  da = dy bᵀ
        ∂L/∂b[k, n] = Σₘ a[m, k] dy[m, n],    so  db = aᵀ dy

    A vector on the left is a row, on the right a column; its dimension of size 1 is taken away again.
    """
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ShapeError(
            f"matmul: shapes {list(a.shape)} and {list(b.shape)} do not fit; the last size of the first must equal "
            "the second last of the second (or its only one): transpose or reshape one of the tensors"
        )
    of_a, of_b = a.shape, b.shape
    rows = a[None, :] if a.ndim == 1 else a  # [..., M, K]
    columns = b[:, None] if b.ndim == 1 else b  # [..., K, N]
    try:
        y = np.matmul(a, b)
    except ValueError:
        raise ShapeError(
            f"matmul: leading sizes of {list(of_a)} and {list(of_b)} do not broadcast; counted from the right, two "
            "sizes must be equal or one of them 1"
        ) from None

    def whole(dy: Array) -> Array:  # dy with the dimensions of size 1 that vectors lost: [..., M, N]
        if b.ndim == 1:
            dy = dy[..., None]
        return dy[..., None, :] if a.ndim == 1 else dy

    def rule_a(dy: Array) -> Array:
        return unbroadcast(whole(dy) @ columns.swapaxes(-1, -2), rows.shape).reshape(of_a)

    def rule_b(dy: Array) -> Array:
        return unbroadcast(rows.swapaxes(-1, -2) @ whole(dy), columns.shape).reshape(of_b)

    return y, (rule_a, rule_b)
