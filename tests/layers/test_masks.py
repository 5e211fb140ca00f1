"""Masks against their definitions, entry by entry."""

import torch

from groundup.layers.masks import causal_mask, combine_masks, document_mask, padding_mask, segment_mask


def test_causal_mask_is_the_lower_triangle():
    assert torch.equal(causal_mask(5), torch.ones(5, 5, dtype=torch.bool).tril())


def test_last_query_sees_every_key_when_keys_were_there_before():
    mask = causal_mask(3, 7)
    for t in range(3):
        for s in range(7):
            assert mask[t, s] == (s <= 4 + t)


def test_offset_may_differ_by_row():
    offsets = torch.tensor([0, 4, 2])
    mask = causal_mask(2, 6, offset=offsets)
    assert mask.shape == (3, 1, 2, 6)
    for b, offset in enumerate(offsets.tolist()):
        assert torch.equal(mask[b, 0], causal_mask(2, 6, offset=offset))


def test_padding_mask_hides_what_lies_behind_the_length():
    mask = padding_mask(torch.tensor([0, 2, 4]), 4)
    assert mask.shape == (3, 1, 1, 4)
    assert mask[:, 0, 0].int().tolist() == [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]


def test_combined_masks_allow_what_all_allow():
    causal, padding = causal_mask(3), padding_mask(torch.tensor([1, 3]), 3)
    both = combine_masks(causal, None, padding)
    assert both is not None
    assert torch.equal(both, causal & padding)


def test_combining_nothing_allows_everything():
    assert combine_masks() is None
    assert combine_masks(None, None) is None
    assert combine_masks(None, causal_mask(2)).dtype == torch.bool


def test_a_document_sees_itself_only():
    tokens = torch.tensor([[9, 9, 0, 9, 0, 0], [0, 9, 9, 9, 9, 9]])  # 0 begins a document
    mask = document_mask(tokens, end_id=0)
    assert mask.shape == (2, 1, 6, 6)
    document = [[0, 0, 1, 1, 2, 3], [1, 1, 1, 1, 1, 1]]
    for row, numbers in enumerate(document):
        expected = [[a == b for b in numbers] for a in numbers]
        assert mask[row, 0].tolist() == expected


def test_a_segment_sees_itself_only_whatever_its_number():
    segments = torch.tensor([[7, 7, 0, 0, 7], [1, 2, 3, 3, 3]])
    mask = segment_mask(segments)
    assert mask.shape == (2, 1, 5, 5)
    for row, numbers in enumerate(segments.tolist()):
        assert mask[row, 0].tolist() == [[a == b for b in numbers] for a in numbers]
