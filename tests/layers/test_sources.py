"""Sources: every row reads its own, shared or copied, and a cache's rows take theirs along."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.layers.blocks import DecoderBlock
from groundup.layers.int8_kv_cache import Int8KVCache
from groundup.layers.kv_cache import KVCache
from groundup.layers.sources import Sources

N, S = 4, 5
LENGTHS = torch.tensor([5, 2, 4, 1])


def made(masked=True):
    """Sources of which every number says whose it is: key 100 * layer + source, value its negative."""
    keys = (100 * torch.arange(2)[:, None] + torch.arange(N)).float().view(2, N, 1, 1, 1).expand(2, N, 3, S, 4)
    mask = (torch.arange(S) < LENGTHS[:, None])[:, None, None] if masked else None
    return Sources(keys, -keys, mask)


def read_by(sources, row):
    """What a row looks at: (source by its keys, real positions)."""
    keys, values = sources.layer(1)
    width = sources.batch_size // len(keys)  # rows that share
    mine, mask = keys[row // width], sources.mask
    assert torch.equal(values[row // width], -mine)
    assert mine.unique().numel() == 1
    return int(mine[0, 0, 0]) - 100, S if mask is None else int(mask[row // width].sum())


places = st.lists(st.integers(0, N - 1), min_size=1, max_size=6)


@given(places, st.booleans(), st.data())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_rows_chosen_again_and_again_read_what_they_read(first, masked, data):
    sources, expected = made(masked).select(first), first
    for _ in range(2):
        again = data.draw(st.lists(st.integers(0, len(expected) - 1), min_size=1, max_size=6))
        sources, expected = sources.select(again), [expected[place] for place in again]
        assert sources.of == tuple(expected)
        for row, number in enumerate(expected):
            assert read_by(sources, row) == (number, int(LENGTHS[number]) if masked else S)
        assert sources.whole_mask.sum(1).tolist() == [int(LENGTHS[one]) if masked else S for one in expected]


@pytest.mark.parametrize(
    ("rows", "held"), [([0, 0, 0, 2, 2, 2], 2), ([1, 1], 1), ([0, 1, 2, 3], 4), ([0, 0, 1], 3), ([0, 1, 0], 3), ([], 0)]
)
def test_beams_of_a_source_share_its_numbers_and_others_have_copies(rows, held):
    assert len(made().select(rows).layer(0)[0]) == held


def test_nothing_is_copied_while_every_row_reads_its_own_source():
    sources = made()
    same = sources.select(range(N))
    assert same.layer(0)[0].data_ptr() == sources.layer(0)[0].data_ptr()
    assert sources.new(keep_attention=True).layer(1)[1].data_ptr() == sources.layer(1)[1].data_ptr()


def test_what_was_attended_goes_with_the_rows():
    sources = made().new(keep_attention=True)
    assert sources.last_attention is None
    sources.last_attention = torch.arange(N).float()[:, None].expand(N, S)
    assert sources.select([2, 2, 0]).last_attention[:, 0].tolist() == [2, 2, 0]
    moved = sources.replace([0, 3], sources, [1, 1])
    assert moved.of == (1, 1, 2, 1)
    assert moved.last_attention[:, 0].tolist() == [1, 1, 2, 1]
    assert sources.of == (0, 1, 2, 3)
    assert sources.new(keep_attention=True).last_attention is None


def test_rows_of_other_sources_are_refused():
    with pytest.raises(ValueError, match="the same sources, found other ones"):
        made().replace([0], made(), [0])


@pytest.mark.parametrize("kind", [KVCache, Int8KVCache])
def test_a_caches_rows_take_their_sources_along(kind):
    cache = kind(n_layers=2, batch_size=N, n_kv_heads=3, capacity=6, d_head=4)
    assert cache.last_attention is None
    cache.sources = made()
    cache.advance(2)
    assert cache.select_rows([3, 0, 0]).sources.of == (3, 0, 0)
    assert cache.like([2, 1], 4).sources.of == (2, 1)
    fresh = cache.like([1, 3], 4)
    fresh.advance(2)
    cache.write([0, 2], fresh)
    assert cache.sources.of == (1, 1, 3, 3)
    cache.write([1, 2], cache.like([0], 4))  # one row, for both
    assert cache.sources.of == (1, 1, 1, 3)
    cache.advance(1)
    cache.move([0], [3], 0)
    assert cache.sources.of == (3, 1, 1, 3)
    cache.resize(9)
    assert cache.sources.of == (3, 1, 1, 3)


def test_a_block_reads_shared_sources_as_copied_ones():
    torch.manual_seed(0)
    block = DecoderBlock(d_model=12, n_heads=3, d_ff=20).double()
    encoded, mask = torch.randn(2, S, 12).double(), (torch.arange(S) < torch.tensor([[5], [2]]))[:, None, None]
    x = torch.randn(6, 4, 12).double()
    kept = block.cross_attention.keys_and_values(encoded)
    seen = []
    shared = block(x, kept, encoded_mask=mask, watch=seen.append)
    rows = [0, 0, 0, 1, 1, 1]
    expected = block(x, encoded[rows], encoded_mask=mask[rows])
    assert (shared - expected).abs().max() <= 1e-12  # float64, other shapes of the same products
    assert seen[0].shape == (2, 3, 3 * 4, S)
