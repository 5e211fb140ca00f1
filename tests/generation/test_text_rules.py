"""Rules about the text: equal to transformers' on random texts, whatever the padding, and the laws that define them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.generation.random_logits import LAW, logits, logits_and_texts, padded, row_by_row
from torch import Tensor
from transformers import (
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
)

from groundup.errors import InputError
from groundup.generation.text_rules import ban, logit_bias, no_repeat_ngram, repetition_penalty

Case = tuple[Tensor, list[list[int]]]
NO_IDS = torch.empty(1, 0, dtype=torch.int64)
sequences = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=6)


def left_padded(rows: list[list[int]]) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[-1] * (width - len(row)) + row for row in rows])


@LAW
@given(logits_and_texts(most_tokens=30), st.floats(0.1, 5.0), st.integers(0, 3))
def test_repetition_penalty_equals_transformers(case: Case, penalty: float, room: int):
    values, texts = case
    expected = row_by_row(RepetitionPenaltyLogitsProcessor(penalty), values, texts)
    assert torch.equal(repetition_penalty(values, padded(texts, room=room), penalty), expected)


@LAW
@given(logits(), st.floats(1.01, 5.0))
def test_the_penalty_lowers_seen_tokens_only_and_counts_them_once(values: Tensor, penalty: float):
    once = torch.zeros(len(values), 1, dtype=torch.int64)
    lowered = repetition_penalty(values, once, penalty)
    assert (lowered[:, 0] <= values[:, 0]).all()
    assert torch.equal(lowered[:, 1:], values[:, 1:])
    assert torch.equal(lowered, repetition_penalty(values, once.expand(-1, 4), penalty))
    padded = torch.cat([torch.full_like(once, -1), once], dim=1)
    assert torch.equal(lowered, repetition_penalty(values, padded, penalty))


@LAW
@given(logits_and_texts(), st.integers(1, 5), st.integers(0, 3))
def test_no_repeated_ngram_equals_transformers(case: Case, n: int, room: int):
    values, texts = case
    expected = row_by_row(NoRepeatNGramLogitsProcessor(n), values, texts)
    assert torch.equal(no_repeat_ngram(values, padded(texts, room=room), n), expected)


@LAW
@given(logits_and_texts(), sequences, st.integers(0, 3))
def test_banned_sequences_equal_transformers(case: Case, chosen: list[list[int]], room: int):
    values, texts = case
    chosen = [[min(token, values.shape[1] - 1) for token in row] for row in chosen]
    expected = row_by_row(NoBadWordsLogitsProcessor(chosen), values, texts)
    assert torch.equal(ban(values, padded(texts, room=room), left_padded(chosen)), expected)


@LAW
@given(logits(), st.data())
def test_bias_equals_transformers(values: Tensor, data: st.DataObject):
    ids = st.integers(0, values.shape[1] - 1)
    bias = data.draw(st.dictionaries(ids, st.floats(-100, 100, width=32), min_size=1, max_size=5))
    theirs = SequenceBiasLogitsProcessor([[[token], value] for token, value in bias.items()])
    assert torch.equal(logit_bias(values, list(bias.items())), theirs(NO_IDS.expand(len(values), 0), values))


@LAW
@given(st.integers(1, 4), st.integers(0, 2**31))
def test_under_the_rule_no_run_comes_twice(n: int, seed: int):
    generator, text = torch.Generator().manual_seed(seed), [0]
    while len(text) < 40:
        allowed = no_repeat_ngram(torch.zeros(1, 5), torch.tensor([text]), n)[0].isfinite()
        if not allowed.any():
            break
        text.append(int(torch.multinomial(allowed.float(), 1, generator=generator)))
    runs = [tuple(text[i : i + n]) for i in range(len(text) - n + 1)]
    assert len(set(runs)) == len(runs)
    assert len(text) >= 5  # it does not forbid everything at once


def test_ids_outside_the_vocabulary_remove_nothing():
    values = torch.zeros(1, 3)
    assert torch.equal(no_repeat_ngram(values, torch.tensor([[7, 8, 7]]), 2), values)
    assert torch.equal(ban(values, torch.tensor([[0]]), torch.tensor([[0, 5]])), values)
    assert torch.equal(repetition_penalty(values + 1, torch.tensor([[7]]), 2.0), values + 1)


def test_several_numbers_for_one_token_add_up_and_none_change_nothing():
    assert logit_bias(torch.zeros(2, 2), [(1, 2.0), (1, -0.5)]).tolist() == [[0.0, 1.5]] * 2
    assert torch.equal(logit_bias(torch.ones(1, 2), ()), torch.ones(1, 2))


@pytest.mark.parametrize("token", [3, -1])
def test_a_bias_outside_the_vocabulary_is_refused(token: int):
    with pytest.raises(InputError, match=rf"logit_bias for token ids 0 … 2, found {token}: take ids from"):
        logit_bias(torch.zeros(1, 3), [(0, 1.0), (token, 1.0)])


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda x: repetition_penalty(x, NO_IDS, 0.0), "repetition_penalty must be above 0, found 0.0"),
        (lambda x: no_repeat_ngram(x, NO_IDS, 0), "no_repeat_ngram_size must be at least 1, found 0"),
    ],
)
def test_impossible_values_are_refused(call, found: str):
    with pytest.raises(ValueError, match=found):
        call(torch.zeros(1, 3))
