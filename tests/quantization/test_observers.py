"""Observers: the same range however the inputs came, and the range that torch's and the definition give."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.errors import InputError
from groundup.quantization.int8 import StaticRange
from groundup.quantization.observers import (
    EntropyObserver,
    Histogram,
    MinMaxObserver,
    PercentileObserver,
    divergences,
)

OBSERVERS = [MinMaxObserver, PercentileObserver, EntropyObserver]


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def range_of(observer, *parts):
    for part in parts:
        observer.observe(part)
    return observer.range()


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=3, max_size=6), st.integers(0, 9), st.sampled_from(OBSERVERS))
def test_in_pieces_or_at_once(exponents, seed, kind):
    """Pieces a billion times larger than others, in either order."""
    parts = [random(50, seed=seed + i) * 10**exponent for i, exponent in enumerate(exponents)]
    at_once = range_of(kind(), torch.cat(parts))
    assert range_of(kind(), *parts) == at_once
    assert range_of(kind(), *reversed(parts)) == at_once
    assert range_of(kind(), *parts, torch.empty(0, 4)) == at_once


@pytest.mark.parametrize("kind", OBSERVERS)
def test_what_is_not_finite_is_refused_and_changes_nothing(kind):
    observer = kind()
    observer.observe(random(100))
    before = observer.range()
    for wrong, found in ((math.nan, "1 NaN and 0 infinite"), (-math.inf, "0 NaN and 1 infinite")):
        with pytest.raises(InputError, match=f"expected finite inputs of a layer, found {found} among 3") as caught:
            observer.observe(torch.tensor([9.0, wrong, 1.0]))
        assert "\n" not in str(caught.value)
    assert observer.range() == before


@pytest.mark.parametrize("kind", OBSERVERS)
def test_nothing_seen_has_no_range(kind):
    observer = kind()
    observer.observe(torch.empty(0))
    with pytest.raises(ValueError, match="needs inputs before it can choose their range"):
        observer.range()


@pytest.mark.parametrize("kind", OBSERVERS)
@pytest.mark.parametrize("x", [torch.zeros(9), torch.full((9,), 5.0), torch.full((9,), -1e-40), torch.full((9,), 3e38)])
def test_numbers_that_are_all_alike(kind, x):
    """Half a step of a range that holds 0 and the number, or a step of the least scale."""
    found = range_of(kind(), x)
    assert 0 < found.scale < math.inf
    error = (found.quantize(x[None]).dequantized() - x).abs().max()
    assert error <= max(found.scale / 2 * 1.001, x.abs().max() * 1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_min_max_is_torchs():
    from torch.ao.quantization.observer import MinMaxObserver as Theirs

    for seed in range(5):
        parts = [random(40, seed=seed) + seed, random(40, seed=seed + 9) * 3]
        theirs = Theirs(dtype=torch.qint8, qscheme=torch.per_tensor_affine)
        for part in parts:
            theirs(part)
        scale, zero = theirs.calculate_qparams()
        found = range_of(MinMaxObserver(), *parts)
        assert found.zero == zero.item()
        assert found.scale == pytest.approx(scale.item(), rel=1e-6)  # ours divides before it subtracts


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.floats(0, 1), st.floats(-3, 3), st.integers(0, 9))
def test_quantiles_are_numpys_within_a_bin(share, middle, seed):
    x = random(500, seed=seed) + middle
    histogram = Histogram(14)
    histogram.count(x)
    # 2 of 500: where between two neighbours it lies is a convention; a bin more, for numbers lie anywhere in theirs
    low, high = np.quantile(x.numpy(), [max(share - 2 / 500, 0), min(share + 2 / 500, 1)])
    assert low - histogram.width <= histogram.quantile(share) <= high + histogram.width


@pytest.mark.parametrize("percentile", [90.0, 99.0])
def test_percentiles_hold_their_share(percentile):
    x = random(20_000) + 1
    found = range_of(PercentileObserver(percentile), x)
    ends = np.quantile(x.numpy(), [0.5 - percentile / 200, 0.5 + percentile / 200])
    # zero has a q of its own, which moves both ends by at most half a step
    assert [found.low, found.high] == pytest.approx(ends, abs=found.scale)


def test_a_percentile_of_all_is_min_max():
    x = random(1000)
    assert range_of(PercentileObserver(100.0), x) == range_of(MinMaxObserver(), x)


def divergence(counts, n):
    """KL(P ‖ Q) as its definition reads, level by level."""
    if not counts[:n].any():
        return math.inf
    p, q = counts[:n].astype(float), np.zeros(n)
    p[-1] += counts[n:].sum()
    for level in range(128):
        bins = np.flatnonzero(np.arange(n) * 128 // n == level)
        held = bins[p[bins] > 0]
        if len(held):
            q[held] = (counts[bins].sum() or 0.5) / len(held)
    held = p > 0
    p, q = p[held] / p.sum(), q[held] / q.sum()
    return (p * np.log(p / q)).sum()


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.integers(0, 99), st.floats(0, 1), st.lists(st.integers(128, 1000), min_size=1, max_size=5))
def test_divergences_are_those_of_the_definition(seed, share_empty, ends):
    generator = np.random.default_rng(seed)
    counts = generator.integers(1, 1000, 1000) * (generator.random(1000) >= share_empty)
    counts[-1] = 3
    found = divergences(torch.from_numpy(counts), torch.tensor(ends))
    expected = [divergence(counts, n) for n in ends]
    assert found.tolist() == pytest.approx(expected, abs=1e-9)  # float64 sums of 1e3, of up to 1e6 log 1e6


def test_entropy_chooses_the_least_divergence():
    x = torch.cat([random(20_000), random(20, seed=1) * 30])
    found = range_of(EntropyObserver(), x)
    histogram = Histogram(15)
    histogram.count(x)
    counts = histogram.magnitudes()
    everywhere = torch.arange(128, int(counts.nonzero().max()) + 2)
    losses = divergences(counts, everywhere)
    chosen = losses[round(found.high / histogram.width) - 128]
    assert chosen <= losses.quantile(0.005)  # ends between those compared may lose less
    assert chosen < losses[-1]
    assert found.zero == 0
    assert 3 < found.high < 10


def error_of(found: StaticRange, x):
    return (found.quantize(x[None]).dequantized() - x).square().mean().item()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_rare_numbers_do_not_decide_as_in_torchs_histogram():
    """Where a few numbers are 100 times the others, all but min-max lose about as little as torch's best."""
    from torch.ao.quantization.observer import HistogramObserver

    bulk = random(50_000)
    x = torch.cat([bulk, torch.tensor([100.0, -100.0])])
    theirs = HistogramObserver(dtype=torch.qint8)
    theirs(x)
    scale, zero = theirs.calculate_qparams()
    best = error_of(StaticRange(scale.item(), int(zero)), bulk)
    errors = {kind: error_of(range_of(kind(), x), bulk) for kind in OBSERVERS}
    assert errors[MinMaxObserver] > 100 * errors[PercentileObserver]
    assert errors[PercentileObserver] <= best
    assert errors[EntropyObserver] <= best


@settings(max_examples=25, derandomize=True, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32, allow_subnormal=False), min_size=1, max_size=30), st.integers(1, 8))
def test_every_number_is_in_its_bin(numbers, bits):
    histogram, x = Histogram(bits), torch.tensor(numbers)
    for piece in x.split(7):
        histogram.count(piece)
    assert histogram.counts.sum() == len(numbers)
    edges = (np.arange(len(histogram.counts) + 1) - 2**bits) * histogram.width
    assert np.array_equal(histogram.counts.numpy(), np.histogram(x.numpy().astype(float), edges)[0])
    if x.any():
        assert histogram.width * 2 ** (bits - 1) <= x.abs().max() < histogram.width * 2**bits  # no coarser than needed
