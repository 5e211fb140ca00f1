"""Pooling: each window of an image becomes one number, its largest or its mean.

Shapes: B images, C channels, H × W pixels, kernel kh × kw, OH × OW places where it lies (see windows.py).
"""

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.rules import Array, Result
from groundup.engine.ops.windows import Pair, Sliding, cropped, padded, sliding, taps


def max_pool2d(
    x: Array, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Result:
    """Return the largest number of each window: [B, C, H, W] -> [B, C, OH, OW]. stride=None: the kernel's size.

    max(x₁ … xₙ) changes with the number that is largest, at rate 1, and with no other. So each window's gradient goes
    to its largest number; where several are equal, to the first in reading order, as in torch. NaN counts as larger
    than any number. Padding is -∞. Which number it was is found in the backward pass, by comparing with the output:
    x and y are kept, which the layers around it keep anyhow.

    Raises:
        ShapeError: unless x has four dimensions and the kernel fits; for padding of more than half a kernel.
        DTypeError: for numbers that are not floats.

    Example:
        >>> y, (rule,) = max_pool2d(np.array([[[[1.0, 5.0], [5.0, 2.0]]]]), kernel_size=2)
        >>> y.item(), rule(y).tolist()
        (5.0, [[[[0.0, 5.0], [0.0, 0.0]]]])
    """
    how = _checked("max_pool2d", x, kernel_size, stride, padding)
    y = np.full((*x.shape[:2], *how.out), -np.inf, x.dtype)
    for tap in taps(padded(x, how.padding, -np.inf), how):
        np.maximum(y, tap, out=y)

    def rule(dy: Array) -> Array:
        image = padded(x, how.padding, -np.inf)
        dx = np.zeros(image.shape, dy.dtype)
        is_left, has_nan = np.ones(y.shape, bool), np.isnan(y).any()  # left: windows whose largest was not met yet
        for tap, d_tap in zip(taps(image, how), taps(dx, how), strict=True):
            is_met = tap == y
            if has_nan:
                is_met |= np.isnan(tap)  # which nothing equals
            is_met &= is_left
            is_left ^= is_met
            d_tap += dy * is_met
        return cropped(dx, how.padding)

    return y, (rule,)


def avg_pool2d(
    x: Array, *, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0
) -> Result:
    """Return the mean of each window: [B, C, H, W] -> [B, C, OH, OW]. stride=None: the kernel's size.

    A mean of n numbers changes with each of them at rate 1/n, so each pixel receives dy/n of every window it is in.
    Padding is 0 and counts as a number, as in torch.

    Raises:
        ShapeError: unless x has four dimensions and the kernel fits; for padding of more than half a kernel.
        DTypeError: for numbers that are not floats.

    Example:
        >>> y, (rule,) = avg_pool2d(np.array([[[[1.0, 2.0], [3.0, 6.0]]]]), kernel_size=2)
        >>> y.item(), rule(y).tolist()
        (3.0, [[[[0.75, 0.75], [0.75, 0.75]]]])
    """
    how = _checked("avg_pool2d", x, kernel_size, stride, padding)
    share = x.dtype.type(1 / (how.kernel[0] * how.kernel[1]))
    y = np.zeros((*x.shape[:2], *how.out), x.dtype)
    for tap in taps(padded(x, how.padding), how):
        y += tap
    y *= share
    shape = (*x.shape[:2], x.shape[2] + 2 * how.padding[0], x.shape[3] + 2 * how.padding[1])

    def rule(dy: Array) -> Array:
        dx, part = np.zeros(shape, dy.dtype), dy * share
        for tap in taps(dx, how):
            tap += part
        return cropped(dx, how.padding)

    return y, (rule,)


def _checked(op: str, x: Array, kernel_size: int | Pair, stride: int | Pair | None, padding: int | Pair) -> Sliding:
    if x.ndim != 4:
        raise ShapeError(f"{op}: images are [B, C, H, W], not {list(x.shape)}; reshape or unsqueeze them")
    if x.dtype.kind != "f":
        raise DTypeError(f"{op}: images are {x.dtype}; convert them to floats")
    how = sliding(op, (x.shape[2], x.shape[3]), kernel_size, kernel_size if stride is None else stride, padding)
    if any(2 * around > size for around, size in zip(how.padding, how.kernel, strict=True)):
        raise ShapeError(f"{op}: padding {padding} for a kernel of {kernel_size}; it may be at most half the kernel")
    return how
