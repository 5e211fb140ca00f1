"""Spirals: points on interleaved spiral arms, data made by the dataset itself, that no straight line divides."""

import numpy as np

from groundup.engine.loader.dataset import Dataset
from groundup.engine.ops.rules import Array


class Spirals(Dataset[tuple[Array, int]]):
    """Sample i is a point in the plane and the arm that it lies on: ([2] float32, 0 … n_arms - 1).

    The radius grows evenly along an arm while the angle makes `turns` turns; then each point is moved at random.

    Args:
        n_samples: points, shared out evenly over the arms, in the order of the arms.
        n_arms: classes.
        turns: how often an arm winds around the origin.
        noise: standard deviation of the move; arms are 1 / (n_arms · turns) apart.
        seed: decides the moves; the same seed makes the same points.

    Raises:
        ValueError: fewer samples than arms, or no arm.

    Example:
        >>> spirals = Spirals(n_samples=100, seed=1)
        >>> point, arm = spirals[99]
        >>> len(spirals), point.shape, point.dtype, arm
        (100, (2,), dtype('float32'), 1)
    """

    def __init__(
        self, n_samples: int, *, n_arms: int = 2, turns: float = 1.5, noise: float = 0.02, seed: int = 0
    ) -> None:
        if not 1 <= n_arms <= n_samples:
            raise ValueError(f"Spirals: expected 1 <= n_arms <= n_samples, found {n_arms} and {n_samples}")
        numbers = np.random.default_rng(seed)
        self.arms = np.arange(n_samples) * n_arms // n_samples  # [N]
        starts = np.searchsorted(self.arms, np.arange(n_arms))  # [n_arms], where each arm begins
        lengths = np.bincount(self.arms, minlength=n_arms)
        along = (np.arange(n_samples) - starts[self.arms] + 1) / lengths[self.arms]  # [N], over 0 … 1
        angles = 2 * np.pi * (along * turns + self.arms / n_arms)
        exact = along[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # [N, 2]
        self.points = (exact + noise * numbers.standard_normal(exact.shape)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> tuple[Array, int]:
        return self.points[index], int(self.arms[index])
