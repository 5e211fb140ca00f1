"""Maps in the plane that keep neighbours together: t-SNE through scikit-learn, UMAP through umap-learn (extra `viz`).

Shapes: N points, D numbers each.
"""

import importlib
import math
import warnings
from typing import Any

import numpy as np

from groundup.errors import InputError
from groundup.interpret.pca import Floats

FEWEST = 5
"""Points of a map: fewer have no neighbourhoods to keep."""
PACKAGES = {"sklearn.manifold": "scikit-learn", "umap": "umap-learn"}
"""Module -> what it is called where one gets it."""


def tsne(points: Floats, *, perplexity: float | None = None, seed: int = 0) -> Floats:
    """Return a place in the plane for each of `points` [N, D]: [N, 2], by t-SNE (van der Maaten and Hinton 2008).

    Each point chooses its neighbours: with a chance that falls with distance as a bell curve, as wide as makes
    `perplexity` of them count. Places are moved until they choose alike, by a curve with a heavier tail, so that what
    is not near has room. The map begins with PCA. Time grows little faster than N (Barnes and Hut's sums): a minute for
    a few thousand.

    Args:
        points: one in each row; distances between them are Euclidean, so give rows of length 1 to go by angles.
        perplexity: about how many neighbours count. None: 30, as in the paper, or a third of N - 1 where that is less.
        seed: the same numbers again, on the same machine.

    Raises:
        InputError: fewer than five points, a perplexity not from 1 to below N, or scikit-learn is missing.

    Example:
        >>> points = np.repeat(np.eye(3), 10, axis=0) + np.random.default_rng(0).normal(scale=0.1, size=(30, 3))
        >>> tsne(points, perplexity=5).shape
        (30, 2)
    """
    N = _count(points)
    perplexity = min(30.0, (N - 1) / 3) if perplexity is None else perplexity
    if not (math.isfinite(perplexity) and 1 <= perplexity < N):
        raise InputError(
            f"expected a perplexity from 1 to below {N}, the number of points, found {perplexity:g}: about a third of "
            "them at most makes sense"
        )
    maker = _library("sklearn.manifold").TSNE(perplexity=perplexity, init="pca", random_state=seed)
    return _placed(maker, points)


def umap(points: Floats, *, n_neighbours: int | None = None, min_distance: float = 0.1, seed: int = 0) -> Floats:
    """Return a place in the plane for each of `points` [N, D]: [N, 2], by UMAP (McInnes, Healy and Melville 2018).

    Each point is tied to its nearest neighbours, the more the nearer; places are pulled together along the ties and
    pushed apart from points drawn by chance. The first map of a process takes seconds more, for umap-learn compiles
    itself.

    Args:
        points: one in each row; distances between them are Euclidean, so give rows of length 1 to go by angles.
        n_neighbours: to how many each is tied: few show the fine grain, many the whole. None: 15, or N - 1 where that
            is less.
        min_distance: how near to each other places may lie, where the map is about 20 wide.
        seed: the same numbers again, on the same machine; therefore on one thread.

    Raises:
        InputError: fewer than five points, neighbours not from 2 to N - 1, a distance not from 0 to 1, or umap-learn is
            missing.
    """
    N = _count(points)
    n_neighbours = min(15, N - 1) if n_neighbours is None else n_neighbours
    if not 2 <= n_neighbours < N:
        raise InputError(f"expected 2 to {N - 1} neighbours of {N} points, found {n_neighbours}: take another number")
    if not 0 <= min_distance <= 1:
        raise InputError(f"expected a distance between places from 0 to 1, found {min_distance:g}")
    # With very few points the eigenvectors that it would begin with do not exist.
    start = "spectral" if N > 2 * FEWEST else "random"
    maker = _library("umap").UMAP(
        n_neighbors=n_neighbours, min_dist=min_distance, init=start, random_state=seed, n_jobs=1
    )
    return _placed(maker, points)


def _count(points: Floats) -> int:
    shape = np.shape(points)
    if len(shape) != 2 or shape[0] < FEWEST or shape[1] < 2:
        raise InputError(
            f"expected at least {FEWEST} points of two or more numbers as rows of a matrix, found an array of shape "
            f"{shape}: give more"
        )
    if not np.isfinite(points).all():
        raise InputError("expected points of finite numbers, found NaN or infinity among them: leave those points out")
    return int(shape[0])


def _library(module: str) -> Any:  # noqa: ANN401 - neither has types
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries about each other's versions
            return importlib.import_module(module)
    except ImportError:
        raise InputError(
            f"expected {PACKAGES[module]} to be installed, found it missing: pip install 'groundup[viz]', or take pca"
        ) from None


def _placed(maker: Any, points: Floats) -> Floats:  # noqa: ANN401 - an estimator of either
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a graph in several parts is no mistake of the reader's
        found: Floats = np.asarray(maker.fit_transform(np.ascontiguousarray(points)), dtype=np.float64)
    return found
