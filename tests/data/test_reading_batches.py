"""Batches for reading: each text once, none larger than allowed unless it is alone, similar lengths together."""

import numpy as np
import pytest

from groundup.data.reading_batches import read_together


@pytest.mark.parametrize("at_once", [1, 40, 400])
def test_each_text_once_and_padding_is_counted(at_once: int):
    lengths = np.random.default_rng(0).integers(1, 60, size=50)
    batches = list(read_together(lengths, at_once))
    assert sorted(np.concatenate(batches)) == list(range(50))
    assert all(len(batch) == 1 or len(batch) * lengths[batch].max() <= at_once for batch in batches)
    assert [lengths[i] for batch in batches for i in batch] == sorted(lengths, reverse=True)


def test_no_text_is_no_batch():
    assert list(read_together([])) == []
