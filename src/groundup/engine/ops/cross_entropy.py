"""Cross-entropy of class logits, and of log-probabilities: the loss of every language model.

Shapes: N predictions (batch and positions flattened), C classes (the vocabulary).
"""

from collections.abc import Iterator

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.losses import Reduction, reduced
from groundup.engine.ops.rules import Array, Result

AT_ONCE = 1 << 16
"""Logits whose powers exist at one time: few enough for the processor's cache, so that no second [N, C] is needed."""


def cross_entropy(logits: Array, *, target: Array, ignore_index: int = -100, reduction: Reduction = "mean") -> Result:
    """Return -ln softmax(logits)[n, target[n]] of each row, or its mean or sum: [N, C] -> [N] or one number.

    With zₙ = ln Σ_c e^logits[n, c], the loss of row n is zₙ - logits[n, target[n]]. As ∂zₙ/∂logits[n, c] is the
    softmax pₙ_c (see `log_softmax`),

        ∂lossₙ/∂logits[n, c] = pₙ_c - 1 if c = target[n], else pₙ_c

    what was predicted minus what is true. Kept: the logits and z; the powers are made again, a few rows at a time.
    Rows whose target is `ignore_index` have loss 0 and gradient 0, and the mean does not count them.

    Raises:
        ShapeError: unless logits are [N, C] and target [N].
        DTypeError: unless target holds whole numbers and logits floats.
        IndexError: for a target that is not 0 … C - 1 nor `ignore_index`.

    Example:
        >>> y, (rule,) = cross_entropy(np.array([[0.0, 0.0], [9.0, 9.0]]), target=np.array([1, -100]))
        >>> round(y.item(), 4), rule(np.ones(())).tolist()  # ln 2
        (0.6931, [[0.5, -0.5], [0.0, 0.0]])
    """
    counts, picked = _check("cross_entropy", logits, target, ignore_index)
    N = len(logits)
    rows = np.arange(N)
    z = np.empty((N, 1), logits.dtype)  # [N, 1]
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        for some in _rows_at_once(logits):
            largest = logits[some].max(1, keepdims=True)
            powers = logits[some] - largest
            np.exp(powers, out=powers)
            np.log(powers.sum(1, keepdims=True), out=z[some])
            z[some] += largest
        losses = z[:, 0] - logits[rows, picked]
    losses[~counts] = 0
    y, spread = reduced(losses, reduction, int(counts.sum()))

    def rule(dy: Array) -> Array:
        share = np.where(counts, spread(dy), logits.dtype.type(0))  # ∂L/∂lossₙ [N]
        dx = np.empty_like(logits)
        for some in _rows_at_once(logits):
            part = np.subtract(logits[some], z[some], out=dx[some])
            np.exp(part, out=part)
            part *= share[some, None]
        dx[rows, picked] -= share
        dx[~counts] = 0  # also where a logit that is ignored is not finite
        return dx

    return y, (rule,)


def nll_loss(log_probs: Array, *, target: Array, ignore_index: int = -100, reduction: Reduction = "mean") -> Result:
    """Return -log_probs[n, target[n]] of each row, or its mean or sum: `cross_entropy` after `log_softmax`.

    The slope is -1 at the target and 0 elsewhere.

    Example:
        >>> y, (rule,) = nll_loss(np.array([[-1.0, -2.0]]), target=np.array([1]))
        >>> y.tolist(), rule(np.ones(())).tolist()
        (2.0, [[0.0, -1.0]])
    """
    counts, picked = _check("nll_loss", log_probs, target, ignore_index)
    rows = np.arange(len(log_probs))
    losses = -log_probs[rows, picked]
    losses[~counts] = 0
    y, spread = reduced(losses, reduction, int(counts.sum()))
    shape = log_probs.shape

    def rule(dy: Array) -> Array:
        dx = np.zeros(shape, dy.dtype)
        dx[rows, picked] = np.where(counts, -spread(dy), dy.dtype.type(0))
        return dx

    return y, (rule,)


def _rows_at_once(logits: Array) -> Iterator[slice]:
    N, C = logits.shape
    step = max(1, AT_ONCE // max(1, C))
    return (slice(start, start + step) for start in range(0, N, step))


def _check(op: str, x: Array, target: Array, ignore_index: int) -> tuple[Array, Array]:
    """Return which rows count, and their targets, with 0 in place of those ignored: [N], [N]."""
    if x.ndim != 2 or target.shape != x.shape[:1]:
        raise ShapeError(
            f"{op}: input {list(x.shape)} and target {list(target.shape)} do not fit; they must be [N, C] and [N]. For "
            "logits [B, T, V] use logits.reshape(-1, V) and target.reshape(-1)"
        )
    if x.dtype.kind != "f" or target.dtype.kind not in "iu":
        raise DTypeError(f"{op}: input is {x.dtype} and target {target.dtype}; they must be floats and whole numbers")
    counts = target != ignore_index
    picked = np.where(counts, target, 0)
    if picked.size and (picked.min() < 0 or picked.max() >= x.shape[1]):
        wrong = picked[(picked < 0) | (picked >= x.shape[1])][0]
        raise IndexError(
            f"{op}: target {wrong} is out of range for {x.shape[1]} classes: 0 to {x.shape[1] - 1}, or "
            f"ignore_index={ignore_index} for rows that do not count"
        )
    return counts, picked
