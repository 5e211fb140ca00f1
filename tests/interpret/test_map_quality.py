"""How many neighbours a map keeps: all of them where nothing moved, as many as chance where places are dealt."""

import numpy as np
import pytest

from groundup.errors import InputError
from groundup.interpret.map_quality import neighbours_kept

POINTS = np.random.default_rng(0).normal(size=(300, 2))


def test_what_is_only_turned_moved_and_enlarged_keeps_all():
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert neighbours_kept(POINTS, 7 * POINTS @ turn + 3) == 1


def test_chance_keeps_what_chance_would():
    dealt = np.random.default_rng(1).permutation(POINTS)
    # 3,000 neighbours, each right with probability 10 / 299: a standard deviation of 0.0033
    assert neighbours_kept(POINTS, dealt) == pytest.approx(10 / 299, abs=0.012)


def test_a_sample_says_about_the_same():
    bent = POINTS + 0.2 * np.sin(5 * POINTS[:, ::-1])
    # of 100 points ten neighbours each: a standard deviation of about 0.02
    assert neighbours_kept(POINTS, bent, at_most=100) == pytest.approx(neighbours_kept(POINTS, bent), abs=0.08)
    assert neighbours_kept(POINTS, bent, at_most=100) == neighbours_kept(POINTS, bent, at_most=100)


@pytest.mark.parametrize("k", [0, 300])
def test_as_many_neighbours_as_there_are(k: int):
    with pytest.raises(InputError, match=f"expected 1 to 299 neighbours of 300 points, found {k}"):
        neighbours_kept(POINTS, POINTS, k)
