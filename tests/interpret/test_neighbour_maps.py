"""t-SNE and UMAP: neighbours stay neighbours, the seed decides, and what cannot be drawn is said before it is tried."""

import sys

import numpy as np
import pytest

from groundup.errors import InputError
from groundup.interpret.map_quality import neighbours_kept
from groundup.interpret.neighbour_maps import tsne, umap
from groundup.interpret.pca import Floats

CLUSTERS, EACH = 3, 12


@pytest.fixture(scope="module")
def points() -> Floats:
    """Three clusters that lie far apart in ten dimensions."""
    random = np.random.default_rng(0)
    middles = 10 * random.normal(size=(CLUSTERS, 10))
    return np.repeat(middles, EACH, axis=0) + random.normal(size=(CLUSTERS * EACH, 10))


def check(places: Floats, again: Floats, points: Floats) -> None:
    assert places.shape == (len(points), 2)
    assert np.isfinite(places).all()
    assert np.array_equal(places, again), "the same seed gives the same numbers"
    # Whatever a map does within a cluster, points of far clusters are not among the nearest half of one's own.
    assert neighbours_kept(np.repeat(np.eye(CLUSTERS), EACH, 0) + 1e-3 * points[:, :3], places, 5) > 0.3
    middles = places.reshape(CLUSTERS, EACH, 2).mean(1)
    owner = np.linalg.norm(places[:, None] - middles, axis=2).argmin(1)
    assert (owner == np.repeat(np.arange(CLUSTERS), EACH)).all()


def test_tsne_keeps_clusters(points: Floats):
    check(tsne(points, perplexity=5), tsne(points, perplexity=5), points)
    assert not np.array_equal(tsne(points, perplexity=5), tsne(points, perplexity=8))


@pytest.mark.slow  # umap-learn compiles itself: about twenty seconds
def test_umap_keeps_clusters(points: Floats):
    check(umap(points, n_neighbours=5), umap(points, n_neighbours=5), points)
    assert not np.array_equal(umap(points, n_neighbours=5), umap(points, n_neighbours=5, seed=1))
    for few in (5, 11):
        assert np.isfinite(umap(points[:few])).all()


def test_few_points_have_a_default_of_their_own(points: Floats):
    assert tsne(points[:5]).shape == (5, 2)


BAD = [
    (tsne, {"perplexity": 36}, "expected a perplexity from 1 to below 36, the number of points, found 36: about a"),
    (tsne, {"perplexity": 0.5}, "expected a perplexity from 1 to below 36"),
    (tsne, {"perplexity": float("nan")}, "expected a perplexity from 1 to below 36, .* found nan"),
    (umap, {"n_neighbours": 36}, "expected 2 to 35 neighbours of 36 points, found 36: take another number"),
    (umap, {"n_neighbours": 1}, "expected 2 to 35 neighbours of 36 points, found 1"),
    (umap, {"min_distance": -0.1}, "expected a distance between places from 0 to 1, found -0.1"),
    (umap, {"min_distance": 2}, "found 2"),
]


@pytest.mark.parametrize(("method", "asked", "said"), BAD)
def test_what_cannot_be_is_said(method, asked, said: str, points: Floats):
    with pytest.raises(InputError, match=said):
        method(points, **asked)


@pytest.mark.parametrize("method", [tsne, umap])
def test_points_that_cannot_be_drawn(method, points: Floats):
    with pytest.raises(InputError, match=r"expected at least 5 points .* found an array of shape \(4, 10\): give more"):
        method(points[:4])
    with pytest.raises(InputError, match=r"found an array of shape \(36, 1\)"):
        method(points[:, :1])
    with pytest.raises(InputError, match="found NaN or infinity"):
        method(np.where(points == points[0, 0], np.inf, points))


@pytest.mark.parametrize(
    ("method", "module", "package"),
    [(tsne, "sklearn.manifold", "scikit-learn"), (umap, "umap", "umap-learn")],
)
def test_a_library_that_is_missing(method, module: str, package: str, points: Floats, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    with pytest.raises(InputError, match=rf"^expected {package} to be installed, .*: pip install 'groundup\[viz\]'"):
        method(points)
