"""Packing: nothing lost, nothing twice, nothing longer than a row, few rows; laid out, no example sees another."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs import GPTConfig
from groundup.data.packing import Example, lay_out, pack
from groundup.errors import InputError
from groundup.layers.masks import segment_mask
from groundup.models.gpt import GPT


@settings(max_examples=25, derandomize=True)
@given(lengths=st.lists(st.integers(1, 20), max_size=60), capacity=st.integers(20, 50))
def test_each_sequence_is_in_one_row_and_no_row_is_too_long(lengths: list[int], capacity: int):
    rows = pack(lengths, capacity)
    assert sorted(i for row in rows for i in row) == list(range(len(lengths)))
    filled = [sum(lengths[i] for i in row) for row in rows]
    assert all(0 < n <= capacity for n in filled)
    assert len(rows) < 2 or sum(sorted(filled)[:2]) > capacity  # no two rows would fit in one


def test_halves_and_thirds_are_packed_without_a_gap():
    lengths = [5, 5, 3, 3, 4, 2, 8, 9, 1, 6, 4]
    rows = pack(lengths, 10)
    assert [sorted(lengths[i] for i in row) for row in rows] == [[1, 9], [2, 8], [4, 6], [5, 5], [3, 3, 4]]


@pytest.mark.parametrize("lengths", [[0], [11], [3, 11]])
def test_what_fits_in_no_row_is_refused(lengths: list[int]):
    with pytest.raises(ValueError, match=r"expected lengths in 1 … 10, found"):
        pack(lengths, 10)


def example(*ids: int, n_learned: int = 1) -> Example:
    return Example(np.array(ids), np.arange(len(ids)) >= len(ids) - n_learned)


EXAMPLES = st.lists(st.integers(1, 9), min_size=2, max_size=8).flatmap(
    lambda ids: st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)).map(
        lambda marks: Example(np.array(ids), np.array(marks))
    )
)


@settings(max_examples=25, derandomize=True)
@given(examples=st.lists(EXAMPLES, min_size=1, max_size=8))
def test_laid_out_examples_are_found_again(examples: list[Example]):
    rows = pack([one.n_inputs for one in examples], 10)
    found = lay_out([[examples[i] for i in row] for row in rows], pad_id=0)
    for b, row in enumerate(rows):
        for number, i in enumerate(row, 1):
            here = found.segments[b] == number
            one = examples[i]
            assert found.inputs[b, here].tolist() == one.ids[:-1].tolist()
            assert found.targets[b, here].tolist() == one.ids[1:].tolist()
            assert found.is_learned[b, here].tolist() == one.is_learned[1:].tolist()
    padding = found.segments == 0
    assert (found.inputs[padding] == 0).all()
    assert not found.is_learned[padding].any()
    assert (~padding).sum() == sum(one.n_inputs for one in examples)


@torch.no_grad()
def test_a_rotary_model_says_of_each_example_what_it_says_of_it_alone():
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=10, context_length=16, d_model=16, n_layers=2, n_heads=2, position="rotary")
    model = GPT(config).eval()
    row = [example(1, 2, 3, 4, 5), example(6, 7, 8), example(9, 1, 9, 1)]
    found = lay_out([row, row[:1]], pad_id=0)
    logits = model(torch.from_numpy(found.inputs), mask=segment_mask(torch.from_numpy(found.segments)))
    for number, one in enumerate(row, 1):
        alone = model(torch.from_numpy(one.ids[None, :-1]))[0]
        here = torch.from_numpy(found.segments[0] == number)
        # float32: angles and sums of other positions are rounded otherwise, of logits below 1
        assert (logits[0, here] - alone).abs().max() <= 1e-6


def test_a_row_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least one token to predict, found one with none"):
        lay_out([[example(1, 2)], []], pad_id=0)
    with pytest.raises(InputError, match="leave it out"):
        lay_out([], pad_id=0)
