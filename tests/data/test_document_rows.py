"""Rows of documents: every token but the borders in exactly one, none too long, pieces of one length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data.document_rows import document_rows
from groundup.errors import InputError


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.integers(1, 9))
@settings(max_examples=25, derandomize=True, deadline=None)
def test_every_token_is_in_one_row_and_no_row_crosses_a_border(tokens: list[int], longest: int):
    ids = np.array(tokens, np.uint16)
    if not ids.any():
        return
    rows = document_rows(ids, 0, longest)
    assert [token for begin, end in rows for token in ids[begin:end]] == [token for token in tokens if token]
    lengths = rows[:, 1] - rows[:, 0]
    assert lengths.min() >= 1
    assert lengths.max() <= longest


def test_a_long_document_is_cut_into_as_few_pieces_as_can_be_of_about_one_length():
    rows = document_rows(np.ones(23, np.uint16), None, 10)
    assert sorted(rows[:, 1] - rows[:, 0]) == [7, 8, 8]
    assert document_rows(np.ones(20, np.uint16), None, 10).tolist() == [[0, 10], [10, 20]]


def test_without_a_border_its_id_is_a_token_like_others():
    assert document_rows(np.array([0, 5, 0]), None, 8).tolist() == [[0, 3]]


def test_nothing_to_read_is_one_line():
    with pytest.raises(InputError, match="expected tokens to learn from or to measure on, found none"):
        document_rows(np.zeros(4, np.uint16), 0, 8)
