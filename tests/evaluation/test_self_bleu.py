"""Self-BLEU against sacrebleu and nltk, text by text against all the others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU
from tests.evaluation.systems import TEXTS, captions

from groundup.evaluation.bleu import Bleu
from groundup.evaluation.self_bleu import self_bleu


def by_sacrebleu(texts: list[str]) -> float:
    metric = BLEU(smooth_method="floor", effective_order=True)
    scores = [metric.sentence_score(text, texts[:i] + texts[i + 1 :]).score for i, text in enumerate(texts)]
    return sum(scores) / len(scores)


def test_captions_are_as_alike_as_sacrebleu_says():
    texts = captions(20)[0]
    assert self_bleu(texts) == pytest.approx(by_sacrebleu(texts))


@settings(max_examples=25, derandomize=True)
@given(texts=st.lists(TEXTS, min_size=2, max_size=5))
def test_made_up_texts_are_as_alike_as_sacrebleu_says(texts: list[str]):
    assert self_bleu(texts) == pytest.approx(by_sacrebleu(texts))


def test_texygen_s_own_way_is_a_setting():
    """Texygen takes nltk's sentence BLEU with the smoothing "method1", which is a floor of 0.1."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    texts = [text.split() for text in captions(12)[0]]
    smoothed = SmoothingFunction().method1
    theirs = [
        sentence_bleu(texts[:i] + texts[i + 1 :], text, smoothing_function=smoothed) for i, text in enumerate(texts)
    ]
    ours = self_bleu([" ".join(text) for text in texts], bleu=Bleu(tokenizer="none", smoothing="floor"))
    assert ours == pytest.approx(100 * sum(theirs) / len(theirs))


def test_less_than_two_texts_are_like_nothing():
    assert self_bleu([]) is None
    assert self_bleu(["one"]) is None
