"""An encoder beside the exact posterior: a model that is the posterior has nothing to gain, and figures are by hand."""

import math
from functools import cache

import numpy as np
import pytest
import torch

from groundup.configs.encoder import EncoderConfig
from groundup.configs.masked import MaskingConfig
from groundup.data.tales import generate
from groundup.data.tales_posterior import NoReadingError
from groundup.evaluation import masked_posterior
from groundup.evaluation.masked_posterior import compare_with_posterior, hidden_entropy, tale_posteriors
from groundup.evaluation.masked_prediction import HiddenTexts, hide_for_measuring
from groundup.models.encoder import Encoder
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.bpe_training import train_bpe
from groundup.tokenization.mask_token import MASK


@cache
def tokenizer() -> ByteBPE:
    return train_bpe(generate(seed=1, n=60), 500, [END_OF_TEXT, MASK])


@cache
def hidden() -> HiddenTexts:
    texts = [np.array(tokenizer().encode(tale)) for tale in generate(seed=2, n=4)]
    return hide_for_measuring(texts, tokenizer(), MaskingConfig(), opening=[tokenizer().end_id])


def encoder() -> Encoder:
    torch.manual_seed(0)
    vocab_size = tokenizer().vocab_size
    config = EncoderConfig(vocab_size=vocab_size, context_length=400, d_model=16, n_layers=1, n_heads=2)
    return Encoder(config).eval()


def test_posteriors_are_of_the_hidden_places():
    for found, is_hidden in zip(tale_posteriors(hidden(), tokenizer(), 1), hidden().is_hidden, strict=True):
        assert list(found) == np.flatnonzero(is_hidden).tolist()


def test_a_model_that_is_the_posterior_is_the_best(monkeypatch: pytest.MonkeyPatch):
    def exact(_: Encoder, texts: HiddenTexts) -> object:
        for i, posterior in enumerate(tale_posteriors(texts, tokenizer(), 1)):
            logits = torch.full((len(posterior), tokenizer().vocab_size), -50.0)  # e^-50 is nothing beside 1e-20
            for row, of_place in enumerate(posterior.values()):
                for token, chance in of_place.items():
                    logits[row, token] = math.log(chance)
            yield [i], logits, torch.from_numpy(texts.texts[i][texts.is_hidden[i]])

    monkeypatch.setattr(masked_posterior, "predict_hidden", exact)
    found = compare_with_posterior(encoder(), hidden(), tokenizer(), 1)
    assert found.accuracy == found.best_accuracy
    assert found.expected_accuracy == pytest.approx(found.best_expected_accuracy, abs=1e-6)  # float32 logits
    assert found.loss == pytest.approx(found.best_loss, abs=1e-5)
    assert found.divergence == pytest.approx(0, abs=1e-5)
    assert found.impossible == pytest.approx(0, abs=1e-5)
    assert found.certain[1] == 1.0
    assert found.entropy == pytest.approx(hidden_entropy(hidden(), tokenizer(), 1), rel=1e-12)


def test_figures_of_any_other_model_are_worse_and_add_up():
    found = compare_with_posterior(encoder(), hidden(), tokenizer(), 1)
    assert found.n_hidden == hidden().n_hidden
    assert found.expected_accuracy < found.best_expected_accuracy
    assert found.divergence > 1
    # A model that knows nothing gives each of 500 tokens about the same.
    assert found.loss == pytest.approx(math.log(tokenizer().vocab_size), rel=0.05)
    assert found.impossible > 0.9
    n_certain = sum(len(p) == 1 for of_tale in tale_posteriors(hidden(), tokenizer(), 1) for p in of_tale.values())
    assert found.certain[0] == n_certain > 0


def test_the_figures_of_one_token_by_hand():
    figures = masked_posterior._figures(torch.tensor([0.5, 0.25, 0.25]).log(), {0: 0.25, 1: 0.75}, target=1)
    assert figures["accuracy"] == 0
    assert figures["best_accuracy"] == 1
    assert figures["expected_accuracy"] == 0.25
    assert figures["best_expected_accuracy"] == 0.75
    assert figures["impossible"] == pytest.approx(0.25)
    divergence = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.25)
    assert figures["divergence"] == pytest.approx(divergence, rel=1e-6)  # float32 logarithms
    assert figures["loss"] == pytest.approx(math.log(4))
    assert figures["best_loss"] == pytest.approx(-math.log(0.75))


def test_what_is_no_tale_has_no_posterior():
    texts = HiddenTexts((np.arange(5),), (np.array([True] * 5),), 0)
    assert hidden_entropy(texts, tokenizer(), 0) is None
    with pytest.raises(NoReadingError):
        compare_with_posterior(encoder(), texts, tokenizer(), 0)
