"""Weights that were broken before a step: they are named, with the checkpoint to go back to, and never called new."""

import io
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from tests.training.test_session_health import CONFIG, Lines, run_of, small_model, with_health

from groundup.configs import CheckpointConfig, TrainConfig
from groundup.errors import InputError
from groundup.training.going_back import way_back
from groundup.training.loop import fit
from groundup.training.run_folder import Run
from groundup.weights.manifest import MANIFEST, write_manifest

EVERY_TWO = replace(CONFIG, checkpoints=CheckpointConfig(every_steps=2, keep_last=20))


def poison(run: Run, step: int, part: str = "model") -> None:
    """Put a NaN into a checkpoint that stays intact by its checksums, as if it had been saved so."""
    folder = run.checkpoint(step)
    tensors = load_file(folder / f"{part}.safetensors")
    next(tensor for tensor in tensors.values() if tensor.ndim == 2)[0, 0] = math.nan
    save_file(tensors, folder / f"{part}.safetensors")
    (folder / MANIFEST).unlink()
    write_manifest(folder)


def trained(folder: Path, config: TrainConfig = EVERY_TWO, steps: int = 6) -> Run:
    """Return a run of ten steps whose checkpoints end at `steps`: 2, 4, 5 (the best), 6."""
    run = run_of(folder, config)
    fit(small_model(), Lines({}), config, run)
    for step in (step for step in run.checkpoint_steps() if step > steps):
        shutil.rmtree(run.checkpoint(step))
    return run


def stopped(run: Run, config: TrainConfig = EVERY_TWO) -> tuple[str, str]:
    """Return the line that the run stops with, and the page."""
    console = Console(file=io.StringIO(), width=110)
    with pytest.raises(InputError) as refusal:
        fit(small_model(), Lines({}), config, run, console=console)
    return str(refusal.value), console.file.getvalue()  # type: ignore[attr-defined]


def test_a_poisoned_checkpoint_is_named_with_the_last_good_one(tmp_path: Path):
    run = trained(tmp_path / "run")
    for step in (5, 6):
        poison(run, step)
    line, page = stopped(run)
    assert "at step 7: the weights were already not finite before this step (0.weight holds 1 NaN of 12); " in line
    assert f"go back to step-4, the last good checkpoint: move step-5, step-6 out of {run.checkpoints}, then" in line
    assert "take smaller steps" not in line + page
    assert "the weights were already not finite before this step" in page
    for step in (5, 6):  # as it says
        shutil.move(run.checkpoint(step), tmp_path)
    assert fit(small_model(), Lines({}), EVERY_TWO, run).step == 10


def test_without_a_good_one_a_new_run_is_the_advice(tmp_path: Path):
    run = trained(tmp_path / "run", steps=2)
    poison(run, 2)
    line, _ = stopped(run)
    assert f"{run.path} has no good checkpoint to go back to: start a new run, with a lower learning_rate" in line


def test_moments_that_are_broken_make_no_good_checkpoint(tmp_path: Path):
    run = trained(tmp_path / "run")
    poison(run, 6, "optimizer")
    line, _ = stopped(run)  # the first update breaks the weights, the second step finds them so
    assert "at step 8: the weights were already not finite before this step" in line
    assert "go back to step-5, the last good checkpoint: move step-6 out of" in line


def test_from_a_newest_one_that_is_good_smaller_steps_are_the_advice(tmp_path: Path):
    """An update has broken the weights since: the same learning rate would break them again."""
    run = trained(tmp_path / "run")
    found = way_back(run, 8)
    assert found.startswith("go back to step-6, the last good checkpoint, with smaller steps: groundup resume")
    assert way_back(run, 5).startswith("go back to step-4, ")  # for `replay`: only what was there before the step


def test_leaving_steps_out_does_not_help_and_is_not_tried(tmp_path: Path):
    config = replace(with_health(on_non_finite="skip"), checkpoints=EVERY_TWO.checkpoints)
    run = trained(tmp_path / "run", config)
    poison(run, 6)
    line, page = stopped(run, config)
    assert "at step 7: the weights were already not finite" in line
    assert "was left out" not in page
    assert run.checkpoint_steps() == [2, 4, 5, 6]


def test_an_evaluation_of_broken_weights_says_the_same(tmp_path: Path):
    run = trained(tmp_path / "run", steps=4)
    poison(run, 4)
    folder = run.checkpoint(4)
    folder.rename(run.checkpoint(5))
    told = json.loads((run.checkpoint(5) / "training.json").read_text()) | {"step": 5}
    (run.checkpoint(5) / "training.json").write_text(json.dumps(told))
    (run.checkpoint(5) / MANIFEST).unlink()
    write_manifest(run.checkpoint(5))
    line, _ = stopped(run)
    assert "found loss nan on validation text after step 5: the weights are not finite (0.weight holds" in line
    assert "go back to step-2, the last good checkpoint: move step-5 out of" in line


def test_a_damaged_checkpoint_is_no_way_back(tmp_path: Path):
    run = trained(tmp_path / "run", steps=4)
    (run.checkpoint(4) / "model.safetensors").write_bytes(b"x")
    assert way_back(run, 5).startswith("go back to step-2, the last good checkpoint, with smaller steps")
    assert torch.isfinite(load_file(run.checkpoint(2) / "model.safetensors")["0.weight"]).all()
