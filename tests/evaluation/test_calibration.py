"""Calibration against scikit-learn's curve, and on probabilities that are known to be right or wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from groundup.evaluation.calibration import N_BINS, expected_calibration_error, reliability_bins


def draw(seed: int, n: int, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    weights = random.exponential(size=(n, n_labels)) ** 2
    return random.integers(0, n_labels, n), weights / weights.sum(1, keepdims=True)


@settings(max_examples=25, derandomize=True)
@given(st.integers(0, 1_000), st.integers(1, 80), st.integers(2, 5), st.integers(1, 20))
def test_bins_equal_scikit_learn(seed: int, n: int, n_labels: int, n_bins: int):
    labels, probabilities = draw(seed, n, n_labels)
    bins = reliability_bins(labels, probabilities, n_bins=n_bins)
    right, confidence = probabilities.argmax(1) == labels, probabilities.max(1)
    expected = calibration_curve(right, confidence, n_bins=n_bins)  # leaves empty bins out
    filled = bins.counts > 0
    assert bins.counts.sum() == n
    np.testing.assert_allclose([bins.accuracy[filled], bins.confidence[filled]], expected, atol=1e-12)
    assert not bins.accuracy[~filled].any()
    # Eq. 3 by hand, over the curve.
    gap = np.average(np.abs(expected[0] - expected[1]), weights=bins.counts[filled])
    assert expected_calibration_error(labels, probabilities, n_bins=n_bins) == pytest.approx(gap, abs=1e-12)


def test_an_edge_belongs_to_the_bin_below_it():
    # (0, 1/2], (1/2, 1]: the paper's intervals are closed above.
    assert reliability_bins(np.array([0, 0]), np.array([[0.5, 0.5], [1.0, 0.0]]), n_bins=2).counts.tolist() == [1, 1]


def test_honest_probabilities_have_a_small_error_and_boasts_a_large_one():
    random = np.random.default_rng(0)
    honest = np.stack([p := random.uniform(size=50_000), 1 - p], axis=1)
    labels = (random.uniform(size=50_000) > honest[:, 0]).astype(int)
    # Each of 8 filled bins of 6,000 has a standard error of about 0.006.
    assert expected_calibration_error(labels, honest) < 0.01
    boast = np.where(honest == honest.max(1, keepdims=True), 0.999, 0.001)
    mean_right = np.mean(honest.argmax(1) == labels)
    assert expected_calibration_error(labels, boast) == pytest.approx(0.999 - mean_right, abs=1e-9)
    assert len(reliability_bins(labels, honest).counts) == N_BINS == 15
