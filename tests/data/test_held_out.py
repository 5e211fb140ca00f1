"""Held-out things: all are somewhere, copies are together, the share is about what was asked for."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data.held_out import hold_out
from groundup.errors import InputError


@settings(max_examples=25, derandomize=True)
@given(
    keys=st.lists(st.integers(0, 30), min_size=2, max_size=60).filter(lambda keys: len(set(keys)) > 1),
    fraction=st.floats(0.01, 0.5),
    seed=st.integers(0, 9),
)
def test_everything_is_on_one_side_and_copies_are_together(keys: list[int], fraction: float, seed: int):
    things = list(enumerate(keys))
    sides = hold_out(things, keys, fraction, seed, name="things")
    assert sorted(sides.train + sides.validation) == things
    assert not {key for _, key in sides.train} & {key for _, key in sides.validation}
    assert sides.train
    assert sides.validation
    assert list(sides.train) == sorted(sides.train)
    assert sides.n_copies == len(keys) - len(set(keys))
    assert sides == hold_out(things, keys, fraction, seed, name="things")


@pytest.mark.parametrize(("n", "fraction", "expected"), [(10, 0.1, 1), (10, 0.25, 3), (1000, 0.1, 100), (2, 0.5, 1)])
def test_of_things_without_copies_the_share_is_exact_but_for_rounding(n: int, fraction: float, expected: int):
    assert len(hold_out(range(n), range(n), fraction, 0, name="numbers").validation) == expected


def test_the_seed_decides():
    found = {hold_out(range(100), range(100), 0.1, seed, name="numbers").validation for seed in range(5)}
    assert len(found) == 5


def test_one_kind_cannot_be_split():
    with pytest.raises(InputError, match="expected at least 2 different letters, one to learn from and one to hold "):
        hold_out("aa", "aa", 0.5, 0, name="letters")
