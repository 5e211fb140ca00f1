"""Labels of any texts: the order of the texts, their company and their cut ends change nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs import GPTConfig
from groundup.configs.finetune_runs import HeadConfig
from groundup.errors import InputError
from groundup.models.classifier import Classifier
from groundup.models.gpt import GPT
from groundup.tasks import labelling
from groundup.tasks.labelling import encode_texts, label_logits, predict


def encode(text: str) -> list[int]:
    return [ord(character) - 96 for character in text]


def classifier(dropout: float = 0.0) -> Classifier:
    torch.manual_seed(0)
    gpt = GPT(GPTConfig(vocab_size=30, context_length=12, d_model=16, n_layers=2, n_heads=2, dropout=dropout))
    return Classifier(gpt, 3, HeadConfig(dropout=dropout))


@settings(max_examples=25, derandomize=True)
@given(texts=st.lists(st.text("abcdefgh", min_size=1, max_size=12), min_size=1, max_size=12))
def test_each_text_is_labelled_as_if_it_were_alone(texts: list[str]):
    model = classifier()
    together = predict(model, texts, encode=encode, max_tokens=12, pad_id=0).probabilities
    for text, found in zip(texts, together, strict=True):
        alone = predict(model, [text], encode=encode, max_tokens=12, pad_id=29).probabilities[0]
        np.testing.assert_allclose(found, alone, rtol=0, atol=1e-6)  # float32 sums over rows of another length


def test_probabilities_are_the_softmax_and_dropout_is_off():
    model = classifier(dropout=0.5)
    assert model.training
    found = predict(model, ["abc", "b"], encode=encode, max_tokens=12, pad_id=0)
    assert found.n_cut == 0
    assert model.training  # left as it was
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor([[1, 2, 3], [2, 0, 0]]), torch.tensor([[1, 1, 1], [1, 0, 0]]).bool())
    np.testing.assert_allclose(found.probabilities, logits.softmax(1).numpy(), rtol=0, atol=1e-7)
    np.testing.assert_allclose(found.probabilities.sum(1), 1.0, rtol=0, atol=1e-12)  # float64
    predict(model, ["abc"], encode=encode, max_tokens=12, pad_id=0)
    assert not model.training


def test_long_texts_are_cut_and_counted():
    model = classifier()
    cut = predict(model, ["abcdefgh", "ab", "abc"], encode=encode, max_tokens=3, pad_id=0)
    assert cut.n_cut == 1
    np.testing.assert_allclose(cut.probabilities[0], cut.probabilities[2], rtol=0, atol=1e-7)


def test_a_text_of_no_tokens_is_one_token():
    found = encode_texts(["", "ab"], encode, max_tokens=5, pad_id=7)
    assert [row.tolist() for row in found.rows] == [[7], [1, 2]]
    assert found.n_cut == 0
    assert found.lengths.tolist() == [1, 2]


def test_no_texts_have_no_labels():
    assert predict(classifier(), [], encode=encode, max_tokens=5, pad_id=0).probabilities.shape == (0, 3)


def test_what_is_read_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(labelling, "TOKENS_AT_ONCE", 20)
    model = classifier()
    seen: list[torch.Size] = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    rows = [np.arange(1, 1 + length, dtype=np.int32) for length in (2, 9, 1, 12, 10, 2, 1)]
    label_logits(model, rows, 0)
    assert [tuple(shape) for shape in seen] == [(1, 12), (2, 10), (4, 2)]  # at most 20, or one text


def test_a_text_beyond_the_context_is_refused():
    model = classifier().train()
    with pytest.raises(InputError, match="at most 12 tokens, found 13"):
        predict(model, ["a" * 13], encode=encode, max_tokens=99, pad_id=0)
    assert model.training
