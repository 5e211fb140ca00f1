"""Principal component analysis by hand: the directions in which points differ most, from their covariance.

Shapes: N points, D numbers each, K components.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError

Floats = npt.NDArray[np.floating]

BLOCK = 4_096
"""Points that are centred at a time, so that no second copy of them all is made."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PCA:
    """What was learned of points: where their middle is, and in which directions they lie around it."""

    mean: Floats
    """Their middle [D]."""
    components: Floats
    """The directions [K, D]: of length 1, at right angles, the one in which they differ most first. Of the two ways
    that each can point it has the one in which its largest entry is positive."""
    explained_variance: Floats
    """Variance along each direction [K], with N - 1 below."""
    explained_variance_ratio: Floats
    """Its part of the variance in all D directions [K]; zeros where all points are one."""

    def transform(self, points: Floats) -> Floats:
        """Return where points [N, D] are along the directions: float64 [N, K]."""
        blocks = [block @ self.components.T for block in _centred(np.asarray(points), self.mean)]
        return np.concatenate(blocks)

    def inverse_transform(self, places: Floats) -> Floats:
        """Return the points [N, D] that lie at `places` [N, K], and nowhere else than in these directions."""
        found: Floats = np.asarray(places) @ self.components + self.mean
        return found


def fit_pca(points: Floats, n_components: int = 2) -> PCA:
    """Find the directions in which points [N, D] differ most (Pearson 1901; Bishop 2006, section 12.1).

    They are the eigenvectors of the covariance matrix [D, D], whose eigenvalues are the variances along them. With no
    more points than numbers the same come from the singular values of the points themselves, which is less work then.

    float32 is multiplied as float32, block by block, and added up in float64: variances below 1e-7 of the largest are
    noise. Anything else is taken as float64.

    Args:
        points: one in each row.
        n_components: directions K to keep.

    Raises:
        InputError: no matrix of two or more points, numbers that are not finite, or K not from 1 to min(N, D).

    Example:
        >>> points = np.array([[0.0, 0.0], [4.0, 2.0], [8.0, 4.0], [4.0, 2.5]])
        >>> found = fit_pca(points, 1)
        >>> found.components.round(2).tolist(), found.explained_variance_ratio.round(3).tolist()
        ([[0.89, 0.45]], [0.996])
        >>> found.transform(points).round(1).ravel().tolist()
        [-4.5, -0.1, 4.4, 0.2]
    """
    points = _checked(points)
    N, D = points.shape
    if not 1 <= n_components <= min(N, D):
        raise InputError(
            f"expected 1 to {min(N, D)} components of {N} points with {D} numbers each, found {n_components}: "
            "take fewer, or give more points"
        )
    mean = points.mean(0, dtype=np.float64)
    if N > D:
        variances, columns = np.linalg.eigh(_covariance(points, mean))  # the smallest first
        variances, directions = variances[::-1].clip(min=0), columns.T[::-1]
    else:
        _, singular, directions = np.linalg.svd(points - mean, full_matrices=False)
        variances = singular**2 / (N - 1)
    components = directions[:n_components].copy()
    largest = np.abs(components).argmax(1, keepdims=True)
    components *= np.sign(np.take_along_axis(components, largest, 1))
    kept, total = variances[:n_components].copy(), variances.sum()
    ratio = kept / total if total > 0 else np.zeros_like(kept)
    return PCA(mean=mean, components=components, explained_variance=kept, explained_variance_ratio=ratio)


def _checked(points: Floats) -> Floats:
    points = np.asarray(points)
    if points.ndim != 2 or len(points) < 2 or not points.shape[1]:
        raise InputError(f"expected at least two points as rows of a matrix, found an array of shape {points.shape}")
    if points.dtype != np.float32:
        points = points.astype(np.float64)
    if not np.isfinite(points).all():
        raise InputError("expected points of finite numbers, found NaN or infinity among them: leave those points out")
    return points


def _covariance(points: Floats, mean: Floats) -> Floats:
    """Return the covariance [D, D]: the mean over points of the product of each two of their numbers, both centred."""
    D = points.shape[1]
    total = np.zeros((D, D))
    for block in _centred(points, mean):
        total += block.T @ block  # one array, transposed: NumPy computes half of it
    return total / (len(points) - 1)


def _centred(points: Floats, mean: Floats) -> Iterator[Floats]:
    """Yield the points less their mean, some at a time, in their own precision."""
    middle = mean.astype(points.dtype) if points.dtype == np.float32 else mean
    for start in range(0, len(points), BLOCK):
        yield points[start : start + BLOCK] - middle
