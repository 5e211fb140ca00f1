"""When a session saves: by steps, by the clock, at marked steps; and that a mark outlives everything."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.training.killed_runs import config as whole_config
from tests.training.killed_runs import write_corpus

from groundup.configs import CheckpointConfig, RunConfig
from groundup.training import session
from groundup.training.launch import resume, start
from groundup.training.run_folder import Run
from groundup.weights.marks import is_marked, set_mark

QUIET = Console(quiet=True)


def config(folder: Path, **checkpoints: object) -> RunConfig:
    """Ten steps, one evaluation: at the end."""
    made = whole_config(write_corpus(folder))
    evaluation = replace(made.training.evaluation, every_steps=100)
    saved = CheckpointConfig(**{"every_steps": 100, "keep_last": 100, **checkpoints})  # type: ignore[arg-type]
    return replace(made, training=replace(made.training, steps=10, evaluation=evaluation, checkpoints=saved))


@pytest.fixture
def minute_a_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """A clock on which each step takes a minute, and nothing else takes any time."""
    minutes = 0

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return minutes * 60.0

    advance = session.Session.advance

    def advance_a_minute(self: session.Session[object, object], *given: object) -> None:
        nonlocal minutes
        advance(self, *given)  # type: ignore[arg-type]
        minutes += 1

    monkeypatch.setattr(session, "time", Clock)
    monkeypatch.setattr(session.Session, "advance", advance_a_minute)
    return Clock.monotonic


@pytest.mark.usefixtures("minute_a_step")
@pytest.mark.parametrize(
    ("checkpoints", "steps"),
    [
        ({"every_minutes": None}, [10]),
        ({"every_minutes": 3.0}, [3, 6, 9, 10]),
        ({"every_minutes": 0.01}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"every_minutes": 3.0, "every_steps": 5}, [3, 5, 8, 10]),  # counted from the last one, whatever it was for
        ({"every_minutes": 60.0, "mark_every_steps": 4}, [4, 8, 10]),
    ],
)
def test_checkpoints_fall_due(tmp_path: Path, checkpoints: dict[str, object], steps: list[int]):
    run = start(config(tmp_path, **checkpoints), tmp_path / "run", console=QUIET).run
    assert run.checkpoint_steps() == steps


def test_the_clock_changes_no_bit(tmp_path: Path, minute_a_step: Callable[[], float]):
    runs = [
        start(config(tmp_path, every_minutes=minutes), tmp_path / str(minutes), console=QUIET).run
        for minutes in (None, 2.0)
    ]
    files = [(run.checkpoint(10) / "model.safetensors").read_bytes() for run in runs]
    assert files[0] == files[1]


def test_marked_checkpoints_stay(tmp_path: Path):
    run = start(config(tmp_path, every_steps=1, keep_last=1, mark_every_steps=4), tmp_path / "run", console=QUIET).run
    assert run.checkpoint_steps() == [4, 8, 10]
    assert [is_marked(run.checkpoint(step)) for step in (4, 8, 10)] == [True, True, False]
    set_mark(run.checkpoint(4), marked=False)
    set_mark(run.checkpoint(10), marked=True)
    longer = config(tmp_path, every_steps=1, keep_last=1)
    resume(run.path, config=replace(longer, training=replace(longer.training, steps=12)), console=QUIET)
    kept = Run.open(run.path).checkpoint_steps()
    assert kept[0] == 8  # 4 went when its mark did
    assert {8, 10, 12} <= set(kept)


def test_the_records_of_a_checkpoint_are_on_disk_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Else a power cut may leave a checkpoint of step N, from which a run goes on, with fewer lines than N steps."""
    synced, lacking, fsync, save_state = {}, [], os.fsync, session.save_state

    def remember(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        synced[status.st_ino] = status.st_size

    def save(folder: Path, *given: object, **named: object) -> None:
        metrics = (folder.parent.parent / "metrics.jsonl").stat()
        lacking.append(metrics.st_size - synced.get(metrics.st_ino, 0))
        save_state(folder, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "fsync", remember)
    monkeypatch.setattr(session, "save_state", save)
    start(config(tmp_path, every_steps=4), tmp_path / "run", console=QUIET)
    assert lacking == [0, 0, 0]  # at 4, 8 and 10
