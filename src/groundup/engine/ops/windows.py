"""The windows that a kernel slides over an image: all of them as one view, or one number of each as a slice.

Shapes: B images, C channels, H × W pixels; kernel kh × kw; OH × OW places where the kernel lies. The window at (p, q)
reads, as its number (i, j), the pixel (p · stride + i · dilation, q · stride + j · dilation) of the padded image.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from groundup.engine.errors import ShapeError
from groundup.engine.ops.rules import Array

Pair: TypeAlias = tuple[int, int]
"""Of the vertical and of the horizontal."""


class Sliding(NamedTuple):
    """How a kernel slides: everything that the places it reads depend on."""

    kernel: Pair
    """Its size: kh, kw."""
    stride: Pair
    """Pixels from one place to the next."""
    padding: Pair
    """Pixels added on each side of the image."""
    dilation: Pair
    """Pixels from one number of the kernel to the next."""
    out: Pair
    """The number of places: OH, OW."""


def sliding(
    op: str,
    image: Pair,
    kernel: int | Pair,
    stride: int | Pair,
    padding: int | Pair,
    dilation: int | Pair = 1,
) -> Sliding:
    """Return how a kernel slides over an image of H × W; one number stands for both directions.

    A kernel with gaps spans dilation · (kernel - 1) + 1 pixels. Its first pixel may lie at 0, stride, 2 · stride, …, as
    long as its last one is inside: (size + 2 · padding - span) // stride + 1 places.

    Raises:
        ShapeError: if a setting is too small, or the kernel larger than the padded image.

    Example:
        >>> sliding("conv2d", (28, 28), kernel=3, stride=2, padding=1).out
        (14, 14)
    """
    size, step = pair(op, "the kernel's size", kernel, 1), pair(op, "stride", stride, 1)
    around, gap = pair(op, "padding", padding, 0), pair(op, "dilation", dilation, 1)
    height, width = (pixels + 2 * more for pixels, more in zip(image, around, strict=True))
    tall, wide = (between * (numbers - 1) + 1 for between, numbers in zip(gap, size, strict=True))
    if tall > height or wide > width:
        raise ShapeError(
            f"{op}: a kernel that spans {tall} × {wide} does not fit an image of {height} × {width}, padding included; "
            "use a smaller kernel or more padding"
        )
    return Sliding(size, step, around, gap, ((height - tall) // step[0] + 1, (width - wide) // step[1] + 1))


def pair(op: str, name: str, value: int | Pair, smallest: int) -> Pair:
    """Return a setting for both directions, given as one whole number or as two.

    Raises:
        ShapeError: something else, or a number below the smallest.
    """
    both = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(isinstance(one, int | np.integer) and one >= smallest for one in both):
        raise ShapeError(f"{op}: {name} is {value!r}; it must be one whole number of at least {smallest}, or two")
    return both[0], both[1]


def padded(x: Array, padding: Pair, value: float = 0.0) -> Array:
    """Return images [B, C, H, W] with `value` around them; the same array if there is nothing to add."""
    (ph, pw), (B, C, H, W) = padding, x.shape
    if not ph and not pw:
        return x
    out = np.full((B, C, H + 2 * ph, W + 2 * pw), value, x.dtype)
    out[:, :, ph : ph + H, pw : pw + W] = x
    return out


def cropped(x: Array, padding: Pair) -> Array:
    """Return a view of images [B, C, H, W] without their padding: the adjoint of `padded`."""
    return x[:, :, padding[0] : x.shape[2] - padding[0], padding[1] : x.shape[3] - padding[1]]


def windows(x: Array, how: Sliding) -> Array:
    """Return a read-only view [B, C, kh, kw, OH, OW] of padded images [B, C, H, W].

    Neighbouring windows overlap, so one pixel stands in it up to kh · kw times; no number is copied.

    Example:
        >>> how = sliding("conv2d", (3, 3), kernel=2, stride=1, padding=0)
        >>> windows(np.arange(9).reshape(1, 1, 3, 3), how)[0, 0, :, :, 0, 1].tolist()  # the window at the top right
        [[1, 2], [4, 5]]
    """
    span = tuple(between * (numbers - 1) + 1 for between, numbers in zip(how.dilation, how.kernel, strict=True))
    view = sliding_window_view(x, span, axis=(2, 3))  # [B, C, H', W', span, span]
    (sh, sw), (dh, dw) = how.stride, how.dilation
    return view[:, :, ::sh, ::sw, ::dh, ::dw].transpose(0, 1, 4, 5, 2, 3)


def taps(x: Array, how: Sliding) -> Iterator[Array]:
    """Yield, for each number (i, j) of the kernel in reading order, the pixels it meets: views [B, C, OH, OW] of x.

    Within one of them no pixel appears twice, so it may be added to, where the view of `windows` may not.
    """
    (sh, sw), (dh, dw), (OH, OW) = how.stride, how.dilation, how.out
    for top in range(0, how.kernel[0] * dh, dh):
        for left in range(0, how.kernel[1] * dw, dw):
            yield x[:, :, top : top + (OH - 1) * sh + 1 : sh, left : left + (OW - 1) * sw + 1 : sw]
