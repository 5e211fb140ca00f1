"""Batches of pairs: each pair once an epoch, a pure function of the step, within the budget, little padding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data.token_batches import TokenBatches

few = settings(max_examples=25, derandomize=True)
LENGTHS = st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=60)
SIZES = {"most_pairs": st.integers(1, 30), "budget": st.none() | st.integers(1, 200), "pool": st.integers(1, 4)}


def batches(lengths: list[tuple[int, int]], **sizes: int | None) -> TokenBatches:
    return TokenBatches(np.array(lengths), **{"most_pairs": 8, "budget": 60, "seed": 3, **sizes})


@few
@given(lengths=LENGTHS, seed=st.integers(0, 2**64), **SIZES)
def test_every_pair_comes_once_an_epoch(lengths: list[tuple[int, int]], seed: int, **sizes: int | None):
    dealt, step = batches(lengths, seed=seed, **sizes), 0
    for epoch in range(3):
        n = dealt.n_batches(epoch)
        pairs = np.concatenate([dealt.batch(step + i) for i in range(n)])
        assert sorted(pairs) == list(range(len(lengths)))
        step += n


@few
@given(lengths=LENGTHS, **SIZES)
def test_a_batch_fits_the_budget_unless_it_is_one_pair(lengths: list[tuple[int, int]], **sizes: int | None):
    dealt, array = batches(lengths, **sizes), np.array(lengths)
    for step in range(dealt.n_batches(0)):
        batch = dealt.batch(step)
        assert 1 <= len(batch) <= sizes["most_pairs"]
        if len(batch) > 1 and sizes["budget"] is not None:
            assert len(batch) * array[batch].max(axis=0).sum() <= sizes["budget"]


@few
@given(lengths=LENGTHS, steps=st.lists(st.integers(0, 200), min_size=1, max_size=6))
def test_a_batch_is_a_pure_function_of_seed_and_step(lengths: list[tuple[int, int]], steps: list[int]):
    used = batches(lengths)
    seen = [used.batch(step) for step in steps]
    for step, batch in reversed(list(zip(steps, seen, strict=True))):
        assert np.array_equal(batch, batches(lengths).batch(step))


def captions(n: int = 4_000) -> np.ndarray:
    """Lengths as captions have them: about 15 tokens, the sides alike."""
    rng = np.random.default_rng(0)
    source = 6 + rng.gamma(4, 2.2, n).astype(int)
    return np.stack([source, np.maximum(3, source + rng.integers(-3, 4, n))], axis=1)


def test_padding_is_little():
    lengths = captions()
    dealt = TokenBatches(lengths, most_pairs=1_000, budget=2_048, seed=0)
    found = [dealt.batch(step) for step in range(dealt.n_batches(0))]
    computed = sum(len(batch) * lengths[batch].max(axis=0).sum() for batch in found)
    assert lengths.sum() / computed > 0.85  # by chance it is 0.55
    assert computed / len(found) > 0.85 * 2_048  # and batches are full


def test_lengths_come_by_chance_from_step_to_step():
    lengths = captions()
    dealt = TokenBatches(lengths, most_pairs=1_000, budget=1_024, seed=0)
    means = np.array([lengths[dealt.batch(step)].mean() for step in range(dealt.n_batches(0))])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.25  # of some 130 batches by chance: 0.09 is a deviation


def test_what_makes_no_sense_is_refused():
    for wrong in ({"most_pairs": 0}, {"budget": 0}, {"pool": 0}):
        with pytest.raises(ValueError, match="positive sizes"):
            batches([(1, 2)], **wrong)
    with pytest.raises(ValueError, match="found 0"):
        TokenBatches(np.zeros((0, 2), np.int64), most_pairs=1, budget=None, seed=0)
    with pytest.raises(ValueError, match="step >= 0"):
        batches([(1, 2)]).batch(-1)
