"""Batches by length: each text once an epoch, a pure function of the step, little padding, mixed from step to step."""

import itertools
import timeit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data.length_batches import LengthBatches

few = settings(max_examples=25, derandomize=True)
LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=80)


def dealt(batches: LengthBatches, n_steps: int) -> np.ndarray:
    return np.concatenate([batches.batch(step) for step in range(n_steps)])


@few
@given(lengths=LENGTHS, batch_size=st.integers(1, 90), seed=st.integers(0, 2**64), pool=st.integers(1, 5))
def test_every_text_comes_once_an_epoch(lengths: list[int], batch_size: int, seed: int, pool: int):
    n = len(lengths)
    n_steps = -(-3 * n // batch_size)
    stream = dealt(LengthBatches(lengths, batch_size, seed, pool), n_steps)
    assert len(stream) == n_steps * batch_size  # every step has as many
    for epoch in range(3):
        assert sorted(stream[epoch * n : (epoch + 1) * n]) == list(range(n))


@few
@given(lengths=LENGTHS, batch_size=st.integers(1, 9), steps=st.lists(st.integers(0, 500), min_size=1, max_size=8))
def test_a_batch_is_a_pure_function_of_seed_and_step(lengths: list[int], batch_size: int, steps: list[int]):
    used = LengthBatches(lengths, batch_size, seed=3)
    seen = [used.batch(step) for step in steps]
    for step, batch in reversed(list(zip(steps, seen, strict=True))):
        assert np.array_equal(batch, LengthBatches(lengths, batch_size, seed=3).batch(step))


@few
@given(lengths=LENGTHS, batch_size=st.integers(2, 8), seed=st.integers(0, 99))
def test_batches_of_one_pool_do_not_overlap_in_length(lengths: list[int], batch_size: int, seed: int):
    """An epoch in one pool, begun at a batch's first text: the length ranges of whole batches are apart."""
    array = np.array(lengths)
    batches = LengthBatches(lengths, batch_size, seed, pool=100)
    whole = [array[batches.batch(step)] for step in range(len(lengths) // batch_size)]
    ranges = sorted((batch.min(), batch.max()) for batch in whole)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(ranges))


def test_orders_differ_between_epochs_and_seeds():
    lengths = np.random.default_rng(0).integers(1, 50, 64)
    one, other = LengthBatches(lengths, 4, seed=1), LengthBatches(lengths, 4, seed=2)
    first, second = (np.concatenate([one.batch(step + 16 * epoch) for step in range(16)]) for epoch in (0, 1))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, dealt(other, 16))


def test_lengths_do_not_rise_from_step_to_step():
    """Else an epoch would begin with the short texts: sorted batches must be dealt by chance."""
    lengths = np.random.default_rng(0).integers(1, 200, 640)
    batches = LengthBatches(lengths, 10, seed=0)
    means = [lengths[batches.batch(step)].mean() for step in range(32)]  # one pool
    # The correlation of 32 pairs without a connection is beyond 0.6 once in several thousand draws; sorted it is 1.
    assert abs(np.corrcoef(means, np.arange(32))[0, 1]) < 0.6


def test_a_pool_of_one_batch_mixes_as_chance_does_and_pads_more():
    lengths = np.random.default_rng(0).lognormal(3.0, 0.7, 1_000).astype(np.int64) + 1  # as messages are distributed
    waste = {}
    for pool in (1, 32):
        batches = LengthBatches(lengths, 16, seed=0, pool=pool)
        read = [lengths[batches.batch(step)] for step in range(10 * batches.steps_per_epoch())]
        waste[pool] = 1 - sum(batch.sum() for batch in read) / sum(16 * batch.max() for batch in read)
    assert waste[1] > 0.5
    assert waste[32] < 0.12  # 0.10 for this tail of long texts; 0.05 for the balanced SMS spam, 0.50 by chance


def test_texts_of_a_long_and_a_short_epoch_end_do_not_meet():
    """The batch in which an epoch ends gets the shortest texts of both sides."""
    lengths = [100] * 20 + [1] * 10
    batches = LengthBatches(lengths, 4, seed=0, pool=100)
    assert [lengths[i] for i in batches.batch(7)] == [1] * 4  # texts 28 to 31 of the stream; 30 begins epoch 1


def test_a_batch_costs_little():
    batches = LengthBatches(np.random.default_rng(0).integers(1, 60, 5_000), 16, seed=0)
    batches.batch(0)
    # 0.04 ms were seen, an epoch's order included; a step of the smallest model takes more than a hundred times that.
    assert min(timeit.repeat(lambda: [batches.batch(step) for step in range(100)], number=1, repeat=3)) < 0.1


@pytest.mark.parametrize(("lengths", "batch_size", "pool"), [([], 1, 1), ([1], 0, 1), ([1], 1, 0)])
def test_sizes_below_one_are_refused(lengths: list[int], batch_size: int, pool: int):
    with pytest.raises(ValueError, match="positive sizes"):
        LengthBatches(lengths, batch_size, 0, pool)


def test_a_negative_step_is_refused():
    with pytest.raises(ValueError, match="step >= 0, found -1"):
        LengthBatches([1], 1, 0).batch(-1)
