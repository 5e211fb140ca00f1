"""Whether probabilities mean what they say: reliability bins and the expected calibration error.

Shapes: N examples, C labels, M bins. A prediction's confidence is the largest probability of its row.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

N_BINS = 15
"""As in Guo et al. 2017, so that figures compare with theirs and those that follow them."""


@dataclass(frozen=True, kw_only=True)
class ReliabilityBins:
    """Predictions sorted by confidence into M bins of equal width, (0, 1/M], (1/M, 2/M], …; 0 where a bin is empty."""

    counts: npt.NDArray[np.int64]
    """Predictions in each bin [M]."""
    confidence: npt.NDArray[np.float64]
    """Their mean confidence [M]."""
    accuracy: npt.NDArray[np.float64]
    """Which part of them is right [M]."""


def reliability_bins(
    labels: npt.NDArray[np.integer[Any]], probabilities: npt.NDArray[np.floating[Any]], *, n_bins: int = N_BINS
) -> ReliabilityBins:
    """Sort the predictions of probabilities [N, C] for labels [N] into bins of equal width.

    Example:
        >>> bins = reliability_bins(np.array([0, 1, 0]), np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]), n_bins=2)
        >>> bins.counts.tolist(), bins.confidence.round(2).tolist(), bins.accuracy.round(2).tolist()
        ([0, 3], [0.0, 0.8], [0.0, 0.33])
    """
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == labels
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    place = np.searchsorted(edges[1:-1], confidence)  # on an edge: the bin below it
    counts = np.bincount(place, minlength=n_bins)
    divisor = np.maximum(counts, 1)
    return ReliabilityBins(
        counts=counts,
        confidence=np.bincount(place, weights=confidence, minlength=n_bins) / divisor,
        accuracy=np.bincount(place, weights=right, minlength=n_bins) / divisor,
    )


def expected_calibration_error(
    labels: npt.NDArray[np.integer[Any]], probabilities: npt.NDArray[np.floating[Any]], *, n_bins: int = N_BINS
) -> float:
    """Return the mean gap between confidence and accuracy over the bins, weighted by size (Guo et al. 2017, eq. 3).

    It is above 0 even for perfect probabilities, the more so the fewer the examples: compare equal numbers of them.

    Example:
        >>> expected_calibration_error(np.array([0, 0, 0, 1]), np.array([[0.75, 0.25]] * 4))
        0.0
    """
    bins = reliability_bins(labels, probabilities, n_bins=n_bins)
    return float((bins.counts * np.abs(bins.accuracy - bins.confidence)).sum() / max(1, len(labels)))
