"""What is left to do of a run: nothing where all of its end is there, everything else is done or mended."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.training.killed_runs import config, write_corpus

from groundup.configs import EvaluationConfig
from groundup.training.launch import resume, start
from groundup.training.run_folder import Run

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    return start(config(write_corpus(folder)), folder / "run", console=QUIET).run.path


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Run:
    return Run.open(Path(shutil.copytree(finished, tmp_path / "run")))


def events(run: Run) -> int:
    return len(list(run.path.glob("events*")))


def test_a_run_that_ended_is_left_alone(run: Run):
    outcome = resume(run.path, console=QUIET)
    assert (outcome.was_over, outcome.step, outcome.stopped_early) == (True, 12, False)
    assert outcome.metrics == json.loads((run.checkpoint(12) / "training.json").read_text())["metrics"]
    assert events(run) == 1


@pytest.mark.parametrize("lost", ["loss.png", "metrics.jsonl", "checkpoints/step-12"])
def test_what_its_last_session_did_not_get_to_is_done(run: Run, lost: str):
    path = run.path / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert not resume(run.path, console=QUIET).was_over
    assert path.exists()
    assert events(run) == 2
    assert resume(run.path, console=QUIET).was_over


def test_a_mark_that_is_gone_is_made_again(run: Run):
    best = run.best
    (run.path / "best.json").unlink()
    assert resume(run.path, console=QUIET).was_over
    assert run.best == best
    assert best is not None
    assert events(run) == 1


def test_what_was_left_of_a_save_is_removed(run: Run):
    (run.checkpoints / ".step-13.unfinished").mkdir()
    assert resume(run.path, console=QUIET).was_over
    assert not (run.checkpoints / ".step-13.unfinished").exists()


def test_a_run_that_patience_ended(tmp_path: Path):
    small = config(write_corpus(tmp_path))
    # A rate so high that the loss rises after the first evaluations.
    training = replace(small.training, learning_rate=3.0, evaluation=EvaluationConfig(every_steps=1, patience=1))
    first = start(replace(small, training=training), tmp_path / "run", console=QUIET)
    assert first.stopped_early
    again = resume(tmp_path / "run", console=QUIET)
    assert again == replace(first, was_over=True, seconds=again.seconds)
