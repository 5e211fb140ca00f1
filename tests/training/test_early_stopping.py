"""Early stopping: against a plain count over the whole history, and through a stop and a restart at every point."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.training.early_stopping import EarlyStopping

losses = st.lists(st.sampled_from([0.5, 1.0, 1.5, 2.0, math.nan, math.inf]), min_size=1, max_size=30)


@given(losses, st.integers(1, 5))
def test_against_the_whole_history(history, patience):
    stopping = EarlyStopping(patience)
    for i, loss in enumerate(history):
        is_best = stopping.update(10 * i, loss)
        numbers = [x if math.isfinite(x) else math.inf for x in history[: i + 1]]
        best = numbers.index(min(numbers)) if min(numbers) < math.inf else None  # the first of equal ones
        assert is_best == (best == i)
        assert stopping.best_step == (None if best is None else 10 * best)
        assert stopping.best_loss == (None if best is None else numbers[best])
        assert stopping.is_exhausted == (i - (-1 if best is None else best) >= patience)


@given(losses, st.integers(0, 30))
def test_a_restart_changes_nothing(history, cut):
    whole, first, second = EarlyStopping(2), EarlyStopping(2), EarlyStopping(2)
    for i, loss in enumerate(history):
        whole.update(i, loss)
    for i, loss in enumerate(history[:cut]):
        first.update(i, loss)
    second.restore(json.loads(json.dumps(first.state(), allow_nan=False)))
    for i, loss in enumerate(history[cut:], start=cut):
        second.update(i, loss)
    assert second.state() == whole.state()
    assert second.is_exhausted == whole.is_exhausted


def test_without_patience_it_never_stops():
    stopping = EarlyStopping(None)
    for step in range(100):
        stopping.update(step, float(step))
    assert not stopping.is_exhausted
    assert stopping.best_step == 0


def test_impossible_patience():
    with pytest.raises(ValueError, match="patience must be None or at least 1, found 0"):
        EarlyStopping(0)
