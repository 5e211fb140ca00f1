"""Samplers: every index once an epoch, an order that seed and epoch decide, and sizes as torch's."""

import numpy as np
import pytest
import torch.utils.data as theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.engine.loader import BatchSampler, RandomSampler, SequentialSampler, WeightedRandomSampler


@settings(deadline=None, max_examples=40, derandomize=True)
@given(n=st.integers(0, 60), batch_size=st.integers(1, 20), drop_last=st.booleans())
def test_batches_have_torch_s_sizes_and_sequential_ones_its_indices(n, batch_size, drop_last):
    ours = BatchSampler(SequentialSampler(range(n)), batch_size, drop_last)
    reference = theirs.BatchSampler(theirs.SequentialSampler(range(n)), batch_size, drop_last)
    assert list(ours) == list(reference)
    assert len(ours) == len(reference) == len(list(ours))


@settings(deadline=None, max_examples=40, derandomize=True)
@given(n=st.integers(0, 60), seed=st.integers(-(2**63), 2**63), epoch=st.integers(0, 10))
def test_every_index_once_an_epoch(n, seed, epoch):
    sampler = RandomSampler(range(n), seed=seed)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert sorted(order) == list(range(n))
    assert len(sampler) == n
    again = RandomSampler(range(n), seed=seed)
    for _ in range(epoch):
        iter(again)
    assert list(again) == order, "epoch k is the same by set_epoch and by counting"


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = set()
    for seed in range(4):
        sampler = RandomSampler(range(30), seed=seed)
        orders |= {tuple(sampler) for _ in range(4)}
    assert len(orders) == 16


@pytest.mark.parametrize(("n", "num_samples"), [(5, 5), (5, 3), (5, 12), (1, 4)])
@pytest.mark.parametrize("replacement", [False, True])
def test_counts_are_torch_s(n, num_samples, replacement):
    ours = list(RandomSampler(range(n), replacement, num_samples))
    reference = list(theirs.RandomSampler(range(n), replacement, num_samples))
    assert len(ours) == len(reference) == num_samples
    assert set(ours) <= set(range(n))
    if not replacement:  # dealt from one order after another
        assert np.ptp(np.bincount(ours, minlength=n)) <= 1


def test_places_are_uniform():
    """Each of 4 indices comes first in a quarter of 2,000 epochs."""
    sampler = RandomSampler(range(4), seed=0)
    firsts = np.bincount([next(iter(sampler)) for _ in range(2_000)], minlength=4)
    # Binomial: deviation sqrt(2000 · 1/4 · 3/4) = 19; five of them leave a chance of 1e-6.
    assert abs(firsts - 500).max() < 5 * 19.4


def test_weights_are_kept():
    drawn = np.bincount(list(WeightedRandomSampler([1, 0, 2, 5], 4_000, seed=3)), minlength=4)
    # The largest deviation is that of the share 5/8: sqrt(4000 · 5/8 · 3/8) = 31.
    assert abs(drawn - np.array([500, 0, 1_000, 2_500])).max() < 5 * 31
    without = list(WeightedRandomSampler([1, 0, 2, 5], 3, replacement=False))
    assert sorted(without) == [0, 2, 3]
    sampler = WeightedRandomSampler([1, 1, 1, 1], 20, seed=1)
    first, second = list(sampler), list(sampler)
    sampler.set_epoch(0)
    assert list(sampler) == first != second


@pytest.mark.parametrize("weights", [[], [1, -1], [0, 0], [float("nan")], [[1.0]]])
def test_weights_that_are_none(weights):
    with pytest.raises(ValueError, match=r"WeightedRandomSampler: expected weights \[N\], finite"):
        WeightedRandomSampler(weights, 1)


def test_numbers_that_cannot_be():
    with pytest.raises(ValueError, match=r"expected 1 … 2 samples without replacement .* found 3"):
        WeightedRandomSampler([1, 0, 1], 3, replacement=False)
    with pytest.raises(ValueError, match="expected num_samples >= 1, found 0"):
        RandomSampler(range(3), num_samples=0)
    with pytest.raises(ValueError, match="found an empty dataset"):
        RandomSampler([], num_samples=2)
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="expected batch_size to be a whole number >= 1"):
            BatchSampler(range(3), wrong)


def test_a_batch_sampler_passes_the_epoch_on():
    sampler = BatchSampler(RandomSampler(range(20), seed=1), 6)
    first = list(sampler)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first
    BatchSampler(range(3), 2).set_epoch(5)  # nothing to tell
