"""The chain: transformers' order, rules for every strategy, filters for sampling, and refusals in one line."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.generation.random_logits import LAW, logits, logits_and_texts, padded, row_by_row
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    NoBadWordsLogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    SequenceBiasLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from groundup.configs import GenerationConfig
from groundup.errors import InputError
from groundup.generation.processors import chain

NO_IDS = torch.empty(1, 0, dtype=torch.int64)
EVERYTHING = GenerationConfig(
    logit_bias=((1, 2.0), (2, -3.0)),
    repetition_penalty=1.3,
    no_repeat_ngram_size=2,
    temperature=0.7,
    top_k=20,
    top_p=0.9,
    min_p=0.02,
    typical_p=0.8,
)
BANNED = [[3], [0, 1], [2, 2, 4]]


@settings(LAW, max_examples=25)
@given(
    logits_and_texts(most_tokens=40), st.floats(0.3, 3.0), st.integers(1, 40), st.floats(0.1, 0.99), st.floats(0.5, 2)
)
def test_the_chain_has_the_order_of_transformers(case, t: float, k: int, p: float, penalty: float):
    _, texts = case
    values = 4 * torch.randn(len(texts), 41, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
    # float64: the chain shifts logits before dividing, and in float32 rounding could make or break ties.
    config = GenerationConfig(
        logit_bias=((1, 2.5), (7, -3.0)),
        repetition_penalty=penalty,
        no_repeat_ngram_size=2,
        temperature=t,
        top_k=k,
        top_p=p,
        min_p=0.01,
        typical_p=0.9,
    )
    theirs = LogitsProcessorList(
        [
            SequenceBiasLogitsProcessor([[[1], 2.5], [[7], -3.0]]),
            RepetitionPenaltyLogitsProcessor(penalty),
            NoRepeatNGramLogitsProcessor(2),
            NoBadWordsLogitsProcessor(BANNED),
            TemperatureLogitsWarper(t),
            TopKLogitsWarper(k),
            TopPLogitsWarper(p),
            MinPLogitsWarper(0.01),
            TypicalLogitsWarper(0.9),
        ]
    )
    ours = chain(config, BANNED)(values, padded(texts, room=1))
    # 1e-9: float64 rounding of values up to about 1e3; the shift itself leaves no trace in the probabilities.
    torch.testing.assert_close(ours.softmax(-1), row_by_row(theirs, values, texts).softmax(-1), rtol=0, atol=1e-9)


@LAW
@given(logits())
def test_the_default_changes_nothing(values: torch.Tensor):
    assert torch.equal(chain(GenerationConfig())(values, NO_IDS), values)
    assert torch.equal(chain(GenerationConfig(top_p=1.0, typical_p=1.0))(values, NO_IDS), values)


@pytest.mark.parametrize("strategy", ["greedy", "beam"])
def test_without_sampling_only_the_rules_are_used(strategy: str):
    config = GenerationConfig(
        strategy=strategy, temperature=0.1, top_k=1, top_p=0.1, min_p=0.9, typical_p=0.1, repetition_penalty=2.0
    )
    values = torch.tensor([[4.0, 3.0, -1.0]])
    assert chain(config)(values, torch.tensor([[0]])).tolist() == [[2.0, 3.0, -1.0]]


def test_a_tiny_temperature_does_not_overflow():
    for values in (torch.tensor([[-1000.0, -2000.0]]), torch.tensor([[2000.0, 1000.0]])):
        assert chain(GenerationConfig(temperature=1e-300))(values, NO_IDS).softmax(-1).tolist() == [[1.0, 0.0]]


def test_processors_leave_their_input_alone():
    values = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
    before = values.clone()
    chain(EVERYTHING, BANNED)(values, torch.tensor([[0, 1], [2, -1]]))
    assert torch.equal(values, before)


def test_something_always_stays():
    values = torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
    processed = chain(EVERYTHING, BANNED)(values, torch.tensor([[0, 1, 0], [2, -1, -1], [5, 6, -1]]))
    assert processed.softmax(-1).sum(-1).tolist() == pytest.approx([1, 1, 1], abs=1e-6)  # float32 sums of 9 terms


@pytest.mark.parametrize("strategy", ["sample", "greedy"])
@pytest.mark.parametrize(("n", "banned"), [(1, [[2]]), (None, [[0], [1], [2]])], ids=["n-gram", "banned"])
def test_a_row_where_nothing_is_left_is_refused(strategy: str, n: int | None, banned: list[list[int]]):
    config = GenerationConfig(strategy=strategy, no_repeat_ngram_size=n, temperature=0.5, top_p=0.5, typical_p=0.5)
    with pytest.raises(
        InputError, match="found that no_repeat_ngram_size and banned texts remove all 3: use a"
    ) as raised:
        chain(config, banned)(torch.zeros(2, 3), torch.tensor([[0, -1], [0, 1]]))
    assert "\n" not in str(raised.value)


def test_a_bias_outside_the_vocabulary_is_refused_as_soon_as_its_size_is_known():
    config = GenerationConfig(logit_bias=((3, 1.0),))
    with pytest.raises(InputError, match="found 3"):
        chain(config, n_tokens=3)
    with pytest.raises(InputError, match="found 3"):
        chain(config)(torch.zeros(1, 3), NO_IDS)
    assert chain(config, n_tokens=4)(torch.zeros(1, 4), NO_IDS).tolist() == [[0.0, 0.0, 0.0, 1.0]]
