"""chrF and chrF++ against sacrebleu, on captions and made-up strings, in every setting."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import CHRF
from tests.evaluation.systems import captions, corpora

from groundup.errors import InputError
from groundup.evaluation.chrf import Chrf
from groundup.evaluation.text_metric import corpus_score, text_score

NAMES = {"character_order": "char_order", "every_order": "eps_smoothing"}
SETTINGS = st.fixed_dictionaries(
    {
        "character_order": st.integers(1, 7),
        "word_order": st.integers(0, 2),
        "beta": st.integers(1, 3),
        "lowercase": st.booleans(),
        "whitespace": st.booleans(),
        "every_order": st.booleans(),
    }
)
ROUNDING = 1e-10  # percent: the same sums, which newer Pythons round once instead of after each term


def sacrebleu(**chosen: Any) -> CHRF:
    return CHRF(**{NAMES.get(name, name): value for name, value in chosen.items()})


def test_one_word_by_hand():
    # ab | abc: characters 2 of 2 and of 3, pairs 1 of 1 and of 2, no triple of ours: that order is left out.
    precision, recall = 1, (2 / 3 + 1 / 2) / 2
    assert text_score(Chrf(), "ab", ["abc"]) == pytest.approx(100 * 5 * precision * recall / (4 * precision + recall))


@pytest.mark.parametrize("chosen", [{}, {"word_order": 2}, {"word_order": 2, "lowercase": True}, {"every_order": True}])
def test_captions_score_as_in_sacrebleu(chosen: dict[str, Any]):
    system, reference = captions(150)
    for references in ([reference], [reference, captions(150, seed=1)[0]]):
        expected = sacrebleu(**chosen).corpus_score(system, references)
        assert corpus_score(Chrf(**chosen), system, references) == pytest.approx(expected.score, abs=ROUNDING)
        assert Chrf(**chosen).name == expected.name


@settings(max_examples=25, derandomize=True)
@given(drawn=st.integers(1, 3).flatmap(corpora), chosen=SETTINGS)
def test_made_up_strings_score_as_in_sacrebleu(drawn: tuple[list[str], list[list[str]]], chosen: dict[str, Any]):
    hypotheses, references = drawn
    ours, theirs = Chrf(**chosen), sacrebleu(**chosen)
    expected = theirs.corpus_score(hypotheses, references).score
    assert corpus_score(ours, hypotheses, references) == pytest.approx(expected, abs=ROUNDING)
    for text, *own in zip(hypotheses, *references, strict=True):
        assert text_score(ours, text, own) == pytest.approx(theirs.sentence_score(text, own).score, abs=ROUNDING)


def test_the_signature_is_sacrebleus_but_for_the_version():
    for lowercase, whitespace, every_order in product((False, True), repeat=3):
        chosen = {"lowercase": lowercase, "whitespace": whitespace, "every_order": every_order, "word_order": 2}
        theirs = sacrebleu(**chosen)
        theirs.corpus_score(["a"], [["a"], ["b"]])
        assert Chrf(**chosen).signature(2).rpartition("|")[0] == theirs.get_signature().format().rpartition("|")[0]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"character_order": -1}, "Chrf.character_order must be at least 0, found -1"),
        ({"character_order": 0}, "expected n-grams of characters or of words, found orders of 0"),
    ],
)
def test_impossible_settings_are_refused(chosen: dict[str, int], message: str):
    with pytest.raises(InputError, match=message):
        Chrf(**chosen)
