"""Perplexity: against brute force one token at a time, the uniform model, and every batch size."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs import GPTConfig
from groundup.errors import InputError
from groundup.evaluation.perplexity import Perplexity, byte_lengths_of, count_bytes, evaluate_tokens
from groundup.models.gpt import GPT
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer

V = 11
ONE_BYTE_EACH = np.ones(V, dtype=np.int64)


def small_model(context_length: int = 8) -> GPT:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=V, context_length=context_length, d_model=16, n_layers=2, n_heads=2, dropout=0.5)
    model = GPT(config).double()
    for parameter in model.parameters():
        parameter.data.mul_(10)  # far from uniform, so that what a token may see matters
    return model


def text(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(V, size=n).astype(np.uint16)


def brute_force(model: GPT, ids: np.ndarray, context_length: int, n_tokens: int) -> float:
    """One forward pass a token, each with the past that the rule gives it: windows overlap by half."""
    stride, total = max(1, context_length // 2), 0.0
    for position in range(1, n_tokens + 1):
        first = stride * max(0, math.ceil((position - context_length) / stride))
        logits = model(torch.from_numpy(ids[None, first:position].astype(np.int64)))[0, -1]
        assert position - first >= min(position, context_length - stride)  # half a context, or all there is
        total -= logits.log_softmax(-1)[int(ids[position])].item()
    return total / n_tokens


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 40), context_length=st.integers(1, 8), batch_size=st.integers(1, 5))
def test_equals_one_token_at_a_time(n: int, context_length: int, batch_size: int):
    model, ids = small_model().eval(), text(n)
    found = evaluate_tokens(
        model, ids, context_length=context_length, byte_lengths=ONE_BYTE_EACH, batch_size=batch_size
    )
    assert found.n_tokens == found.n_bytes == n - 1
    # float64 throughout: what is left is the order of sums.
    assert found.loss == pytest.approx(brute_force(model, ids, context_length, n - 1), rel=1e-12)


def test_the_first_tokens_only():
    model, ids = small_model().eval(), text(100)
    found = evaluate_tokens(model, ids, context_length=8, byte_lengths=ONE_BYTE_EACH, max_tokens=33)
    cut = evaluate_tokens(model, ids[:34], context_length=8, byte_lengths=ONE_BYTE_EACH)
    assert found == cut
    assert found.n_tokens == 33


def test_a_uniform_model_needs_log_v():
    model = small_model()
    model.token_embedding.weight.data.zero_()  # tied: every logit is 0
    found = evaluate_tokens(model, text(50), context_length=8, byte_lengths=2 * ONE_BYTE_EACH)
    assert found.loss == pytest.approx(math.log(V), rel=1e-12)
    assert found.perplexity == pytest.approx(V, rel=1e-12)
    assert found.bits_per_byte == pytest.approx(math.log2(V) / 2, rel=1e-12)


def test_batch_size_changes_nothing_in_float32():
    model, ids = small_model().float(), text(300)
    losses = [
        evaluate_tokens(model, ids, context_length=8, byte_lengths=ONE_BYTE_EACH, batch_size=size).loss
        for size in (1, 7, 300)
    ]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)  # float32 sums in another order


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_comes_back(training: bool):
    model = small_model().train(training)
    first, second = (evaluate_tokens(model, text(30), context_length=8, byte_lengths=ONE_BYTE_EACH) for _ in range(2))
    assert first == second
    assert model.training is training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_special_tokens_spell_no_bytes():
    tokenizer = ByteBPE(merges=[], special_tokens=[END_OF_TEXT])
    lengths = byte_lengths_of(tokenizer)
    assert len(lengths) == tokenizer.vocab_size == 257
    assert lengths[tokenizer.end_id] == 0
    assert lengths.sum() == 256
    ids = [tokenizer.end_id, *tokenizer.encode("naïve €")]
    assert count_bytes(np.array(ids), lengths) == len("naïve €".encode())


def test_bytes_are_utf8_bytes():
    assert byte_lengths_of(CharacterTokenizer("aé€😀")).tolist() == [1, 2, 3, 4]


def test_extreme_losses_do_not_overflow():
    assert Perplexity(loss=1e4, n_tokens=1, n_bytes=1).perplexity == math.inf
    assert Perplexity(loss=1.0, n_tokens=1, n_bytes=0).bits_per_byte == math.inf


def test_nothing_to_predict_is_refused():
    with pytest.raises(InputError, match="at least 2 tokens to evaluate on, found 1"):
        evaluate_tokens(small_model(), text(1), context_length=8, byte_lengths=ONE_BYTE_EACH)
    with pytest.raises(ValueError, match="max_tokens=0"):
        evaluate_tokens(small_model(), text(9), context_length=8, byte_lengths=ONE_BYTE_EACH, max_tokens=0)


def test_documents_are_judged_as_if_each_stood_alone():
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=V, context_length=32, d_model=16, n_layers=2, n_heads=2, position="rotary")
    model = GPT(config).double().eval()
    for parameter in model.parameters():
        parameter.data.mul_(10)
    documents = [np.concatenate([[0], 1 + text(n, seed=n) % (V - 1)]) for n in (5, 12, 1, 9, 15, 3, 11)]
    stream = np.concatenate([*documents, [0]])
    alone = 0.0
    for document in documents:  # its end is the end token before the next
        row = torch.from_numpy(np.append(document, 0).astype(np.int64))[None]
        logprobs = model(row[:, :-1]).log_softmax(-1)
        alone -= logprobs.gather(-1, row[:, 1:, None]).sum().item()

    def summed(end_id: int | None) -> float:
        found = evaluate_tokens(model, stream, context_length=32, byte_lengths=ONE_BYTE_EACH, end_id=end_id)
        return found.loss * found.n_tokens

    # Rotary tables are float32: positions differ, so angles differ by their rounding.
    assert summed(0) == pytest.approx(alone, rel=1e-5)
    assert summed(None) != pytest.approx(alone, rel=1e-3)
