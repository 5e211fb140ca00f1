"""ROUGE against rouge-score, on captions and made-up strings; Lin's examples."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evaluation.systems import TEXTS, captions

from groundup.errors import InputError
from groundup.evaluation.rouge import KINDS, Rouge, rouge_l
from groundup.evaluation.text_metric import corpus_score

ROUNDING = 1e-12  # F1 from 0 to 1: the same few operations, perhaps in another order
WORDY = st.lists(st.sampled_from(["the", "cat", "The cat", "sat.", "on", "a", "\n", "ß"]), max_size=25).map(" ".join)


@pytest.fixture(scope="module")
def scorer():
    from rouge_score.rouge_scorer import RougeScorer  # imports nltk

    return RougeScorer([f"rouge{kind}" for kind in KINDS])


def test_lin_s_order_of_words():
    assert rouge_l("police kill the gunman", "police killed the gunman").f1 == 0.75
    assert rouge_l("the gunman kill police", "police killed the gunman").f1 == 0.5


def assert_equal(scorer, text: str, reference: str) -> None:
    for kind in KINDS:
        expected = scorer.score(reference, text)[f"rouge{kind}"]
        assert Rouge(kind=kind).overlap(text, reference) == pytest.approx(tuple(expected), abs=ROUNDING), kind


def test_captions_score_as_in_rouge_score(scorer):
    system, reference = captions(100)
    for text, own in zip(system, reference, strict=True):
        assert_equal(scorer, text, own)


def test_summaries_of_several_lines_score_as_in_rouge_score(scorer):
    system, reference = captions(60)
    draw = random.Random(0)
    for first in range(0, 60, 6):
        lines = system[first : first + 6]
        draw.shuffle(lines)
        assert_equal(scorer, "\n".join(lines), "\n".join(reference[first : first + 6]))


@settings(max_examples=25, derandomize=True)
@given(pairs=st.lists(st.tuples(TEXTS | WORDY, TEXTS | WORDY), min_size=4, max_size=4))
def test_made_up_strings_score_as_in_rouge_score(scorer, pairs: list[tuple[str, str]]):
    for text, reference in pairs:
        assert_equal(scorer, text, reference)


def test_a_corpus_has_the_mean_of_the_best_references(scorer):
    system, reference = captions(30)
    other = captions(30, seed=1)[0]
    for kind in KINDS:
        best = [
            scorer.score_multi([one, two], text)[f"rouge{kind}"].fmeasure
            for text, one, two in zip(system, reference, other, strict=True)
        ]
        expected = 100 * sum(best) / len(best)
        assert corpus_score(Rouge(kind=kind), system, [reference, other]) == pytest.approx(expected)


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="unknown kind of ROUGE 'W': known are 1, 2, 3, 4, L, Lsum"):
        Rouge(kind="W")
