"""Filters: equal to transformers' on random logits, and the laws that define them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.generation.random_logits import LAW, logits
from torch import Tensor
from transformers import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from groundup.generation.filters import min_p, temperature, top_k, top_p, typical_p


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


@st.composite
def odd_logits(draw: st.DrawFn) -> Tensor:
    """Few different values, so that ties straddle every edge; some removed, one at least not."""
    values = st.sampled_from([0.0, -0.0, 1.0, -2.5, 3.0, 90.0, -torch.inf])
    n_rows, width = draw(st.integers(1, 3)), draw(st.integers(1, 30))
    rows = [[draw(values) for _ in range(width - 1)] + [1.0] for _ in range(n_rows)]
    return torch.tensor(rows, dtype=draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16])))


def top_p_by_places(values: Tensor, p: float) -> Tensor:
    """The definition: sort with the places, least likely and smaller id first, and cut."""
    ascending, order = values.sort(dim=-1, stable=True)
    dropped = ascending.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    dropped[..., -1] = False
    return values.masked_fill(dropped.scatter(-1, order, dropped), -torch.inf)


@LAW
@given(st.one_of(odd_logits(), logits()), st.one_of(st.floats(0.001, 1.0), st.sampled_from([0.5, 0.25, 0.75])))
def test_top_p_without_places_is_top_p_with_them(values: Tensor, p: float):
    assert torch.equal(top_p(values, p), top_p_by_places(values, p))  # no tolerance: seeds must draw what they drew


def test_top_p_of_a_large_vocabulary_is_that_of_its_definition():
    generator = torch.Generator().manual_seed(0)
    for scale, p in ((0.01, 0.9), (3.0, 0.9), (3.0, 0.999), (10.0, 0.5)):  # flat to sharp
        values = (scale * torch.randn(2, 49_152, generator=generator)).bfloat16().float()  # bfloat16: many ties
        assert torch.equal(top_p(values, p), top_p_by_places(values, p))


@LAW
@given(st.one_of(odd_logits(), logits()), st.floats(0.01, 0.99))
def test_typical_by_any_order_of_ties_is_typical_by_a_stable_one(values: Tensor, p: float):
    # float64: the sum of a tie is taken in another order, and in float32 one could reach p and the other not.
    values = values.double()
    logprobs = values.log_softmax(dim=-1)
    distance = (logprobs - (logprobs.exp() * logprobs).nansum(dim=-1, keepdim=True)).abs()
    ascending, order = distance.sort(dim=-1, stable=True)
    last = (logprobs.exp().gather(-1, order).cumsum(dim=-1) < p).sum(dim=-1, keepdim=True)
    edge = ascending.gather(-1, last.clamp(max=values.shape[1] - 1))
    assert torch.equal(typical_p(values, p), values.masked_fill(distance > edge, -torch.inf))


@LAW
@given(logits(), st.floats(0.001, 1.0))
def test_min_p_equals_transformers(values: Tensor, p: float):
    # float64: ours compares logits, theirs probabilities, and in float32 rounding could part them at the threshold.
    assert torch.equal(min_p(values.double(), p), MinPLogitsWarper(p)(None, values.double()))


@LAW
@given(logits(), st.floats(0.01, 0.99), st.booleans())
def test_typical_equals_transformers(values: Tensor, p: float, is_filtered: bool):
    values = values.double()  # the sums are taken in another order: in float32 one could reach p and the other not
    if is_filtered:  # what earlier filters removed
        values = top_k(values, 5)
    assert torch.equal(typical_p(values, p), TypicalLogitsWarper(p)(None, values))


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


def test_top_p_that_is_reached_exactly_needs_no_further_token():
    assert top_p(torch.zeros(1, 4), 0.5).isfinite().tolist() == [[False, False, True, True]]


def test_a_tiny_top_p_keeps_the_most_likely_token():
    # In float32 1 - 1e-9 is 1, which every sum of probabilities is under.
    assert top_p(torch.tensor([[1.0, 3.0, 2.0]]), 1e-9).tolist() == [[-torch.inf, 3.0, -torch.inf]]


@LAW
@given(logits(), st.floats(0.001, 1.0))
def test_min_p_keeps_what_is_likely_enough_beside_the_likeliest(values: Tensor, p: float):
    ratio = (values.double() - values.double().amax(-1, keepdim=True)).exp()
    kept = min_p(values, p).isfinite()
    # 1e-5: float32 rounding of logits up to 20.
    assert (ratio[kept] >= p * (1 - 1e-5)).all()
    assert (ratio[~kept] <= p * (1 + 1e-5)).all()


@LAW
@given(logits(with_ties=False), st.floats(0.01, 0.99))
def test_typical_keeps_the_fewest_tokens_nearest_the_entropy_that_reach_p(values: Tensor, p: float):
    values = values.double()
    probabilities, kept = values.softmax(-1), typical_p(values, p).isfinite()
    entropy = torch.special.entr(probabilities).sum(-1, keepdim=True)
    distance = (-probabilities.log() - entropy).abs()
    for row, far, mask in zip(probabilities, distance, kept, strict=True):
        # 1e-9: float64 sums in another order than in the function.
        assert row[mask].sum() >= p - 1e-9
        assert row[mask].sum() - row[mask][far[mask].argmax()] <= p + 1e-9
        assert mask.all() or far[mask].max() <= far[~mask].min() + 1e-9


@LAW
@given(logits())
def test_neutral_settings_change_nothing(values: Tensor):
    assert torch.equal(temperature(values, 1.0), values)
    assert torch.equal(top_k(values, values.shape[1]), values)
    assert torch.equal(min_p(values, 1e-30), values)


def test_min_p_of_one_keeps_the_most_likely_tokens_all_of_them():
    assert min_p(torch.tensor([[2.0, 1.0, 2.0]]), 1.0).tolist() == [[2.0, -torch.inf, 2.0]]


def test_typical_may_remove_the_likeliest_token():
    row = torch.tensor([[0.4] + [0.05] * 12]).log()
    assert typical_p(row, 0.5).isfinite().tolist() == [[False] + [True] * 12]


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (lambda x: temperature(x, 0.0), "temperature must be above 0, found 0.0"),
        (lambda x: top_k(x, 0), "top_k must be at least 1, found 0"),
        (lambda x: top_p(x, 1.5), r"top_p must be in \(0, 1\], found 1.5"),
        (lambda x: top_p(x, 0.0), r"top_p must be in \(0, 1\], found 0.0"),
        (lambda x: min_p(x, 0.0), r"min_p must be in \(0, 1\], found 0.0"),
        (lambda x: typical_p(x, 1.0), r"typical_p must be in \(0, 1\), found 1.0"),
    ],
)
def test_impossible_values_are_refused(call, found: str):
    with pytest.raises(ValueError, match=found):
        call(torch.zeros(1, 3))
