"""Losses of numbers beside the numbers wanted: squared error, and cross-entropy of yes-or-no questions."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.rules import Array, Result

Reduction: TypeAlias = Literal["none", "mean", "sum"]
"""What becomes of the losses of single elements."""


def reduced(losses: Array, reduction: Reduction, n: int) -> tuple[Array, Callable[[Array], Array]]:
    """Return the losses, their sum or their sum / n, and a function dy -> ∂L/∂(each loss), to be broadcast."""
    if reduction == "none":
        return losses, lambda dy: dy
    if reduction == "sum":
        return np.asarray(losses.sum()), lambda dy: dy
    if reduction == "mean":
        divisor = losses.dtype.type(n)
        with np.errstate(invalid="ignore", divide="ignore"):  # the mean of nothing is nan, as in torch
            return np.asarray(losses.sum() / divisor), lambda dy: np.asarray(dy / divisor)
    raise ValueError(f"reduction is {reduction!r}; it must be 'none', 'mean' or 'sum'")


def mse_loss(x: Array, target: Array, *, reduction: Reduction = "mean") -> Result:
    """Return (x - target)², or its mean or sum: the slope is 2 (x - target), and the negative of it for the target.

    Example:
        >>> y, (rule, _) = mse_loss(np.array([1.0, 5.0]), np.array([1.0, 2.0]))
        >>> y.tolist(), rule(np.ones(())).tolist()
        (4.5, [0.0, 3.0])
    """
    _check_pair("mse_loss", x, target)
    with np.errstate(over="ignore", invalid="ignore"):  # a loss that has grown beyond all bounds is ∞, as in torch
        off = np.asarray(x - target)
        y, spread = reduced(off * off, reduction, off.size)
    return y, (lambda dy: off * (2 * spread(dy)), lambda dy: off * (-2 * spread(dy)))


def binary_cross_entropy_with_logits(x: Array, target: Array, *, reduction: Reduction = "mean") -> Result:
    """Return -t ln σ(x) - (1 - t) ln(1 - σ(x)), σ the sigmoid, or its mean or sum: how wrong a yes-or-no answer is.

    Derivation. 1 - σ(x) = e^-x σ(x) and -ln σ(x) = ln(1 + e^-x), so the loss is (1 - t) x + ln(1 + e^-x), and

        ln(1 + e^-x) = max(-x, 0) + ln(1 + e^-|x|)        where no power overflows
        loss = max(x, 0) - t x + ln(1 + e^-|x|)

    Its slope is (1 - t) - e^-x/(1 + e^-x) = σ(x) - t for the logit, and -x for the target.

    Example:
        >>> y, (rule, _) = binary_cross_entropy_with_logits(np.array([1000.0, 0.0]), np.array([0.0, 1.0]))
        >>> round(y.item(), 4), rule(np.ones(())).tolist()  # (1000 + ln 2) / 2
        (500.3466, [0.5, -0.25])
    """
    _check_pair("binary_cross_entropy_with_logits", x, target)
    fading = np.asarray(np.exp(-np.abs(x)))  # e^-|x|, in (0, 1]
    losses = np.asarray(np.maximum(x, 0) - x * target + np.log1p(fading))
    y, spread = reduced(losses, reduction, losses.size)

    def rule_x(dy: Array) -> Array:
        sigma = np.where(x >= 0, 1, fading) / (1 + fading)
        return np.asarray((sigma - target) * spread(dy))

    return y, (rule_x, lambda dy: np.asarray(-x * spread(dy)))


def _check_pair(op: str, x: Array, target: Array) -> None:
    if x.shape != target.shape:
        raise ShapeError(
            f"{op}: input {list(x.shape)} and target {list(target.shape)} differ; they must be of one shape: reshape "
            "or expand one of them, as broadcasting here is rarely what was meant"
        )
    if x.dtype != target.dtype or x.dtype.kind != "f":
        raise DTypeError(f"{op}: input is {x.dtype} and target {target.dtype}; both must be floats of one type")
