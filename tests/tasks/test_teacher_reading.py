"""What is kept of a teacher's reading is what it says when it is asked on the spot."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tasks.distilling import END, V, key_of, model, said_by, text

from groundup.layers.soft_cross_entropy import keep_largest
from groundup.models.gpt import GPT
from groundup.tasks import teacher_reading
from groundup.tasks.teacher_reading import read_by_teacher


def asked_on_the_spot(teacher: GPT, ids: np.ndarray, position: int, *, context_length: int = 16) -> torch.Tensor:
    """Return the logits of the token after `position`, from the window that the rule gives it, in plain steps."""
    half = context_length // 2
    start = 0 if position < context_length else (position - context_length) // half * half + half
    window = ids[start : position + 1]
    begins = np.flatnonzero(window == END)
    if len(begins):
        window = window[begins[-1] :]  # nothing before the document is seen
    with torch.no_grad():
        logits: torch.Tensor = teacher(torch.from_numpy(window.astype(np.int64))[None])[0, -1]
    return logits


@pytest.mark.parametrize(("precision", "rounding"), [("float32", 2e-6), ("float16", 2e-4)])
def test_what_is_kept_is_what_the_teacher_says_on_the_spot(tmp_path: Path, precision: str, rounding: float):
    teacher, ids = model(24, seed=1), text(60)
    said = said_by(teacher, ids, tmp_path, precision=precision, top_k=4)
    ids_kept, logprobs = said.at(np.arange(len(ids) - 1))
    for position in range(len(ids) - 1):
        logits = asked_on_the_spot(teacher, ids, position)[None]
        expected = keep_largest(logits, 4)
        assert ids_kept[position].tolist() == expected.ids[0].tolist()
        # float32: products of rows in another order. float16: log p is kept to 2⁻¹¹ between -1 and -2, where it
        # moves p most: by e⁻¹ · 2⁻¹¹.
        np.testing.assert_allclose(np.exp(logprobs[position]), expected.logprobs[0].exp(), rtol=0, atol=rounding)


def test_reading_may_begin_at_any_block(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(teacher_reading, "LOGITS_AT_ONCE", 2 * 16 * V)  # two windows a block
    teacher, ids = model(24, seed=1), text(100)
    key = key_of(ids, top_k=3)
    whole = list(read_by_teacher(teacher, ids, key))
    assert len(whole) > 3
    assert sum(len(block["ids"]) for block in whole) == len(ids) - 1
    for block, again in zip(whole[2:], read_by_teacher(teacher, ids, key, first=2), strict=True):
        assert all(np.array_equal(block[name], again[name]) for name in block)


def test_ids_beyond_the_texts_vocabulary_are_left_out():
    teacher, ids = model(24, seed=1), text(20) % 5
    key = key_of(ids, top_k=5)
    key = type(key)(**{**key.__dict__, "vocab_size": 5})
    for block in read_by_teacher(teacher, ids, key):
        assert block["ids"].max() < 5
        np.testing.assert_allclose(np.exp(block["logprobs"]).sum(-1), 1, rtol=1e-6)  # float32
