"""BLEU: by hand on two sentences, and to the bit sacrebleu's on captions and made-up strings, in every setting."""

import math
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU
from tests.evaluation.systems import captions, corpora

from groundup.errors import InputError
from groundup.evaluation.bleu import Bleu, BleuScore

SETTINGS = st.fixed_dictionaries(
    {
        "tokenizer": st.sampled_from(["13a", "intl", "zh", "char", "none"]),
        "lowercase": st.booleans(),
        "smoothing": st.sampled_from(["none", "floor", "add-k", "exp"]),
        "smoothing_value": st.sampled_from([None, 0.0, 0.01, 2.0]),
        "max_order": st.integers(1, 6),
        "effective_order": st.booleans(),
    }
)
NAMES = {"tokenizer": "tokenize", "smoothing": "smooth_method", "smoothing_value": "smooth_value",
         "max_order": "max_ngram_order"}  # fmt: skip


def sacrebleu(**chosen: Any) -> BLEU:
    return BLEU(**{NAMES.get(name, name): value for name, value in chosen.items()}, force=True)


def assert_equal(ours: BleuScore, theirs: Any) -> None:
    # The same numbers in the same order: no rounding between them.
    assert (ours.score, list(ours.precisions), ours.brevity_penalty) == (theirs.score, theirs.precisions, theirs.bp)
    assert (ours.length, ours.reference_length) == (theirs.sys_len, theirs.ref_len)
    assert str(ours) == str(theirs)


def test_two_sentences_by_hand():
    # Hypothesis: the the cat sat | Reference: the cat sat down now
    # 1-grams: the (once only) cat sat, 3 of 4. 2-grams: the-cat cat-sat, 2 of 3. 3-grams: 1 of 2.
    # 4-grams: 0 of 1.
    found = Bleu(max_order=3).sentence("the the cat sat", ["the cat sat down now"])
    assert found.precisions == pytest.approx((75, 200 / 3, 50))
    assert found.brevity_penalty == pytest.approx(math.exp(1 - 5 / 4))
    assert found.score == pytest.approx(100 * math.exp(1 - 5 / 4) * (3 / 4 * 2 / 3 * 1 / 2) ** (1 / 3))
    assert Bleu(smoothing="none").sentence("the the cat sat", ["the cat sat down now"]).score == 0


@pytest.mark.parametrize(
    ("tokenizer", "lowercase"), [*product(["13a", "intl", "zh", "char", "none"], [False]), ("13a", True)]
)
def test_captions_score_as_in_sacrebleu(tokenizer: str, lowercase: bool):
    system, reference = captions(300)
    other = captions(300, seed=1)[0]
    chosen = {"tokenizer": tokenizer, "lowercase": lowercase}
    for references in ([reference], [reference, other]):
        assert_equal(Bleu(**chosen).corpus(system, references), sacrebleu(**chosen).corpus_score(system, references))


@settings(max_examples=25, derandomize=True)
@given(drawn=st.integers(1, 3).flatmap(corpora), chosen=SETTINGS)
def test_made_up_corpora_score_as_in_sacrebleu(drawn: tuple[list[str], list[list[str]]], chosen: dict[str, Any]):
    hypotheses, references = drawn
    assert_equal(
        Bleu(**chosen).corpus(hypotheses, references), sacrebleu(**chosen).corpus_score(hypotheses, references)
    )


@settings(max_examples=25, derandomize=True)
@given(drawn=st.integers(1, 3).flatmap(corpora), chosen=SETTINGS)
def test_made_up_sentences_score_as_in_sacrebleu(drawn: tuple[list[str], list[list[str]]], chosen: dict[str, Any]):
    chosen["effective_order"] = True  # without it sacrebleu warns
    for hypothesis, *references in zip(drawn[0], *drawn[1], strict=True):
        assert_equal(
            Bleu(**chosen).sentence(hypothesis, references), sacrebleu(**chosen).sentence_score(hypothesis, references)
        )


def test_the_signature_is_sacrebleus_but_for_the_version():
    for smoothing, value in product(("none", "floor", "add-k", "exp"), (None, 0.5)):
        chosen: dict[str, Any] = {"smoothing": smoothing, "smoothing_value": value, "lowercase": value is None}
        theirs = sacrebleu(**chosen)
        theirs.corpus_score(["a"], [["a"], ["b"]])
        ours, _, version = Bleu(**chosen).signature(2).rpartition("|")
        assert ours == theirs.get_signature().format().rpartition("|")[0]
        assert version.startswith("version:groundup-")


@settings(max_examples=25, derandomize=True)
@given(drawn=corpora(2))
def test_counts_add_up_to_the_corpus_and_another_reference_never_loses_a_match(
    drawn: tuple[list[str], list[list[str]]],
):
    hypotheses, references = drawn
    both, one = Bleu().counts(hypotheses, references), Bleu().counts(hypotheses, references[:1])
    rows = [Bleu().counts([text], [[row] for row in own]) for text, *own in zip(hypotheses, *references, strict=True)]
    assert (both == [row[0] for row in rows]).all()
    assert (both[:, 2:6] >= one[:, 2:6]).all()
    assert (both[:, 6:] == one[:, 6:]).all()


@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        (["a", "b"], [["a", "b"], ["a"]], "expected one reference for each of 2 hypotheses, found 1: line n of both"),
        ([], [[]], "expected texts and references, found 0 and 1 of them"),
        (["a"], [], "expected texts and references, found 1 and 0 of them"),
    ],
)
def test_counts_that_differ_are_refused(hypotheses: list[str], references: list[list[str]], message: str):
    with pytest.raises(InputError, match=message):
        Bleu().corpus(hypotheses, references)


def test_a_text_in_place_of_a_list_is_refused():
    with pytest.raises(TypeError, match="expected sequences of texts, found a text"):
        Bleu().corpus(["ab"], ["a"])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"tokenizer": "14a"}, "unknown tokenizer '14a'"),
        ({"smoothing": "exponential"}, "unknown smoothing 'exponential': known are none, floor, add-k, exp"),
        ({"smoothing_value": -1.0}, "expected a smoothing value of at least 0, found -1"),
        ({"max_order": 0}, "Bleu.max_order must be at least 1, found 0"),
    ],
)
def test_impossible_settings_are_refused(chosen: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        Bleu(**chosen)
