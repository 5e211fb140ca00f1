"""Spirals: arms of equal size on the curves that they should be on, and the same ones for the same seed."""

import numpy as np
import pytest

from groundup.engine.loader import DataLoader
from groundup.engine.loader.spirals import Spirals


@pytest.mark.parametrize(("n_samples", "n_arms"), [(100, 2), (10, 3), (4, 4)])
def test_arms_are_of_one_size(n_samples, n_arms):
    counts = np.bincount([arm for _, arm in Spirals(n_samples, n_arms=n_arms)], minlength=n_arms)
    assert counts.sum() == n_samples
    assert np.ptp(counts) <= 1


def test_without_noise_the_angle_follows_the_radius():
    spirals = Spirals(200, n_arms=2, turns=1.5, noise=0.0)
    radius = np.hypot(*spirals.points.T)
    angle = np.arctan2(spirals.points[:, 1], spirals.points[:, 0])
    expected = 2 * np.pi * (1.5 * radius + spirals.arms / 2)
    # float32 keeps points to 6e-8; at the smallest radius of 0.01 that is 6e-6 of angle.
    assert np.abs(np.exp(1j * angle) - np.exp(1j * expected)).max() < 2e-5


def test_the_seed_decides():
    first, again, other = (Spirals(50, seed=seed).points for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_batch():
    points, arms = next(iter(DataLoader(Spirals(20), batch_size=6, shuffle=True, seed=0)))
    assert (points.shape, points.dtype, arms.shape, arms.dtype) == ((6, 2), np.float32, (6,), np.int64)


def test_too_few_samples():
    with pytest.raises(ValueError, match="expected 1 <= n_arms <= n_samples, found 3 and 2"):
        Spirals(2, n_arms=3)
