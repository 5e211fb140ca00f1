"""Diversity of texts: cases worked out by hand, and what must hold for any text."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.evaluation.text_diversity import distinct_n, repeated_share, words

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=5)


@pytest.mark.parametrize(
    ("texts", "n", "distinct"),
    [
        (["the cat sat", "the cat ran"], 1, 4 / 6),  # the cat sat ran
        (["the cat sat", "the cat ran"], 2, 3 / 4),  # the-cat cat-sat cat-ran; never sat-the
        (["the cat sat", "the cat ran"], 3, 2 / 2),
        (["the cat sat", "the cat ran"], 4, None),
        (["no no no no"], 1, 1 / 4),
        (["no no no no"], 2, 1 / 3),
        (["", "yes"], 1, 1.0),
        ([], 1, None),
    ],
)
def test_distinct_by_hand(texts: list[str], n: int, distinct: float | None):
    assert distinct_n([text.split() for text in texts], n) == distinct


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        (["a b c d a b c d"], 1 / 5),  # abcd bcda cdab dabc abcd
        (["a a a a a a"], 2 / 3),  # aaaa three times, twice of them again
        (["a b c d a b c d", "a b c d"], 1 / 10),  # what another text said does not count
        (["a b c", ""], None),
    ],
)
def test_repetition_by_hand(texts: list[str], share: float | None):
    assert repeated_share([text.split() for text in texts]) == (None if share is None else pytest.approx(share))


def test_words_are_the_same_in_upper_case_and_next_to_punctuation():
    assert words("Être—or not:  être?\n") == ["être", "—", "or", "not", ":", "être", "?"]


@settings(max_examples=25, derandomize=True)
@given(texts=TEXTS, n=st.integers(1, 3))
def test_for_one_text_what_is_not_distinct_is_repeated(texts: list[list[str]], n: int):
    for text in texts:
        distinct, repeated = distinct_n([text], n), repeated_share([text], n)
        assert (distinct is None) == (repeated is None) == (len(text) < n)
        if distinct is not None and repeated is not None:
            assert distinct + repeated == pytest.approx(1)


@settings(max_examples=25, derandomize=True)
@given(texts=TEXTS, n=st.integers(1, 3))
def test_saying_everything_twice_halves_the_distinct_share(texts: list[list[str]], n: int):
    once, twice = distinct_n(texts, n), distinct_n(texts + texts, n)
    assert twice == (None if once is None else pytest.approx(once / 2))


def test_an_impossible_n_is_refused():
    with pytest.raises(ValueError, match="expected n of at least 1, found 0"):
        distinct_n([["a"]], 0)
