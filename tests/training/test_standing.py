"""What is left to do of a run: nothing where all of its end is there, everything else is done or mended."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.training.killed_runs import config, write_corpus

from groundup.configs import EvaluationConfig, RunConfig
from groundup.training.launch import resume, start
from groundup.training.run_folder import Run
from groundup.training.standing import ended

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
    outcome = ended(run, run.read_config(RunConfig))
    assert outcome is not None
    assert (outcome.was_over, outcome.step, outcome.stopped_early) == (True, 12, False)
    assert outcome.metrics == json.loads((run.checkpoint(12) / "training.json").read_text())["metrics"]
    assert resume(run.path, console=QUIET) == outcome
    assert events(run) == 1


@pytest.mark.parametrize("lost", ["best.json", "loss.png", "metrics.jsonl", "checkpoints/step-12"])
def test_what_its_last_session_did_not_get_to_is_done(run: Run, lost: str):
    path = run.path / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert ended(run, run.read_config(RunConfig)) is None
    assert not resume(run.path, console=QUIET).was_over
    assert ended(run, run.read_config(RunConfig)) is not None or lost == "metrics.jsonl"
    assert events(run) == 2


def test_a_damaged_end_is_no_end(run: Run):
    (run.checkpoint(12) / "model.safetensors").write_bytes(b"")
    assert ended(run, run.read_config(RunConfig)) is None
    assert resume(run.path, console=QUIET).step == 12


def test_what_was_left_of_a_save_is_removed(run: Run):
    (run.checkpoints / ".step-13.unfinished").mkdir()
    assert ended(run, run.read_config(RunConfig)) is not None
    assert not (run.checkpoints / ".step-13.unfinished").exists()


def test_a_run_that_patience_ended(tmp_path: Path):
    small = config(write_corpus(tmp_path))
    # A rate so high that the loss rises after the first evaluations.
    training = replace(small.training, learning_rate=3.0, evaluation=EvaluationConfig(every_steps=1, patience=1))
    first = start(replace(small, training=training), tmp_path / "run", console=QUIET)
    assert first.stopped_early
    again = resume(tmp_path / "run", console=QUIET)
    assert again == replace(first, was_over=True, seconds=again.seconds)
