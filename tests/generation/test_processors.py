"""Processors: equal to transformers' on random logits, and the laws that define them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from groundup.configs import GenerationConfig
from groundup.generation.processors import chain, repetition_penalty, temperature, top_k, top_p

LAW = settings(deadline=None)  # the first call of a torch operation may take a second on a busy machine
NO_IDS = torch.empty(1, 0, dtype=torch.int64)


@st.composite
def logits(draw: st.DrawFn, *, with_ties: bool = True) -> Tensor:
    """Random [B, V] logits; with ties, half of the time rounded."""
    rows, width, seed = draw(st.integers(1, 4)), draw(st.integers(1, 50)), draw(st.integers(0, 2**31))
    values = 4 * torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    return values.round() if with_ties and draw(st.booleans()) else values


@LAW
@given(logits(), st.floats(0.01, 10.0))
def test_temperature_equals_transformers(values: Tensor, t: float):
    assert torch.equal(temperature(values, t), TemperatureLogitsWarper(t)(None, values))


@LAW
@given(logits(), st.integers(1, 60))
def test_top_k_equals_transformers(values: Tensor, k: int):
    assert torch.equal(top_k(values, k), TopKLogitsWarper(k)(None, values))


@LAW
@given(logits(with_ties=False), st.floats(0.01, 1.0))
def test_top_p_equals_transformers(values: Tensor, p: float):
    assert torch.equal(top_p(values, p), TopPLogitsWarper(p)(None, values))


@LAW
@given(logits(), st.floats(0.01, 1.0))
def test_top_p_keeps_the_same_logits_as_transformers_with_ties(values: Tensor, p: float):
    # Which of several equal logits stays depends there on an unstable sort: only their number is defined.
    assert torch.equal(top_p(values, p).sort().values, TopPLogitsWarper(p)(None, values).sort().values)


@LAW
@given(logits(), st.floats(0.1, 5.0), st.data())
def test_repetition_penalty_equals_transformers(values: Tensor, penalty: float, data: st.DataObject):
    ids = torch.tensor(
        data.draw(
            st.lists(
                st.lists(st.integers(0, values.shape[1] - 1), min_size=5, max_size=5),
                min_size=len(values),
                max_size=len(values),
            )
        )
    )
    expected = RepetitionPenaltyLogitsProcessor(penalty)(ids, values)
    assert torch.equal(repetition_penalty(values, ids, penalty), expected)


@LAW
@given(logits(with_ties=False), st.floats(0.1, 3.0), st.integers(1, 60), st.floats(0.1, 0.99), st.floats(0.5, 2.0))
def test_the_chain_has_the_order_of_transformers(values: Tensor, t: float, k: int, p: float, penalty: float):
    ids = torch.zeros(len(values), 1, dtype=torch.int64)
    values = values.double()  # the chain shifts logits before dividing: in float32 rounding could make or break ties
    ours = chain(GenerationConfig(temperature=t, top_k=k, top_p=p, repetition_penalty=penalty))(values, ids)
    theirs = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(penalty),
            TemperatureLogitsWarper(t),
            TopKLogitsWarper(k),
            TopPLogitsWarper(p),
        ]
    )(ids, values)
    # 1e-9: float64 rounding of values up to about 1e3; the shift itself leaves no trace in the probabilities.
    torch.testing.assert_close(ours.softmax(-1), theirs.softmax(-1), rtol=0, atol=1e-9)


@LAW
@given(logits(), st.floats(0.01, 1.0))
def test_top_p_keeps_the_fewest_tokens_that_reach_p(values: Tensor, p: float):
    values = values.double()
    probabilities, kept = values.softmax(-1), top_p(values, p).isfinite()
    for row, mask in zip(probabilities, kept, strict=True):
        chosen = row[mask]
        # 1e-9: the sums below are added in another order than in the function, in float64.
        assert chosen.sum() >= p - 1e-9
        assert len(chosen) == 1 or chosen.sum() - chosen.min() <= p + 1e-9
        assert mask.all() or chosen.min() >= row[~mask].max()


@LAW
@given(logits(), st.integers(1, 60))
def test_top_k_keeps_k_and_their_ties(values: Tensor, k: int):
    for row, kept in zip(values, top_k(values, k).isfinite(), strict=True):
        assert kept.sum() >= min(k, len(row))
        assert (row[kept] > row[kept].min()).sum() < k


@LAW
@given(logits())
def test_neutral_settings_change_nothing(values: Tensor):
    assert torch.equal(temperature(values, 1.0), values)
    assert torch.equal(top_k(values, values.shape[1]), values)
    assert torch.equal(repetition_penalty(values, torch.zeros(len(values), 3, dtype=torch.int64), 1.0), values)
    assert torch.equal(chain(GenerationConfig())(values, NO_IDS), values)


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


def test_greedy_decoding_uses_the_penalty_only():
    config = GenerationConfig(strategy="greedy", temperature=0.1, top_k=1, top_p=0.1, repetition_penalty=2.0)
    values = torch.tensor([[4.0, 3.0, -1.0]])
    assert chain(config)(values, torch.tensor([[0]])).tolist() == [[2.0, 3.0, -1.0]]


def test_top_p_that_is_reached_exactly_needs_no_further_token():
    assert top_p(torch.zeros(1, 4), 0.5).isfinite().tolist() == [[False, False, True, True]]


def test_a_tiny_top_p_keeps_the_most_likely_token():
    # In float32 1 - 1e-9 is 1, which every sum of probabilities is under.
    assert top_p(torch.tensor([[1.0, 3.0, 2.0]]), 1e-9).tolist() == [[-torch.inf, 3.0, -torch.inf]]


def test_a_tiny_temperature_does_not_overflow():
    for values in (torch.tensor([[-1000.0, -2000.0]]), torch.tensor([[2000.0, 1000.0]])):
        assert chain(GenerationConfig(temperature=1e-300))(values, NO_IDS).softmax(-1).tolist() == [[1.0, 0.0]]


def test_processors_leave_their_input_alone():
    values = torch.randn(2, 9, generator=torch.Generator().manual_seed(0))
    before = values.clone()
    chain(GenerationConfig(temperature=0.7, top_k=4, top_p=0.8, repetition_penalty=1.3))(
        values, torch.tensor([[0, 1], [2, -1]])
    )
    assert torch.equal(values, before)


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda x: temperature(x, 0.0), "temperature must be above 0, found 0.0"),
        (lambda x: top_k(x, 0), "top_k must be at least 1, found 0"),
        (lambda x: top_p(x, 1.5), r"top_p must be in \(0, 1\], found 1.5"),
        (lambda x: top_p(x, 0.0), r"top_p must be in \(0, 1\], found 0.0"),
        (lambda x: repetition_penalty(x, NO_IDS, 0.0), "repetition_penalty must be above 0, found 0.0"),
    ],
)
def test_impossible_values_are_refused(call, found: str):
    with pytest.raises(ValueError, match=found):
        call(torch.zeros(1, 3))
