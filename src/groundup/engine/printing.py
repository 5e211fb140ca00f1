"""How a tensor is written: its numbers, and what is not the default about it."""

from typing import TYPE_CHECKING

import numpy as np

from groundup.engine.dtypes import float32

if TYPE_CHECKING:
    from groundup.engine.tensor import Tensor

DIGITS = 4
"""Behind the point."""
SUMMARIZED = 1000
"""Elements above which only the corners are written."""


def written(x: "Tensor") -> str:
    """Return the tensor as text: four digits, whole numbers with a point only, dtype and history if not the default.

    Example:
        >>> from groundup.engine.tensor import Tensor
        >>> print(written(Tensor([[1.0, 2.5]], requires_grad=True)))
        tensor([[1.0000, 2.5000]], requires_grad=True)
    """
    a = x.data
    whole = a.dtype.kind != "f" or bool(np.all(~np.isfinite(a) | (a == np.trunc(a))))
    numbers = np.array2string(
        a,
        precision=DIGITS,
        floatmode="maxprec" if whole else "fixed",
        separator=", ",
        prefix="tensor(",
        threshold=SUMMARIZED,
        max_line_width=100,
    )
    notes = [numbers]
    if a.size == 0 and a.ndim > 1:
        notes.append(f"size={a.shape}")
    if a.dtype.kind != "b" and a.dtype.name not in (float32.name, "int64"):
        notes.append(f"dtype={a.dtype.name}")
    if x.grad_fn is not None:
        notes.append(f"grad_fn=<{x.grad_fn.name}>")
    elif x.requires_grad:
        notes.append("requires_grad=True")
    return f"tensor({', '.join(notes)})"
