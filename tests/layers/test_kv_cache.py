"""The cache: what it holds, where it writes, what it refuses."""

import pytest
import torch

from groundup.layers.attention import MultiHeadAttention
from groundup.layers.kv_cache import KVCache


def new_cache(**changes):
    sizes = {"n_layers": 2, "batch_size": 2, "n_kv_heads": 3, "capacity": 6, "d_head": 4}
    return KVCache(**(sizes | changes))


def random_kv(T, B=2):
    return torch.randn(B, 3, T, 4), torch.randn(B, 3, T, 4)


def test_appended_tokens_come_back_behind_the_earlier_ones():
    cache = new_cache()
    k, v = random_kv(5)
    cache.layer(1).append(k[:, :, :3], v[:, :, :3])
    cache.advance(3)
    keys, values = cache.layer(1).append(k[:, :, 3:], v[:, :, 3:])
    cache.advance(2)
    assert torch.equal(keys, k)
    assert torch.equal(values, v)
    assert cache.lengths.tolist() == [5, 5]
    assert cache.keys[0].eq(0).all()  # the other layer


def test_each_row_continues_at_its_own_length():
    cache = new_cache()
    k, v = random_kv(4)
    cache.layer(0).append(k, v)
    cache.advance(4)
    cache.truncate([4, 1])
    new_k, new_v = random_kv(2)
    keys, values = cache.layer(0).append(new_k, new_v)
    assert keys.shape == (2, 3, 6, 4)
    assert torch.equal(keys[0], torch.cat((k[0], new_k[0]), dim=1))
    assert torch.equal(keys[1, :, :3], torch.cat((k[1, :, :1], new_k[1]), dim=1))
    assert torch.equal(values[1, :, :3], torch.cat((v[1, :, :1], new_v[1]), dim=1))


def test_views_not_copies():
    cache = new_cache()
    keys, values = cache.layer(0).append(*random_kv(1))
    assert keys.data_ptr() == cache.keys.data_ptr()
    assert values.data_ptr() == cache.values.data_ptr()


def test_offset_is_a_number_exactly_when_rows_agree():
    cache = new_cache()
    assert cache.offset == 0
    cache.advance(4)
    assert cache.offset == 4
    cache.truncate(torch.tensor([4, 2]))
    assert isinstance(cache.offset, torch.Tensor)
    assert cache.offset.tolist() == [4, 2]
    assert cache.offset.dtype == torch.int64
    assert cache.longest == 4
    cache.truncate([2, 2])
    assert cache.offset == 2


def test_overflow_is_an_error_and_changes_nothing():
    cache = new_cache()
    cache.advance(5)
    with pytest.raises(ValueError, match="room for 6 tokens a row, found 5 held and 2 new"):
        cache.layer(0).append(*random_kv(2))
    with pytest.raises(ValueError, match="room for 6"):
        cache.advance(2)
    assert cache.lengths.tolist() == [5, 5]


@pytest.mark.parametrize("lengths", [[4, 3], [-1, 0], [1], [1, 1, 1]])
def test_truncate_refuses_what_the_rows_do_not_hold(lengths):
    cache = new_cache()
    cache.advance(3)
    with pytest.raises(ValueError, match="truncate needs"):
        cache.truncate(lengths)
    assert cache.lengths.tolist() == [3, 3]


def test_number_format_is_the_caches():
    cache = new_cache(dtype=torch.bfloat16)
    assert cache.layer(0).append(*random_kv(2))[0].dtype == torch.bfloat16
    cache.advance(2)
    cache.truncate([2, 1])
    assert cache.layer(0).append(*random_kv(1))[1].dtype == torch.bfloat16


def test_no_gradient_is_kept():
    cache = new_cache()
    k, v = random_kv(2)
    keys, _ = cache.layer(0).append(k.requires_grad_(), v)
    assert not keys.requires_grad


@pytest.mark.parametrize("fused", [True, False])
def test_attention_in_pieces_equals_attention_at_once(fused):
    torch.manual_seed(0)
    attention = MultiHeadAttention(12, 6, n_kv_heads=3, fused=fused).double()
    x = torch.randn(2, 6, 12, dtype=torch.float64)
    cache = new_cache(d_head=2, dtype=torch.float64)
    pieces = []
    for piece in x.split([3, 1, 2], dim=1):
        pieces.append(attention(piece, is_causal=True, cache=cache.layer(0)))
        cache.advance(piece.shape[1])
    # float64: other shapes, other order of summation, roundings of 1e-16
    assert (torch.cat(pieces, dim=1) - attention(x, is_causal=True)).abs().max() <= 1e-12


def test_resized_it_holds_the_same():
    cache = new_cache()
    k, v = random_kv(4)
    cache.layer(1).append(k, v)
    cache.advance(4)
    cache.truncate([4, 3])
    cache.resize(9)
    assert cache.capacity == 9
    assert cache.lengths.tolist() == [4, 3]
    keys, values = cache.layer(1).append(*random_kv(5))
    assert torch.equal(keys[0, :, :4], k[0])
    assert torch.equal(values[1, :, :3], v[1, :, :3])
    with pytest.raises(ValueError, match="room for the 4 tokens that a row holds, found 3"):
        cache.resize(3)
    cache.resize(4)
    with pytest.raises(ValueError, match="room for 4"):
        cache.advance(1)
