"""Changes to a run that goes on: stated, recorded, undone to recognize older checkpoints; some refused by name."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tests.training.killed_runs import config as whole_config
from tests.training.killed_runs import write_corpus

from groundup.configs import OptimizerConfig, RunConfig, TrainConfig, from_dict, to_dict
from groundup.errors import InputError
from groundup.training.changes import (
    check_changes,
    describe_changes,
    difference,
    earlier_configs,
    find_changes,
    read_history,
    record_changes,
)
from groundup.training.launch import resume, start
from groundup.training.run_folder import Run
from groundup.training.trained import load_run

QUIET = Console(quiet=True)


def config(folder: Path, **training: Any) -> RunConfig:
    made = whole_config(write_corpus(folder))
    return replace(made, training=replace(made.training, **{"steps": 6, **training}))


def changed(made: RunConfig, path: str, value: object) -> RunConfig:
    plain = to_dict(made)
    *parts, name = path.split(".")
    inner = plain
    for part in parts:
        inner = inner[part]
    inner[name] = value
    return from_dict(RunConfig, plain)


def resumed(run: Path, made: RunConfig) -> str:
    shown = Console(file=io.StringIO(), width=60)
    resume(run, config=made, console=shown)
    return shown.file.getvalue()  # type: ignore[attr-defined]


def test_more_steps_at_another_rate(tmp_path: Path):
    before = config(tmp_path)
    run = start(before, tmp_path / "run", console=QUIET).run
    after = config(tmp_path, steps=9, learning_rate=3e-3)
    said = resumed(run.path, after)
    line = "changed at step 6: steps 6 -> 9, learning_rate 0.01 -> 0.003; the next learning rate is "
    assert line in said
    assert "validation" in said
    opened = Run.open(run.path)
    assert opened.read_config(RunConfig) == after
    assert earlier_configs(opened) == [to_dict(before)]
    record = read_history(opened)[0]
    assert (record["step"], record["changes"]) == (
        6,
        {"training.steps": [6, 9], "training.learning_rate": [0.01, 0.003]},
    )
    assert load_run(run.path).config == after  # the best weights may be of before the change
    assert "changed" not in resumed(run.path, after)  # said once
    assert len(read_history(opened)) == 1


def test_a_longer_run_with_the_rates_of_the_long_one_is_the_long_one(tmp_path: Path):
    """What a change leaves alone stays exact: 6 steps and 3 more at a constant rate are 9 steps."""
    schedule = replace(config(tmp_path).training.schedule, name="constant")
    start(config(tmp_path, schedule=schedule, steps=9), tmp_path / "whole", console=QUIET)
    start(config(tmp_path, schedule=schedule), tmp_path / "run", console=QUIET)
    resumed(tmp_path / "run", config(tmp_path, schedule=schedule, steps=9))
    files = [(tmp_path / name / "checkpoints/step-9/model.safetensors").read_bytes() for name in ("whole", "run")]
    assert files[0] == files[1]


def test_a_checkpoint_of_before_the_change_is_gone_back_to(tmp_path: Path):
    run = start(config(tmp_path), tmp_path / "run", console=QUIET).run
    resumed(run.path, config(tmp_path, steps=9))
    for step in (7, 8, 9):
        shutil.rmtree(run.checkpoint(step), ignore_errors=True)
    assert "going on from" in resumed(run.path, config(tmp_path, steps=9))
    assert run.checkpoint(9).is_dir()
    edited = run.path / "config.json"
    edited.write_text(edited.read_text().replace('"steps": 9', '"steps": 11'))
    with pytest.raises(InputError, match=r"another config: training.steps is 9 there and 11 in config.json"):
        resume(run.path, console=QUIET)


def test_a_process_killed_between_record_and_config_leaves_a_run_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    before, after = config(tmp_path), config(tmp_path, steps=9)
    run = start(before, tmp_path / "run", console=QUIET).run

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("groundup.training.changes.write_atomically", die)
        with pytest.raises(SystemExit):
            resume(run.path, config=after, console=QUIET)
    assert len(read_history(run)) == 1
    assert earlier_configs(Run.open(run.path)) == []  # it never came to be
    assert "changed" not in resumed(run.path, before)
    assert "changed at step 6: steps 6 -> 9" in resumed(run.path, after)
    assert earlier_configs(Run.open(run.path)) == [to_dict(before)]


def test_a_half_line_is_forgotten_and_a_damaged_one_named(tmp_path: Path):
    run = Run.create(tmp_path / "run", config(tmp_path))
    for steps in (9, 10):
        made = Run.open(run.path)
        after = config(tmp_path, steps=steps)
        record_changes(made, find_changes(made.read_config(RunConfig), after), step=0)
    whole = run.history.read_text()
    run.history.write_text(whole + '{"step": 3, "cha')
    assert len(read_history(run)) == 2
    record_changes(Run.open(run.path), {"training.steps": (10, 11)}, step=0)
    assert [record["changes"]["training.steps"] for record in read_history(run)] == [[6, 9], [9, 10], [10, 11]]
    for damage in ("xx\n" + whole, whole.replace("10", "12"), whole.replace("}\n", "\n"), "[]\n", "\ufffd\n"):
        run.history.write_text(damage)
        with pytest.raises(InputError, match=rf"expected {run.history} as it was written, found line \d damaged"):
            read_history(run)


def test_damage_to_the_history_stops_only_who_needs_it(tmp_path: Path):
    run = start(config(tmp_path), tmp_path / "run", console=QUIET).run
    resumed(run.path, config(tmp_path, steps=9))
    run.history.write_text("xx\n")
    resumed(run.path, config(tmp_path, steps=9))  # the newest checkpoint is of this config
    for step in (7, 8, 9):
        shutil.rmtree(run.checkpoint(step), ignore_errors=True)
    with pytest.raises(InputError, match=r"history\.jsonl as it was written, found line 1 damaged: restore"):
        resume(run.path, console=QUIET)


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = start(config(tmp_path), tmp_path / "run", console=QUIET).run
    whole = run.path / "config.json"
    before = whole.read_text()

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(InputError, match=r"No space left on device; make room"):
            resume(run.path, config=config(tmp_path, steps=9), console=QUIET)
    assert whole.read_text() == before
    resumed(run.path, config(tmp_path, steps=9))
    assert run.checkpoint(9).is_dir()


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        ("data.corpus", "tales", "expected data.corpus to stay .*, found 'tales': the run's tokens are made"),
        ("model.d_model", 32, r"expected model.d_model to stay 16, found 32: its weights are of this model; start a"),
        ("training.seed", 1, "training.seed to stay 1337, found 1: it decided the order of the text"),
        ("training.optimizer.name", "adamw_by_hand", "memory of this optimizer"),
        ("training.batch_size", 4, r"batch_size \* training.accumulation_steps to stay 2 \* 2, found 4 \* 2: .* twice"),
        ("training.log_every", 5, "expected training.steps above the 6 that .* has taken, found 6: raise it, nothing"),
        ("training.steps", 5, "expected training.steps above the 6 that .* has taken, found 5: raise it"),
    ],
)
def test_what_cannot_change_is_refused_and_changes_nothing(tmp_path: Path, path: str, value: object, reason: str):
    made = config(tmp_path)
    run = start(made, tmp_path / "run", console=QUIET).run
    with pytest.raises(InputError, match=reason) as caught:
        resume(run.path, config=changed(made, path, value), console=QUIET)
    assert "\n" not in str(caught.value)
    assert Run.open(run.path).read_config(RunConfig) == made
    assert not run.history.exists()


def test_a_run_that_stopped_early_needs_more_patience(tmp_path: Path):
    evaluation = replace(config(tmp_path).training.evaluation, every_steps=1, patience=1)
    made = config(tmp_path, steps=200, learning_rate=3.0, evaluation=evaluation)  # so high that it soon gets no better
    run = start(made, tmp_path / "run", console=QUIET)
    assert run.stopped_early
    with pytest.raises(InputError, match=r"patience above the 1 evaluations without a new best that ended .*, found 1"):
        resume(run.run.path, config=changed(made, "training.steps", 300), console=QUIET)
    more = changed(changed(made, "training.evaluation.patience", 3), "training.steps", run.step + 1)
    assert resume(run.run.path, config=more, console=QUIET).step == run.step + 1


def test_batch_and_accumulation_may_be_traded():
    after = TrainConfig(batch_size=3, accumulation_steps=4)
    before, traded = RunConfig(), RunConfig(training=after)
    changes = find_changes(before, traded)
    check_changes(changes, traded)
    assert describe_changes(changes, before, traded, step=5) == (
        "changed at step 5: batch_size 12 -> 3, accumulation_steps 1 -> 4; results may differ in the last bits"
    )


def test_the_line_says_what_follows():
    before = RunConfig()
    quiet = changed(before, "training.checkpoints.every_minutes", None)
    assert describe_changes(find_changes(before, quiet), before, quiet, step=5) == (
        "changed at step 5: checkpoints.every_minutes 10 -> none; the weights will be the same"
    )
    patient = changed(before, "training.evaluation.patience", 3)
    assert describe_changes(find_changes(before, patient), before, patient, step=5).endswith("patience none -> 3")
    decay = RunConfig(training=TrainConfig(optimizer=OptimizerConfig(weight_decay=0.2)))
    assert describe_changes(find_changes(before, decay), before, decay, step=5) == (
        "changed at step 5: optimizer.weight_decay 0.1 -> 0.2"
    )


def test_a_config_of_an_earlier_version_can_be_changed(tmp_path: Path):
    made = config(tmp_path)
    run = start(made, tmp_path / "run", console=QUIET).run
    old = {**run.config, "training": {n: v for n, v in run.config["training"].items() if n != "health"}}
    shorter = Run(run.path, old)
    after = record_changes(shorter, find_changes(made, changed(made, "training.health.max_skips", 3)), step=6)
    assert after.config["training"]["health"] == {"max_skips": 3}
    assert not difference(old, earlier_configs(after)[0])
    assert json.loads((run.path / "config.json").read_text()) == after.config
