"""Warping: equal to torch's grid_sample, exact where pixels fall onto pixels, each image for itself."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from groundup.data.image_warp import affine_matrices, warp

LAW = settings(deadline=None, max_examples=25, derandomize=True)


def by_torch(images: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Return the warp by affine_grid and grid_sample, which count from -1 to 1 from edge to edge."""
    height, width = images.shape[-2:]
    half = np.array([width, height]) / 2
    theta = matrices.copy()
    theta[:, :, :2] *= half / half[:, None]
    theta[:, :, 2] /= half
    grid = F.affine_grid(torch.from_numpy(theta), list(images.shape), align_corners=False)
    sampled = F.grid_sample(torch.from_numpy(images.astype(np.float64)), grid, align_corners=False)
    return sampled.numpy()


@LAW
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_equal_to_torch(height, width, channels, seed):
    numbers = np.random.default_rng(seed)
    images = numbers.random((4, channels, height, width), dtype=np.float32)
    matrices = affine_matrices(
        numbers.uniform(-np.pi, np.pi, 4), numbers.uniform(0.3, 3, 4), numbers.uniform(-12, 12, (4, 2))
    )
    # Coordinates up to 40 in float32 here, in float64 there: 40 · 2^-24 · a few operations, times a slope of at most 1.
    np.testing.assert_allclose(warp(images, matrices), by_torch(images, matrices), atol=3e-5)


def test_a_quarter_turn_is_exact_and_counterclockwise():
    image = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    quarter = affine_matrices(np.array([np.pi / 2]), np.ones(1), np.zeros((1, 2)))
    # cos(pi / 2) is not 0 but 6e-17, and float32 adds to that; values go up to 8.
    np.testing.assert_allclose(warp(image, quarter)[0], np.rot90(image[0]), atol=1e-5)


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1, 0), (0, 2), (-2, 1), (3, 0), (40, -40)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_move_by_whole_pixels_moves_them(right, down, dtype):
    image = np.arange(1, 13).reshape(1, 4, 3).astype(dtype)
    expected = np.zeros_like(image)
    for row in range(4):
        for column in range(3):
            if 0 <= row - down < 4 and 0 <= column - right < 3:
                expected[0, row, column] = image[0, row - down, column - right]
    moved = warp(image, affine_matrices(np.zeros(1), np.ones(1), np.array([[right, down]], float)))
    assert moved.dtype == dtype
    np.testing.assert_array_equal(moved, expected)


def test_each_image_of_a_large_batch_is_for_itself():
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (50, 28, 28), dtype=np.uint8)  # more than are warped at once
    matrices = affine_matrices(
        numbers.uniform(-1, 1, 50), numbers.uniform(0.8, 1.2, 50), numbers.uniform(-3, 3, (50, 2))
    )
    together = warp(images, matrices)
    for i in range(50):
        np.testing.assert_array_equal(warp(images[i : i + 1], matrices[i : i + 1])[0], together[i])


@pytest.mark.parametrize("shape", [(0, 4, 4), (2, 0, 4), (0, 1, 4, 4)])
def test_nothing_stays_nothing(shape):
    n = shape[0]
    assert warp(np.zeros(shape, np.uint8), affine_matrices(np.zeros(n), np.ones(n), np.zeros((n, 2)))).shape == shape
