import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.data.permutation import derive_key, permute

KEYS = st.integers(min_value=-(2**70), max_value=2**70)


@given(n=st.integers(1, 2_000), key=KEYS)
def test_every_element_comes_once(n: int, key: int):
    assert sorted(permute(np.arange(n), n, key).tolist()) == list(range(n))


@given(n=st.integers(1, 2**50), key=KEYS, data=st.data())
def test_one_element_does_not_need_the_others(n: int, key: int, data: st.DataObject):
    positions = np.array(data.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=20, unique=True)))
    together = permute(positions, n, key)
    assert len(set(together.tolist())) == len(positions)
    assert 0 <= together.min() <= together.max() < n
    assert [permute(positions[i : i + 1], n, key)[0] for i in range(len(positions))] == together.tolist()


def test_the_order_is_fixed_for_ever():
    # A resumed run must see the same data on another machine or version of NumPy: these numbers may not change.
    assert permute(np.arange(8), 8, key=0).tolist() == [7, 6, 0, 1, 2, 4, 5, 3]
    assert permute(np.array([0, 1, 10**12 - 1]), 10**12, key=1337).tolist() == [
        641131541177,
        696623191642,
        715589900629,
    ]


def test_the_order_looks_random():
    n = 20_000
    order = permute(np.arange(n), n, key=5)
    # Each bound is 5 standard deviations of a uniform permutation, so a fair one fails in fewer than 1 of 10^6 keys.
    assert abs(np.corrcoef(order, np.arange(n))[0, 1]) < 5 / np.sqrt(n)  # place says nothing about value
    assert abs(np.corrcoef(order[1:], order[:-1])[0, 1]) < 5 / np.sqrt(n)  # nor does the value before
    rises = int((np.diff(order) > 0).sum())
    assert abs(rises - n / 2) < 5 * np.sqrt(n / 12)
    assert (order == np.arange(n)).sum() < 12  # fixed points are Poisson(1)


def test_first_elements_are_spread_evenly_over_keys():
    # 4,000 keys, 8 values: counts are about 500 ± 21, and 5 standard deviations are 105.
    counts = np.bincount([permute(np.zeros(1, np.int64), 8, key)[0] for key in range(4_000)], minlength=8)
    assert np.abs(counts - 500).max() < 105


def test_keys_depend_on_each_part_and_on_order():
    keys = {derive_key(a, b) for a in range(50) for b in range(50)}
    assert len(keys) == 2_500
    assert derive_key(1) != derive_key(1, 0)


@pytest.mark.parametrize("wrong", [-1, 10])
def test_positions_outside_are_refused(wrong: int):
    with pytest.raises(ValueError, match="positions must be in 0 … 9"):
        permute(np.array([wrong]), 10, key=0)
