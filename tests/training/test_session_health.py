"""A session: numbers that are not finite stop it before the step or are left out and counted; advice is recorded."""

import io
import math
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from groundup.configs import CheckpointConfig, EvaluationConfig, HealthConfig, OptimizerConfig, TrainConfig
from groundup.errors import InputError
from groundup.training.advice_log import read_advice
from groundup.training.loop import fit
from groundup.training.metrics import read_metrics
from groundup.training.run_folder import Run

CONFIG = TrainConfig(
    steps=10,
    batch_size=4,
    device="cpu",
    log_every=1,
    optimizer=OptimizerConfig(name="adamw_by_hand"),
    evaluation=EvaluationConfig(every_steps=5),
    checkpoints=CheckpointConfig(every_steps=4, keep_last=20),
)


class Lines:
    """Fit a line through points; some steps have a point that no float can hold."""

    floor = None

    def __init__(self, poisoned: dict[int, float]) -> None:
        self.poisoned = poisoned

    def train_batch(self, step: int) -> Sequence[Tensor]:
        x = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(step))
        if step in self.poisoned:
            x[1, 0, 0] = self.poisoned[step]
        return list(x)

    def n_targets(self, batch: Tensor) -> int:
        return len(batch)

    def n_tokens(self, batch: Tensor) -> int:
        return self.n_targets(batch)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return (model(batch)[:, 0] - batch.sum(-1)).square().sum()

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"loss": float(self.loss(model, torch.ones(4, 3)).detach()) / 4}

    def sample(self, model: nn.Module, step: int) -> str:
        return ""

    def describe(self, batch: Tensor) -> str:
        return str(batch.tolist())


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def run_of(folder: Path, config: TrainConfig = CONFIG) -> Run:
    return Run.create(folder, config)


def with_health(**health: object) -> TrainConfig:
    return replace(CONFIG, health=HealthConfig(**health))


def weights(run: Run, step: int) -> bytes:
    return (run.checkpoint(step) / "model.safetensors").read_bytes()


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e30])  # 1e30 squared leaves the range of float32
def test_what_is_not_finite_stops_the_run_before_the_step(tmp_path: Path, value: float):
    config = replace(CONFIG, checkpoints=CheckpointConfig(every_steps=1, keep_last=20))
    healthy, broken = run_of(tmp_path / "healthy", config), run_of(tmp_path / "broken", config)
    fit(small_model(), Lines({}), config, healthy)
    with pytest.raises(InputError, match=r"^expected finite numbers, found loss (nan|inf) at step 8: .*replay"):
        fit(small_model(), Lines({7: value}), config, broken)
    assert broken.checkpoint_steps() == list(range(1, 8))
    assert weights(broken, 7) == weights(healthy, 7)
    assert (broken.path / "faults" / "step-8.txt").read_text().count("micro-batch 2 of 2") >= 1
    assert [r["step"] for r in read_metrics(broken.metrics) if r["kind"] == "train"] == list(range(1, 8))


def test_the_state_before_the_fault_is_saved_though_no_checkpoint_was_due(tmp_path: Path):
    run = run_of(tmp_path / "run")
    with pytest.raises(InputError, match="at step 7"):
        fit(small_model(), Lines({6: math.nan}), CONFIG, run)
    assert run.checkpoint_steps() == [4, 5, 6]  # 4 by steps, 5 the best evaluation, 6 the fault
    with pytest.raises(InputError, match="at step 7"):  # resumed, it breaks again
        fit(small_model(), Lines({6: math.nan}), CONFIG, run)


def test_a_step_is_left_out_and_counted(tmp_path: Path):
    config = with_health(on_non_finite="skip")
    console = Console(file=io.StringIO(), width=200)
    run = run_of(tmp_path / "run", config)
    outcome = fit(small_model(), Lines({2: math.nan, 6: math.inf}), config, run, console=console)
    assert (outcome.step, outcome.skipped) == (10, 2)
    train = {r["step"]: r for r in read_metrics(run.metrics) if r["kind"] == "train"}
    assert [step for step in range(1, 11) if step not in train] == [3, 7]
    assert ("skipped" in train[2], train[4]["skipped"], train[10]["skipped"]) == (False, 1, 2)
    assert "step 7 was left out: 2 of at most 10" in console.file.getvalue()  # type: ignore[attr-defined]
    assert (run.path / "faults" / "step-3.txt").exists()


def test_a_run_that_leaves_steps_out_resumes_to_the_bit(tmp_path: Path):
    config = with_health(on_non_finite="skip")
    whole, parts = run_of(tmp_path / "whole", config), run_of(tmp_path / "parts", config)
    fit(small_model(), Lines({2: math.nan, 6: math.inf}), config, whole)
    first = replace(config, steps=8)
    fit(small_model(), Lines({2: math.nan, 6: math.inf}), replace(first, steps=10), parts)
    for step in (10, 8, 5):  # the run is thrown back behind its second fault, and comes by it again
        for path in parts.checkpoint(step).iterdir():
            path.unlink()
        parts.checkpoint(step).rmdir()
    outcome = fit(small_model(), Lines({2: math.nan, 6: math.inf}), config, parts)
    assert outcome.skipped == 2
    assert weights(parts, 10) == weights(whole, 10)


def test_too_many_steps_left_out_stop_the_run(tmp_path: Path):
    config = with_health(on_non_finite="skip", max_skips=2)
    run = run_of(tmp_path / "run", config)
    with pytest.raises(InputError, match="at step 6"):
        fit(small_model(), Lines({1: math.nan, 3: math.nan, 5: math.nan}), config, run)


def test_advice_is_shown_and_recorded_once(tmp_path: Path):
    schedule = replace(CONFIG.schedule, warmup_steps=0)
    config = replace(with_health(watch_every=1), steps=60, learning_rate=1e-12, schedule=schedule)  # far too small
    console = Console(file=io.StringIO(), width=200)
    run = run_of(tmp_path / "run", config)
    fit(
        small_model(),
        Lines({}),
        replace(config, schedule=replace(config.schedule, warmup_steps=0)),
        run,
        console=console,
    )
    told = read_advice(run.health)
    assert [advice["kind"] for advice in told] == ["update_too_small"]
    assert told[0]["text"] in console.file.getvalue()  # type: ignore[attr-defined]


def test_monitoring_changes_no_bit(tmp_path: Path):
    watched, blind = with_health(watch_every=1), with_health(watch_every=0)
    runs = [run_of(tmp_path / str(i), config) for i, config in enumerate((watched, blind))]
    for run, config in zip(runs, (watched, blind), strict=True):
        fit(small_model(), Lines({}), config, run)
    assert weights(runs[0], 10) == weights(runs[1], 10)


def test_what_a_recipe_expects_is_said_at_its_evaluation_with_the_spikes_seen(tmp_path: Path):
    asked: list[tuple[int, int]] = []

    def expected(step: int, metrics: object, *, n_spikes: int) -> str | None:
        asked.append((step, n_spikes))
        return "just as expected" if step == 10 else None

    console = Console(file=io.StringIO(), width=200)
    run = run_of(tmp_path / "run")
    (run.path / "health.jsonl").write_text('{"step": 0, "kind": "spike"}\n{"step": 0, "kind": "dead"}\n')
    fit(small_model(), Lines({}), CONFIG, run, console=console, expected=expected)
    assert asked == [(5, 1), (10, 1)]
    assert console.file.getvalue().count("just as expected") == 1  # type: ignore[attr-defined]


def test_a_run_whose_first_steps_were_all_left_out_resumes(tmp_path: Path):
    config = replace(with_health(on_non_finite="skip"), checkpoints=CheckpointConfig(every_steps=2, keep_last=20))
    task = Lines({0: math.nan, 1: math.nan})
    whole, parts = run_of(tmp_path / "whole", config), run_of(tmp_path / "parts", config)
    for run in (whole, parts):
        fit(small_model(), task, config, run)
    for step in (step for step in parts.checkpoint_steps() if step > 2):  # thrown back to where nothing was learned
        shutil.rmtree(parts.checkpoint(step))
    assert fit(small_model(), task, config, parts).skipped == 2
    assert weights(parts, 10) == weights(whole, 10)


def test_a_part_that_gets_no_gradient_does_not_stand_in_the_way_of_a_resume(tmp_path: Path):
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = small_model(), nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    run = run_of(tmp_path / "run")
    fit(Spare(), Lines({}), CONFIG, run)
    whole = weights(run, 10)
    for step in (10, 8):
        for path in run.checkpoint(step).iterdir():
            path.unlink()
        run.checkpoint(step).rmdir()
    fit(Spare(), Lines({}), CONFIG, run)
    assert weights(run, 10) == whole
