"""Convolution of images as a product of matrices: the windows become columns, the kernels rows (im2col).

Shapes: B images, C channels in, O channels out, H × W pixels, kernel kh × kw, OH × OW places where it lies;
K = C · kh · kw numbers in a window, P = OH · OW windows of an image.
"""

import math
from collections.abc import Iterator

import numpy as np

from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.ops.rules import Array, Result
from groundup.engine.ops.windows import Pair, Sliding, cropped, padded, sliding, taps, windows

BYTES_AT_ONCE = 1 << 20
"""Columns that exist at one time, but at least one image's. They are kh · kw times as large as the images, and quicker
where they stay in the processor's cache: from 16 to 32 channels at 14 × 14, batch 64, forward takes about three
quarters of the time of all at once."""


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Result:
    """Return the cross-correlation of images x [B, C, H, W] with kernels [O, C, kh, kw]: [B, O, OH, OW].

    With X[b, c, i, j, p, q] the number (i, j) of the window at (p, q) of padded x (see windows.py):

        y[b, o, p, q] = bias[o] + Σ_cij weight[o, c, i, j] X[b, c, i, j, p, q]

    With (c, i, j) taken as one dimension and (p, q) as another, this is a product of matrices for each image, y = W X:
    [O, K] times [K, P]. So its gradients are those of a product: dW = Σ_b dy Xᵀ and dX = Wᵀ dy. Each number of X is a
    copy of a pixel, so a pixel's gradient is the sum over its copies (col2im). Columns are made a few images at a time,
    and again in the backward pass instead of being kept.

    Raises:
        ShapeError: for shapes other than these, or a kernel larger than the padded image.
        DTypeError: if x, weight and bias differ in element type.

    Example:
        >>> image = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> y, rules = conv2d(image, np.ones((1, 1, 1, 2)), np.array([10.0]))
        >>> y.tolist(), rules[0](np.ones_like(y)).tolist()
        ([[[[13.0], [17.0]]]], [[[[1.0, 1.0], [1.0, 1.0]]]])
    """
    _check(x, weight, bias)
    how = sliding("conv2d", (x.shape[2], x.shape[3]), (weight.shape[2], weight.shape[3]), stride, padding, dilation)
    rows = weight.reshape(len(weight), math.prod(weight.shape[1:]))  # [O, K]
    y = np.empty((len(x), len(weight), math.prod(how.out)), x.dtype)  # [B, O, P]
    for some, columns in _columns(x, how):
        np.matmul(rows, columns, out=y[some])
    if bias is not None:
        y += bias[:, None]
    of_x, of_weight = x.shape, weight.shape
    rules = (
        lambda dy: _images_gradient(dy, rows, how, of_x),
        lambda dy: _kernels_gradient(dy, x, how).reshape(of_weight),
    )
    images = y.reshape(*y.shape[:2], *how.out)
    return images, rules if bias is None else (*rules, lambda dy: dy.sum(axis=(0, 2, 3)))


def _blocks(B: int, K: int, P: int, dtype: np.dtype[np.generic]) -> tuple[list[slice], Array]:
    """Return which images are taken together, and memory [b, K, P] for the columns of so many."""
    at_once = max(1, min(B, BYTES_AT_ONCE // max(1, K * P * dtype.itemsize)))
    return [slice(start, min(start + at_once, B)) for start in range(0, B, at_once)], np.empty((at_once, K, P), dtype)


def _columns(x: Array, how: Sliding) -> Iterator[tuple[slice, Array]]:
    """Yield some images, and their windows as columns [b, K, P]; the next ones overwrite them."""
    view = windows(padded(x, how.padding), how)  # [B, C, kh, kw, OH, OW]
    blocks, memory = _blocks(len(x), math.prod(view.shape[1:4]), math.prod(how.out), x.dtype)
    for some in blocks:
        columns = memory[: some.stop - some.start]
        np.copyto(columns.reshape(-1, *view.shape[1:]), view[some])
        yield some, columns


def _images_gradient(dy: Array, rows: Array, how: Sliding, shape: tuple[int, ...]) -> Array:
    B, C, H, W = shape
    dx = np.zeros((B, C, H + 2 * how.padding[0], W + 2 * how.padding[1]), dy.dtype)
    dy = np.ascontiguousarray(dy).reshape(B, len(rows), math.prod(how.out))  # [B, O, P]
    blocks, memory = _blocks(B, rows.shape[1], dy.shape[2], dy.dtype)
    for some in blocks:
        columns = np.matmul(rows.T, dy[some], out=memory[: some.stop - some.start])
        of_taps = columns.reshape(-1, C, math.prod(how.kernel), *how.out)
        for n, tap in enumerate(taps(dx[some], how)):
            tap += of_taps[:, :, n]
    return cropped(dx, how.padding)


def _kernels_gradient(dy: Array, x: Array, how: Sliding) -> Array:
    dy = np.ascontiguousarray(dy).reshape(*dy.shape[:2], math.prod(how.out))  # [B, O, P]
    total = np.zeros((dy.shape[1], x.shape[1] * math.prod(how.kernel)), dy.dtype)  # [O, K]
    for some, columns in _columns(x, how):
        total += np.matmul(dy[some], columns.swapaxes(1, 2)).sum(axis=0)
    return total


def _check(x: Array, weight: Array, bias: Array | None) -> None:
    if x.ndim != 4 or weight.ndim != 4 or x.shape[1] != weight.shape[1]:
        raise ShapeError(
            f"conv2d: images {list(x.shape)} and kernels {list(weight.shape)} do not fit; they must be [B, C, H, W] "
            "and [O, C, kh, kw], with the same number of channels C"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ShapeError(f"conv2d: a bias of {list(bias.shape)} for {len(weight)} channels; it must be [{len(weight)}]")
    if weight.dtype != x.dtype or (bias is not None and bias.dtype != x.dtype):
        of_bias = "" if bias is None else f" and a bias of {bias.dtype}"
        raise DTypeError(
            f"conv2d: images of {x.dtype}, kernels of {weight.dtype}{of_bias}; all must have one element type"
        )
