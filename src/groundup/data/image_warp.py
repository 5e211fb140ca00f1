"""Warping images: each pixel of the result is looked up in the image, between its four neighbours there.

Shapes: B images of a batch, C channels, H x W pixels. A point is (x, y), x to the right and y down.
"""

from typing import Any

import numpy as np
import numpy.typing as npt


def affine_matrices(
    angles: npt.NDArray[np.float64], scales: npt.NDArray[np.float64], moves: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return for each image the map from a pixel of the result to the point of the image that it shows: [B, 2, 3].

    The image is turned counterclockwise by its angle about the centre, enlarged, then moved; the map is the inverse of
    that. Points are measured from the centre.

    Args:
        angles: in radians [B].
        scales: factors above 0 [B].
        moves: pixels to the right and down [B, 2].

    Example:
        >>> affine_matrices(np.zeros(1), np.array([2.0]), np.array([[4.0, 0.0]]))[0].tolist()
        [[0.5, -0.0, -2.0], [0.0, 0.5, 0.0]]
    """
    cosine, sine = np.cos(angles) / scales, np.sin(angles) / scales
    turn = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)  # [B, 2, 2]
    across, down = moves[:, 0], moves[:, 1]
    back = np.stack([sine * down - cosine * across, -sine * across - cosine * down], -1)  # [B, 2]
    return np.concatenate([turn, back[:, :, None]], -1)


def warp(images: npt.NDArray[Any], matrices: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Return images [B, H, W] or [B, C, H, W] as `matrices` [B, 2, 3] see them, interpolated bilinearly; outside is 0.

    Bytes stay bytes, rounded.

    Example:
        >>> right = affine_matrices(np.zeros(1), np.ones(1), np.array([[1.0, 0.0]]))
        >>> warp(np.array([[[1, 2], [3, 4]]], np.uint8), right).tolist()
        [[[0, 1], [0, 3]]]
    """
    height, width = images.shape[-2:]
    planes = images.reshape(len(images), -1, height, width)  # [B, C, H, W]
    # One line of zeros above and left of the image and two below and right: what is outside is looked up there.
    framed = np.zeros((*planes.shape[:2], height + 3, width + 3), np.float32)
    framed[:, :, 1 : height + 1, 1 : width + 1] = planes
    m = matrices.astype(np.float32)[:, :, :, None, None]
    x = np.arange(width, dtype=np.float32) - np.float32((width - 1) / 2)
    y = (np.arange(height, dtype=np.float32) - np.float32((height - 1) / 2))[:, None]
    from_x = m[:, 0, 0] * x + (m[:, 0, 1] * y + (m[:, 0, 2] + np.float32((width - 1) / 2 + 1)))  # [B, H, W], framed
    from_y = m[:, 1, 0] * x + (m[:, 1, 1] * y + (m[:, 1, 2] + np.float32((height - 1) / 2 + 1)))
    np.clip(from_x, 0, width + 1, out=from_x)
    np.clip(from_y, 0, height + 1, out=from_y)
    left, top = from_x.astype(np.int32), from_y.astype(np.int32)
    from_x -= left  # the part of the way to the neighbour on the right
    from_y -= top
    corner = (top * (width + 3) + left).reshape(len(images), -1)
    corner += (np.arange(len(images), dtype=np.int32) * (framed[0].size))[:, None]
    found = np.empty(planes.shape, np.float32)
    flat = framed.reshape(-1)
    for channel in range(planes.shape[1]):
        at = corner + channel * (height + 3) * (width + 3)
        upper = _between(flat[at], flat[at + 1], from_x)
        lower = _between(flat[at + (width + 3)], flat[at + (width + 4)], from_x)
        found[:, channel] = _between(upper, lower, from_y.reshape(upper.shape)).reshape(-1, height, width)
    found = found.reshape(images.shape)
    return np.rint(found).astype(images.dtype) if images.dtype == np.uint8 else found


def _between(
    one: npt.NDArray[np.float32], other: npt.NDArray[np.float32], part: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return the values a part of the way from one to the other; overwrites `other`."""
    other -= one
    other *= part.reshape(other.shape)
    other += one
    return other
