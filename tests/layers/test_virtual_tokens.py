"""What stands before a text: the same for every row, in the text's number format, with a gradient."""

import torch

from groundup.layers.kv_cache import KVCache
from groundup.layers.virtual_tokens import LearnedPrefix, Prefixed, Recorded


def pairs(*shape, n=1):
    generator = torch.Generator().manual_seed(0)
    return [tuple(torch.randn(shape, generator=generator) for _ in range(2)) for _ in range(n)]


def test_a_prefix_gives_each_layer_the_numbers_it_began_with():
    layers = pairs(1, 2, 3, 4, n=5)
    found = LearnedPrefix(layers)()
    assert len(found) == 5
    for (keys, values), (given_keys, given_values) in zip(found, layers, strict=True):
        assert torch.equal(keys, given_keys)
        assert torch.equal(values, given_values)
    layers[0][0].zero_()
    assert found[0][0].any()  # a copy


def test_each_row_sees_the_virtual_tokens_and_then_its_own():
    (before,), (text,) = pairs(1, 2, 3, 4), pairs(5, 2, 6, 4)
    for found, first, last in zip(Prefixed(before, None).append(*text), before, text, strict=True):
        assert torch.equal(found[:, :, 3:], last)
        assert all(torch.equal(row[:, :3], first[0]) for row in found)


def test_a_cache_holds_the_text_alone_and_gives_it_behind_the_virtual_tokens():
    cache = KVCache(n_layers=1, batch_size=2, n_kv_heads=2, capacity=4, d_head=4)
    (before,), (first,), (second,) = pairs(1, 2, 3, 4), pairs(2, 2, 3, 4), pairs(2, 2, 1, 4)
    for text in (first, second):
        keys, values = Prefixed(before, cache.layer(0)).append(*text)
        cache.advance(text[0].shape[2])
    assert torch.equal(keys, torch.cat([before[0].expand(2, -1, -1, -1), first[0], second[0]], dim=2))
    assert torch.equal(values, torch.cat([before[1].expand(2, -1, -1, -1), first[1], second[1]], dim=2))
    assert torch.equal(cache.keys[0], torch.cat([first[0], second[0]], dim=2))


def test_virtual_tokens_follow_the_texts_number_format():
    (before,), (text,) = pairs(1, 2, 3, 4), pairs(5, 2, 6, 4)
    keys, values = Prefixed(before, None).append(*(x.bfloat16() for x in text))
    assert keys.dtype == values.dtype == torch.bfloat16


def test_every_row_adds_to_the_gradient():
    prefix, (text,) = LearnedPrefix(pairs(1, 2, 3, 4)), pairs(5, 2, 6, 4)
    keys, values = Prefixed(prefix()[0], None).append(*text)
    (keys.sum() + 2 * values.sum()).backward()
    assert (prefix.keys.grad == 5).all()
    assert (prefix.values.grad == 10).all()


def test_what_is_recorded_is_what_was_given():
    recorded, (text,) = Recorded(), pairs(1, 2, 6, 4)
    assert recorded.append(*text) == text == recorded.pair
