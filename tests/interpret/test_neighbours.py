"""Neighbours by cosine: equal to a sort of all of them, and analogies that are exact where vectors are sums."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from groundup.errors import InputError
from groundup.interpret import neighbours
from groundup.interpret.neighbours import all_nearest, analogy, nearest, unit_rows

MATRICES = st.tuples(st.integers(2, 40), st.integers(1, 12), st.integers(0, 999))


@settings(max_examples=25, derandomize=True)
@given(MATRICES, st.integers(1, 50))
def test_as_a_sort_of_all_cosines(shape: tuple[int, int, int], n: int):
    V, D, seed = shape
    vectors = np.random.default_rng(seed).normal(size=(V, D))
    units, reference = unit_rows(vectors), cosine_similarity(vectors)
    found = nearest(units, vectors[0], n, leave_out=[0])
    assert len(found) == min(n, V - 1)
    assert 0 not in [one.index for one in found]
    expected = np.sort(reference[0, 1:])[::-1][: len(found)]
    np.testing.assert_allclose([one.cosine for one in found], expected, atol=1e-6)  # float32
    np.testing.assert_allclose([reference[0, one.index] for one in found], expected, atol=1e-6)


def test_of_all_at_once(monkeypatch: pytest.MonkeyPatch):
    units = unit_rows(np.random.default_rng(0).normal(size=(50, 8)))
    monkeypatch.setattr(neighbours, "BLOCK", 13)
    found, cosines = all_nearest(units, 4)
    for i in range(50):
        one_by_one = nearest(units, units[i], 4, leave_out=[i])
        assert found[i].tolist() == [one.index for one in one_by_one]
        np.testing.assert_allclose(cosines[i], [one.cosine for one in one_by_one], atol=1e-6)  # float32
    for k in (0, 50):
        with pytest.raises(InputError, match=f"expected 1 to 49 neighbours of 50 vectors, found {k}"):
            all_nearest(units, k)


def test_length_does_not_matter_and_zeros_point_nowhere():
    vectors = np.array([[1.0, 2.0], [-3.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(unit_rows(vectors * [[5], [1e-20], [1]]), unit_rows(vectors), atol=1e-7)  # float32
    assert unit_rows(vectors)[2].tolist() == [0, 0]
    assert nearest(unit_rows(vectors), vectors[0])[0].cosine == pytest.approx(1)
    assert nearest(unit_rows(vectors), vectors[2])[0].cosine == 0


def test_an_analogy_of_sums_is_exact():
    """Vectors made of a royal part, a male or female part and noise: the step from man to king leads to queen."""
    random = np.random.default_rng(0)
    royal, common, male, female = random.normal(size=(4, 64))
    noise = random.normal(scale=0.1, size=(200, 64))
    vectors = noise.copy()
    for row, parts in enumerate(((royal, male), (royal, female), (common, male), (common, female))):
        vectors[row] += sum(parts)
    king, queen, man, woman = range(4)
    units = unit_rows(vectors)
    found = analogy(units, king, man, woman, n=3)
    assert found[0].index == queen
    assert {king, man, woman}.isdisjoint(one.index for one in found)
    assert analogy(units, woman, queen, king)[0].index == man


def test_fewer_than_asked_for():
    units = unit_rows(np.eye(3))
    assert [one.index for one in nearest(units, units[1], 10)] == [1, 0, 2], "of equals the first"
    assert nearest(units, units[0], 10, leave_out=[0, 1, 2]) == []
    assert analogy(units, 0, 1, 2) == []
