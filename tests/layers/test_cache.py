"""What both caches do with their rows: copied, cut or put in another order, each row returns what it was given."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.layers.int8_kv_cache import Int8KVCache
from groundup.layers.kv_cache import KVCache

KINDS = [KVCache, Int8KVCache]
SIZES = {"n_layers": 2, "n_kv_heads": 3, "d_head": 4}
kinds = pytest.mark.parametrize("kind", KINDS)


def random_kv(B, T, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, B, 3, T, 4, generator=generator).unbind()


def filled(kind, lengths, seed=0, capacity=8):
    """A cache whose rows hold so many tokens, in both layers."""
    cache = kind(batch_size=len(lengths), capacity=capacity, **SIZES)
    for layer in range(2):
        cache.layer(layer).append(*random_kv(len(lengths), max(lengths), seed + layer))
    cache.advance(max(lengths))
    cache.truncate(lengths)
    return cache


def held(cache):
    """What attention would see of each row, in each layer: keys and values up to the row's length."""
    seen = []
    for layer in range(2):
        found = cache.layer(layer).append(*random_kv(cache.batch_size, 1, seed=99))  # not advanced: it leaves no trace
        seen.append([[part[row, :, :n].clone() for part in found] for row, n in enumerate(cache.lengths.tolist())])
    return seen


def row_of(seen, row):
    return [layer[row] for layer in seen]


def assert_row(seen, row, expected, expected_row, n_tokens=None):
    for mine, theirs in zip(row_of(seen, row), row_of(expected, expected_row), strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert torch.equal(a, b[:, :n_tokens])


@kinds
@settings(max_examples=25, derandomize=True, deadline=None)
@given(places=st.lists(st.integers(0, 2), min_size=1, max_size=4))
def test_selected_rows_are_copies_in_order(kind, places):
    cache = filled(kind, [4, 2, 3])
    before = held(cache)
    kept = cache.select_rows(places)
    assert kept.lengths.tolist() == [[4, 2, 3][place] for place in places]
    assert (kept.capacity, kept.batch_size) == (8, len(places))
    found = held(kept)
    for row, place in enumerate(places):
        assert_row(found, row, before, place)
    kept.layer(0).append(*random_kv(len(places), 2))
    kept.advance(2)
    kept.truncate([0] * len(places))
    after = held(cache)
    for row in range(3):
        assert_row(after, row, before, row)  # nothing is shared
    assert cache.lengths.tolist() == [4, 2, 3]


@kinds
def test_rows_take_what_others_hold(kind):
    cache, other = filled(kind, [4, 4, 4]), filled(kind, [2, 3], seed=7, capacity=3)
    before, theirs = held(cache), held(filled(kind, [2, 3], seed=7))
    cache.write([2, 0], other)
    assert cache.lengths.tolist() == [3, 4, 2]
    found = held(cache)
    assert_row(found, 2, theirs, 0)
    assert_row(found, 0, theirs, 1)
    assert_row(found, 1, before, 1)


@kinds
def test_one_row_is_for_all(kind):
    cache, other = filled(kind, [1, 1, 1]), filled(kind, [4], seed=7)
    theirs = held(other)
    cache.write(range(3), other, 2)
    assert cache.lengths.tolist() == [2, 2, 2]
    for row in range(3):
        assert_row(held(cache), row, theirs, 0, n_tokens=2)
    assert other.lengths.tolist() == [4]


@kinds
def test_rows_go_on_from_others_in_place(kind):
    cache = filled(kind, [4, 4, 4])
    before = held(cache)
    cache.move([0, 2], [2, 1], 1)
    found = held(cache)
    for row, source in ((0, 2), (2, 1)):
        for mine, own, theirs in zip(row_of(found, row), row_of(before, row), row_of(before, source), strict=True):
            for a, b, c in zip(mine, own, theirs, strict=True):
                assert torch.equal(a[:, :1], b[:, :1])
                assert torch.equal(a[:, 1:], c[:, 1:])
    assert_row(found, 1, before, 1)


@kinds
def test_resized_it_holds_the_same_and_more_fits(kind):
    cache = filled(kind, [4, 2])
    before, n_bytes = held(cache), cache.n_bytes
    cache.resize(16)
    assert cache.n_bytes == 2 * n_bytes
    assert cache.lengths.tolist() == [4, 2]
    found = held(cache)
    for row in range(2):
        assert_row(found, row, before, row)
    cache.advance(12)
    with pytest.raises(ValueError, match="room for 16 tokens a row, found 16 held and 1 new"):
        cache.layer(0).append(*random_kv(2, 1))
    with pytest.raises(ValueError, match="room for the 16 tokens that a row holds, found 15"):
        cache.resize(15)


@kinds
def test_another_of_its_kind_is_empty(kind):
    cache = filled(kind, [4, 2])
    other = cache.like([0, 0, 0], 5)
    assert type(other) is kind
    assert other.lengths.tolist() == [0, 0, 0]
    assert other.n_bytes * 2 * 8 == cache.n_bytes * 3 * 5
    assert other.device == cache.device
    assert not other.keys.any()
