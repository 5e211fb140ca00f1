"""Proofs of what maps of embeddings are made of: principal components and neighbours, against scikit-learn's."""

import numpy as np

from groundup.interpret.neighbours import all_nearest, unit_rows
from groundup.interpret.pca import Floats, fit_pca
from groundup.proofs.compare import largest
from groundup.proofs.table import Proof

K = 5
"""Directions, and neighbours of each point."""


def _points(n: int, d: int) -> Floats:
    """Return points whose variances fall from direction to direction, so that which is which is no matter of chance."""
    random = np.random.default_rng(n)
    turned, _ = np.linalg.qr(random.normal(size=(d, d)))
    points: Floats = random.normal(size=(n, d)) * 0.7 ** np.arange(d) @ turned + random.normal(size=d)
    return points


def _pca() -> float:
    """Return how far directions, variances and places are apart, with more points than numbers and with fewer."""
    from sklearn.decomposition import PCA  # type: ignore[import-untyped]

    found = []
    for points in (_points(300, 40), _points(40, 300)):
        ours, theirs = fit_pca(points, K), PCA(K, svd_solver="full").fit(points)
        signs = np.sign((ours.components * theirs.components_).sum(1))
        for mine, other in (
            (ours.components, signs[:, None] * theirs.components_),
            (ours.explained_variance, theirs.explained_variance_),
            (ours.explained_variance_ratio, theirs.explained_variance_ratio_),
            (ours.transform(points), signs * theirs.transform(points)),
        ):
            found.append(float(np.abs(mine - other).max()))
    return largest(found)


def _neighbours() -> float:
    """Return how far the cosines of nearest neighbours are apart; of two equally near ones either may be first."""
    from sklearn.neighbors import NearestNeighbors  # type: ignore[import-untyped]

    points = _points(500, 20)
    distances, _ = NearestNeighbors(n_neighbors=K, metric="cosine").fit(points).kneighbors()
    _, cosines = all_nearest(unit_rows(points), K)
    return float(np.abs(1 - distances - cosines).max())


PROOFS = (
    Proof(
        room="interpret",
        part="PCA by hand: directions, variances, places",
        reference="scikit-learn, up to sign",
        bound=1e-9,
        why="float64 eigenvectors; a direction is as sure as the gap to the next variance is wide",
        difference=_pca,
        needs=("sklearn",),
    ),
    Proof(
        room="interpret",
        part="2,500 nearest neighbours: cosines",
        reference="scikit-learn NearestNeighbors",
        bound=1e-6,
        why="float32 sums of 20 products of numbers up to 1",
        difference=_neighbours,
        needs=("sklearn",),
    ),
)
