import timeit
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.data.windows import Windows
from groundup.errors import InputError

# Tokens that name their own place, so that a batch says which windows it holds.
SIZES = st.tuples(st.integers(1, 12), st.integers(0, 200)).map(lambda pair: (pair[0], pair[0] + 1 + pair[1]))


def dealt(windows: Windows, first: int, count: int) -> list[int]:
    """The first tokens of `count` windows, dealt one by one."""
    return [int(windows.batch(step, 1)[0][0, 0]) for step in range(first, first + count)]


@given(size=SIZES, batch_size=st.integers(1, 9), steps=st.lists(st.integers(0, 500), min_size=1, max_size=8))
def test_batch_is_a_pure_function_of_seed_and_step(size: tuple[int, int], batch_size: int, steps: list[int]):
    context_length, n = size
    used = Windows(np.arange(n), context_length, seed=3)
    seen = [used.batch(step, batch_size) for step in steps]
    for step, (inputs, targets) in reversed(list(zip(steps, seen, strict=True))):
        again = Windows(np.arange(n), context_length, seed=3).batch(step, batch_size)
        np.testing.assert_array_equal(inputs, again[0])
        np.testing.assert_array_equal(targets, again[1])


@given(size=SIZES, seed=st.integers(0, 2**64), epoch=st.integers(0, 1_000))
def test_every_window_comes_once_an_epoch(size: tuple[int, int], seed: int, epoch: int):
    context_length, n = size
    windows = Windows(np.arange(n), context_length, seed)
    starts = sorted(dealt(windows, epoch * windows.n_windows, windows.n_windows))
    offset = starts[0]
    assert starts == [offset + i * context_length for i in range(windows.n_windows)]
    assert 0 <= offset < context_length or windows.n_windows == 1
    assert starts[-1] + context_length < n  # the last target is a token of the text


@given(size=SIZES, batch_size=st.integers(1, 40), seed=st.integers(0, 9))
def test_batches_of_any_size_deal_the_same_windows_across_epochs(size: tuple[int, int], batch_size: int, seed: int):
    context_length, n = size
    windows = Windows(np.arange(n), context_length, seed)
    in_batches = [int(row[0]) for step in range(4) for row in windows.batch(step, batch_size)[0]]
    assert in_batches == dealt(windows, 0, 4 * batch_size)


@given(size=SIZES, step=st.integers(0, 10**12), batch_size=st.integers(1, 9))
def test_inputs_and_targets(size: tuple[int, int], step: int, batch_size: int):
    context_length, n = size
    inputs, targets = Windows(np.arange(n, dtype=np.uint16), context_length, seed=1).batch(step, batch_size)
    assert inputs.shape == targets.shape == (batch_size, context_length)
    assert inputs.dtype == targets.dtype == np.int64
    assert inputs.flags.c_contiguous
    assert targets.flags.c_contiguous
    np.testing.assert_array_equal(targets, inputs + 1)  # the tokens count up, so shifted by one is plus one
    np.testing.assert_array_equal(inputs, inputs[:, :1] + np.arange(context_length))


def test_no_target_is_learned_twice_in_an_epoch():
    windows = Windows(np.arange(1_000), context_length=7, seed=2)
    times = Counter(int(t) for step in range(windows.n_windows) for t in windows.batch(step, 1)[1][0])
    assert set(times.values()) == {1}
    assert len(times) >= 1_000 - 2 * 7


def test_epochs_and_seeds_differ_in_order_and_offset():
    orders, offsets = set(), set()
    for seed in range(5):
        windows = Windows(np.arange(5_000), context_length=10, seed=seed)
        for epoch in range(20):
            starts = windows.batch(epoch, windows.n_windows)[0][:, 0]
            orders.add(tuple(starts // 10))
            offsets.add(int(starts.min()))
    assert len(orders) == 100
    assert offsets == set(range(10))  # 100 draws leave out one of 10 in 3 of 10,000 choices of seeds; these are fixed


def test_the_data_order_is_fixed_for_ever():
    # Resume on another machine or NumPy must give the same batches: these numbers may not change.
    assert dealt(Windows(np.arange(40), context_length=4, seed=1337), 0, 20) == [
        24,
        32,
        20,
        0,
        4,
        28,
        12,
        8,
        16,
        6,
        2,
        10,
        34,
        30,
        22,
        26,
        14,
        18,
        7,
        27,
    ]


def test_a_text_of_one_window():
    windows = Windows(np.arange(5), context_length=4, seed=0)
    assert (windows.n_windows, windows.steps_per_epoch(3)) == (1, 1)
    np.testing.assert_array_equal(windows.batch(7, 3)[0], [[0, 1, 2, 3]] * 3)


@pytest.mark.parametrize("n", [0, 1, 8])
def test_a_text_shorter_than_the_context_is_refused(n: int):
    with pytest.raises(InputError, match=f"at least 9 tokens .* found {n}: take a longer text") as caught:
        Windows(np.arange(n), context_length=8, seed=0)
    assert "validation_fraction" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_programming_errors():
    windows = Windows(np.arange(20), context_length=4, seed=0)
    for step, batch_size in ((-1, 1), (0, 0)):
        with pytest.raises(ValueError, match="step >= 0 and batch_size >= 1"):
            windows.batch(step, batch_size)
    for ids, context_length in ((np.zeros((2, 9)), 4), (np.arange(9), 0)):
        with pytest.raises(ValueError, match=r"expected ids \[N\]"):
            Windows(ids, context_length, seed=0)


def test_batches_from_a_file_touch_only_what_they_need(tmp_path):
    n = 2_000_000_000  # 4 GB of zeros that take no disk: reading them all would take seconds
    path = tmp_path / "tokens.bin"
    with path.open("wb") as file:
        file.truncate(2 * n)
    windows = Windows(np.memmap(path, dtype="<u2", mode="r"), context_length=256, seed=0)
    assert windows.n_windows == 7_812_499
    assert windows.batch(10**9, 16)[1].shape == (16, 256)


def test_a_batch_costs_less_than_a_millisecond():
    windows = Windows(np.zeros(10_000_000, np.uint16), context_length=256, seed=0)
    best = min(timeit.repeat(lambda: windows.batch(12_345, 16), number=20, repeat=20)) / 20
    assert best < 1e-3  # measured 80 µs; the bound leaves room for a slow and busy machine
