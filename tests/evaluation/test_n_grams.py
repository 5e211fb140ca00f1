"""n-grams and their clipped matches: Papineni's example, and laws."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.evaluation.n_grams import clipped_matches, n_grams

UNITS = st.lists(st.sampled_from("abc"), max_size=8)


def test_papineni_s_example():
    candidate, references = "the the the the the the the", ["the cat is on the mat", "there is a cat on the mat"]
    assert clipped_matches(candidate.split(), [text.split() for text in references], 1) == 2


@settings(max_examples=25, derandomize=True)
@given(a=UNITS, b=UNITS, n=st.integers(1, 4))
def test_two_texts_share_as_much_either_way_and_no_more_than_both_have(a: list[str], b: list[str], n: int):
    shared = clipped_matches(a, [b], n)
    assert shared == clipped_matches(b, [a], n) <= min(len(list(n_grams(a, n))), len(list(n_grams(b, n))))
    assert clipped_matches(a, [a], n) == len(list(n_grams(a, n))) == max(len(a) - n + 1, 0)


def test_an_impossible_n_is_refused():
    with pytest.raises(ValueError, match="expected n of at least 1, found 0"):
        n_grams("abc", 0)
