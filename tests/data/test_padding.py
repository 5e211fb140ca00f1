"""Padded rows hold each row, and a model says of each what it says of the row alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs.model import GPTConfig
from groundup.data.padding import pad_rows
from groundup.errors import InputError
from groundup.models.gpt import GPT


@given(rows=st.lists(st.lists(st.integers(0, 2**62), min_size=1, max_size=9), min_size=1, max_size=9))
@settings(max_examples=50, derandomize=True)
def test_what_is_real_is_the_rows(rows: list[list[int]]):
    tokens, is_token = pad_rows(rows, pad_id=5)
    assert tokens.shape == is_token.shape == (len(rows), max(map(len, rows)))
    assert [row[real].tolist() for row, real in zip(tokens, is_token, strict=True)] == rows
    assert (tokens[~is_token] == 5).all()
    assert (np.diff(is_token.astype(int), axis=1) <= 0).all()  # padding comes last
    assert (tokens.dtype, is_token.dtype) == (np.int64, np.bool_)


@torch.no_grad()
@pytest.mark.parametrize("masked", [True, False])
def test_a_model_says_of_each_row_what_it_says_of_it_alone(masked: bool):
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=11, context_length=8, d_model=16, n_layers=2, n_heads=2)).eval()
    rows = [[1, 2, 3, 4, 5], [6, 7], [8]]
    tokens, is_token = map(torch.from_numpy, pad_rows(rows, pad_id=0))
    logits = model(tokens, mask=is_token[:, None, None, :] if masked else None)
    for found, row in zip(logits, rows, strict=True):
        # float32: a larger product may be summed in another order, of logits below 1
        assert (found[: len(row)] - model(torch.tensor([row]))[0]).abs().max() <= 1e-6


@pytest.mark.parametrize(("rows", "said"), [([], "found no rows"), ([[1], []], "found row 1 empty")])
def test_nothing_to_pad_is_refused(rows: list[list[int]], said: str):
    with pytest.raises(InputError, match=said):
        pad_rows(rows, pad_id=0)
