"""Beams of one prompt: who goes on, who ends, where they stand, and when it is enough."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs.generation import BeamConfig
from groundup.generation.hypotheses import Beam, Beams
from groundup.generation.sampling import Draw

END = 0


def candidates(beams: Beams, *chosen: tuple[float, int, int]) -> list[Beam]:
    """(total, parent, token), best first."""
    return [
        Beam(total, (*beams.running[parent].draws, Draw(0, token, -1.0, ())), parent) for total, parent, token in chosen
    ]


def ends(beam: Beam) -> bool:
    return beam.draws[-1].token == END


def advance(beams: Beams, *chosen: tuple[float, int, int]) -> None:
    beams.advance(candidates(beams, *chosen), ends)


def test_only_the_first_may_end_and_those_behind_stand_in():
    beams = Beams(BeamConfig(n_beams=2), longest=9)
    advance(beams, (-1.0, 0, END), (-2.0, 0, 5), (-3.0, 0, END), (-4.0, 0, 6))
    assert [one.tokens for one in beams.ended] == [[END]]  # the second end was third
    assert [(beam.total, beam.draws[-1].token) for beam in beams.running] == [(-2.0, 5), (-4.0, 6)]


@pytest.mark.parametrize(("early", "is_done"), [("yes", True), ("no", True), ("never", False)])
def test_the_three_ways_to_stop(early: str, is_done: bool):
    """Two ended at -1 and -2.25 a token; the best running has -6 after two tokens: -3, but in ten -0.6."""
    beams = Beams(BeamConfig(n_beams=2, early_stopping=early), longest=10)
    advance(beams, (-1.0, 0, END), (-3.0, 0, 5), (-5.0, 0, 6))
    assert not beams.is_done
    advance(beams, (-4.5, 0, END), (-6.0, 0, 5), (-7.0, 1, 6))
    assert [one.score for one in beams.ended] == [-1.0, -2.25]
    assert beams.is_done == is_done


def test_no_waits_while_a_running_one_is_better_now():
    beams = Beams(BeamConfig(n_beams=1), longest=10)
    advance(beams, (-3.0, 0, 5), (-4.0, 0, 6))
    advance(beams, (-3.1, 0, 5), (-9.0, 0, END))
    assert not beams.is_done
    advance(beams, (-3.2, 0, END), (-3.3, 0, 5))
    assert beams.is_done


def test_a_running_one_that_is_only_as_good_is_not_waited_for():
    beams = Beams(BeamConfig(n_beams=1, length_penalty=0.0), longest=10)
    advance(beams, (-3.0, 0, END), (-3.0, 0, 5))
    assert beams.is_done


def test_never_takes_the_present_length_where_longer_ones_score_less():
    beams = Beams(BeamConfig(n_beams=2, early_stopping="never", length_penalty=-1.0), longest=10)
    advance(beams, (-1.0, 0, 5), (-3.0, 0, END), (-4.0, 0, 6))
    advance(beams, (-1.2, 0, 5), (-1.4, 0, END), (-9.0, 1, 6))
    assert [one.score for one in beams.ended] == pytest.approx([-2.8, -3.0])  # total · length, rounded
    assert not beams.is_done  # -1.2 · 2 is better than -3; in ten tokens it would not be


def test_all_end_at_the_longest():
    beams = Beams(BeamConfig(n_beams=2, length_penalty=0.0), longest=1)
    advance(beams, (-1.0, 0, 5), (-2.0, 0, 6), (-3.0, 0, 7))
    assert beams.is_done
    assert [(one.tokens, one.score) for one in beams.ended] == [([5], -1.0), ([6], -2.0)]


@settings(derandomize=True, max_examples=50)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=5))
def test_a_first_child_stays_where_its_parent_was(parents: list[int]):
    beams = Beams(BeamConfig(n_beams=5), longest=9)
    advance(beams, *((-1.0 - i, 0, 1 + i) for i in range(5)))
    advance(beams, *((-9.0 - i, parent, 1 + i) for i, parent in enumerate(parents)))
    places = beams.running
    assert len(places) == 5
    for parent in {*parents}:
        assert places[parent].parent == parent
        assert places[parent].draws[-1].token == 1 + parents.index(parent)
    alive = [beam for beam in places if beam.total > -math.inf]
    assert sorted(beam.parent for beam in alive) == sorted(parents)
    assert all(beam.parent in parents for beam in places)  # what fills a place copies a beam that goes on
