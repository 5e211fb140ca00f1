"""The trial: a real one in a process of its own, and what it says when a run cannot begin."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import EvaluationConfig, TrainConfig
from groundup.errors import InputError
from groundup.planning import trial
from groundup.planning.trial import TRIAL_BYTES, beginning_of, run_trial

TINY = RunConfig(
    data=DataConfig(max_bytes=40_000),
    model=GPTConfig(context_length=16, d_model=16, n_layers=1, n_heads=2),
    training=TrainConfig(
        steps=5, batch_size=2, device="cpu", evaluation=EvaluationConfig(max_tokens=256, sample_tokens=8)
    ),
)


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("abcdefgh\n" * 5_000, encoding="utf-8")
    return str(path)


def on(corpus: str) -> RunConfig:
    return replace(TINY, data=replace(TINY.data, corpus=corpus))


def test_a_trial_measures_every_part_and_leaves_nothing(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = run_trial(on(text))
    assert found.vocab_size == 9
    assert found.is_whole_text
    assert found.n_train_tokens == pytest.approx(36_000, abs=20)
    assert found.device == "cpu"
    for part in ("startup", "preparation", "step", "evaluation", "sample", "checkpoint", "flops_per_second"):
        assert getattr(found, part) > 0, part
    assert found.peak_bytes is None or found.peak_bytes > 100_000_000  # torch alone is more
    assert found.n_steps > 3
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_what_would_stop_the_run_stops_the_trial(tmp_path: Path):
    with pytest.raises(InputError, match="expected a known corpus"):
        run_trial(on(str(tmp_path / "nothing.txt")))


def test_a_trial_that_dies_is_told_of(text: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trial.sys, "executable", "/bin/false")
    with pytest.raises(InputError, match="expected the trial to end, found 'exit code 1'"):
        run_trial(on(text))


def test_a_trial_reads_the_beginning_of_a_long_text():
    assert beginning_of(RunConfig()).data.max_bytes == TRIAL_BYTES
    assert beginning_of(TINY).data.max_bytes == 40_000
    long = replace(RunConfig(), model=GPTConfig(context_length=100_000))
    assert (beginning_of(long).data.max_bytes or 0) > TRIAL_BYTES  # a window must fit on both sides of the split
