"""PCA by hand: equal to scikit-learn's, and what must hold of any directions of largest variance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import decomposition

from groundup.errors import InputError
from groundup.interpret import pca
from groundup.interpret.pca import Floats, fit_pca

SHAPES = st.tuples(st.integers(2, 40), st.integers(1, 30), st.integers(0, 999))


def points_of(shape: tuple[int, int, int]) -> Floats:
    """Points whose variances fall from direction to direction, so that which is which is no matter of rounding."""
    N, D, seed = shape
    random = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(random.normal(size=(D, D)))
    return random.normal(size=(N, D)) * 0.7 ** np.arange(D) @ turned + 5 * random.normal(size=D)


@settings(max_examples=25, derandomize=True)
@given(SHAPES)
def test_as_scikit_learn_up_to_sign(shape: tuple[int, int, int]):
    points = points_of(shape)
    K = max(1, min(shape[0] - 1, shape[1], 4))  # of N points there are N - 1 directions; a further one is arbitrary
    ours, theirs = fit_pca(points, K), decomposition.PCA(K, svd_solver="full").fit(points)
    # An eigenvalue of the covariance is right to 1e-16 of the largest; the ratio of variances here is at most 1e-6.
    np.testing.assert_allclose(ours.explained_variance, theirs.explained_variance_, rtol=1e-7)
    np.testing.assert_allclose(ours.explained_variance_ratio, theirs.explained_variance_ratio_, rtol=1e-7)
    np.testing.assert_allclose(ours.mean, theirs.mean_, atol=1e-12)  # float64 sums of numbers of size 10
    signs = np.sign((ours.components * theirs.components_).sum(1))
    # A direction is as sure as the gap to the next variance is wide; by chance it is seldom below a thousandth.
    np.testing.assert_allclose(ours.components, signs[:, None] * theirs.components_, atol=1e-6)
    np.testing.assert_allclose(ours.transform(points), signs * theirs.transform(points), atol=1e-5)


@settings(max_examples=25, derandomize=True)
@given(SHAPES)
def test_laws(shape: tuple[int, int, int]):
    points = points_of(shape)
    N, D, _ = shape
    found = fit_pca(points, min(N, D))
    places = found.transform(points)
    K = len(found.components)
    # float64 rounding of sums of some dozen products, for numbers of size 10
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(K), atol=1e-10)
    np.testing.assert_allclose(places.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(np.cov(places.T).reshape(K, K), np.diag(found.explained_variance), atol=1e-9)
    assert (np.diff(found.explained_variance) <= 1e-12).all()
    assert found.explained_variance_ratio.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.inverse_transform(places), points, atol=1e-9)
    assert (np.abs(found.components).max(1) == found.components.max(1)).all(), "the largest entry is positive"
    moved = fit_pca(points + 3, min(N, D))
    np.testing.assert_allclose(moved.explained_variance, found.explained_variance, atol=1e-9)


def test_both_ways_are_one(monkeypatch: pytest.MonkeyPatch):
    """With no more points than numbers singular values, with more the covariance, of blocks of any size."""
    points = points_of((30, 30, 1))
    by_singular_values = fit_pca(points, 5)
    monkeypatch.setattr(pca, "BLOCK", 7)
    by_covariance = fit_pca(np.repeat(points, 2, axis=0), 5)  # each twice: the same directions
    np.testing.assert_allclose(by_covariance.components, by_singular_values.components, atol=1e-9)  # float64
    ratio = by_covariance.explained_variance / by_singular_values.explained_variance
    np.testing.assert_allclose(ratio, 2 * 29 / 59, rtol=1e-9)


def test_float32_is_as_good_as_float64():
    points = points_of((5_000, 20, 2)).astype(np.float32)
    one, other = fit_pca(points, 3), fit_pca(points.astype(np.float64), 3)
    np.testing.assert_allclose(one.components, other.components, atol=1e-5)  # float32 products of a block: 1e-7 each
    np.testing.assert_allclose(one.explained_variance, other.explained_variance, rtol=1e-5)


def test_points_that_are_all_the_same_have_no_variance():
    found = fit_pca(np.ones((4, 3)), 2)
    assert found.explained_variance.tolist() == found.explained_variance_ratio.tolist() == [0, 0]
    assert np.isfinite(found.components).all()


@pytest.mark.parametrize(
    ("points", "K", "said"),
    [
        (np.zeros((3, 4)), 4, "expected 1 to 3 components of 3 points with 4 numbers each, found 4: take fewer"),
        (np.zeros((3, 4)), 0, "expected 1 to 3 components"),
        (np.zeros((1, 4)), 1, r"expected at least two points as rows of a matrix, found an array of shape \(1, 4\)"),
        (np.zeros(4), 1, "found an array of shape"),
        (np.zeros((4, 0)), 1, "found an array of shape"),
        (np.full((3, 4), np.nan), 1, "found NaN or infinity among them"),
    ],
)
def test_what_cannot_be_is_said(points: Floats, K: int, said: str):
    with pytest.raises(InputError, match=said):
        fit_pca(points, K)
