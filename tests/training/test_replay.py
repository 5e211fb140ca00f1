"""Taking steps of a run again: the recorded figures come back bit for bit, and the run stays as it is."""

import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from groundup.configs import (
    CheckpointConfig,
    ComputeConfig,
    DataConfig,
    EvaluationConfig,
    GPTConfig,
    HealthConfig,
    OptimizerConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
)
from groundup.errors import InputError
from groundup.training.early_stopping import EarlyStopping
from groundup.training.launch import resume, start
from groundup.training.metrics import read_metrics
from groundup.training.preparation import build_model, build_task, prepare_data
from groundup.training.replay import Replayed, replay
from groundup.training.run_folder import Run
from groundup.training.state import TrainingState, restore_state, save_state
from groundup.training.step import Stepper

TEXT = "the quick brown fox jumps over the lazy dog.\n" * 40


def config(folder: Path, **training: object) -> RunConfig:
    (folder / "text.txt").write_text(TEXT)
    told = {
        "steps": 12,
        "batch_size": 2,
        "accumulation_steps": 2,
        "device": "cpu",
        "log_every": 2,
        "evaluation": EvaluationConfig(every_steps=6, max_tokens=64, sample_tokens=4),
        "checkpoints": CheckpointConfig(every_steps=4, keep_last=9),
    }
    return RunConfig(
        data=DataConfig(corpus=str(folder / "text.txt")),
        model=GPTConfig(context_length=16, d_model=16, n_layers=2, n_heads=2, dropout=0.2),
        training=TrainConfig(**{**told, **training}),
    )


def quiet() -> Console:
    return Console(quiet=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    return start(config(folder), folder / "run", console=quiet()).run


def again(run: Run, step: int) -> tuple[Replayed, str]:
    """Replay a step; return what was found and shown. The run's files must stay as they are."""
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in run.path.rglob("*")}
    shown = io.StringIO()
    torch.manual_seed(0)
    generator = torch.get_rng_state()
    found = replay(run.path, step, console=Console(file=shown, width=100))
    assert torch.equal(torch.get_rng_state(), generator)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in run.path.rglob("*")} == before
    return found, shown.getvalue()


@pytest.mark.parametrize(
    ("step", "began_at", "n_compared"), [(12, 8, 2), (10, 8, 1), (8, 6, 1), (6, 4, 1), (2, 0, 2), (1, 0, 1)]
)
def test_a_recorded_step_comes_back_bit_for_bit(run: Run, step: int, began_at: int, n_compared: int):
    record = next(one for one in read_metrics(run.metrics) if (one["kind"], one["step"]) == ("train", step))
    found, shown = again(run, step)
    assert (found.report.step, found.began_at, found.n_compared) == (step, began_at, n_compared)
    assert found.is_reproduced
    assert found.report.loss == record["loss"]
    assert found.report.gradient_norm == record["gradient_norm"]
    assert found.report.learning_rate == record["learning_rate"]
    assert f"reproduced: step {step} has the recorded loss and gradient norm, bit for bit" in shown
    assert (f"beginning from {run.checkpoint(began_at)}" in shown) == (began_at > 0)
    assert ("beginning from the initial weights" in shown) == (began_at == 0)
    assert "row 1  " in shown


def test_a_step_without_a_record_is_vouched_for_by_those_on_the_way(run: Run):
    found, shown = again(run, 11)
    assert (found.is_recorded, found.n_compared, found.is_reproduced) == (False, 1, True)
    assert "metrics.jsonl has no record of step 11; 1 recorded step on the way came out the same, bit for bit" in shown
    found, shown = again(run, 9)
    assert (found.n_compared, found.is_reproduced) == (0, None)
    assert "no record of step 9, nor of any on the way: not compared" in shown


def test_what_does_not_come_back_is_said(tmp_path: Path):
    made = start(config(tmp_path), tmp_path / "run", console=quiet()).run
    records = [json.loads(line) for line in made.metrics.read_text().splitlines()]
    for record in records:
        if (record["kind"], record["step"]) == ("train", 10):
            record["loss"] = math.nextafter(record["loss"], 9.0)  # the last bit
    made.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    found, shown = again(made, 12)
    assert found.is_reproduced is False
    assert list(found.unlike) == [10]
    assert re.search(r"not reproduced: at step 10 loss was 3\.\d+ and is 3\.\d+ \(another version", shown)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path):
    made = start(config(tmp_path), tmp_path / "run", console=quiet()).run
    (made.checkpoint(8) / "model.safetensors").write_bytes(b"")
    found, shown = again(made, 10)
    assert (found.began_at, found.is_reproduced) == (6, True)  # the best so far was saved there
    assert "model.safetensors" in shown
    assert "going further back" in shown


def test_a_run_that_went_on_with_another_config_is_followed(tmp_path: Path):
    first = config(tmp_path)
    made = start(first, tmp_path / "run", console=quiet()).run
    second = replace(
        first,
        training=replace(
            first.training,
            steps=16,
            learning_rate=3e-3,
            batch_size=4,
            accumulation_steps=1,
            optimizer=OptimizerConfig(weight_decay=0.5),
        ),
    )
    resume(made.path, config=second, console=quiet())
    made = Run.open(made.path)
    for step in (10, 12, 14, 16):
        assert again(made, step)[0].is_reproduced, step
    (made.checkpoint(12) / "manifest.json").unlink()  # so that it begins before the change
    found, _ = again(made, 13)
    assert (found.began_at, found.n_compared, found.is_reproduced) == (8, 2, True)
    found, _ = again(made, 14)
    assert (found.began_at, found.n_compared, found.is_reproduced) == (8, 3, True)


def broken(folder: Path, **training: object) -> Run:
    """Return a run whose checkpoint of step 4 holds an infinite weight, as if it had stopped there."""
    made = start(config(folder, **training), folder / "run", console=quiet()).run
    chosen = made.read_config(RunConfig)
    prepared = prepare_data(made, chosen.data)
    model = build_model(chosen.model, prepared.tokenizer, seed=1)
    stepper = Stepper(model, build_task(chosen, prepared), chosen.training, torch.device("cpu"))
    restore_state(made.checkpoint(4), model, stepper.optimizer, EarlyStopping(None), config=made.config)
    model.blocks[1].feed_forward.down.weight.data[0, 0] = math.inf
    for step in made.checkpoint_steps():
        for file in made.checkpoint(step).iterdir():
            file.unlink()
        made.checkpoint(step).rmdir()
    state = TrainingState(stopping=EarlyStopping(None), step=4)
    save_state(made.checkpoint(4), model, stepper.optimizer, state, config=made.config)
    return made


def test_a_step_that_was_not_finite_is_taken_apart(tmp_path: Path):
    made = broken(tmp_path)
    found, shown = again(made, 5)
    assert found.report.cause is not None
    assert found.report.cause.module == "blocks.1.feed_forward.down"
    assert "step 5: the loss is not finite" in shown
    assert "blocks.1.feed_forward.down (Linear) gave the first numbers that are not finite" in shown
    with pytest.raises(InputError, match=r"found loss nan, gradient norm nan at step 5: groundup replay .* --step 5$"):
        replay(made.path, 7, console=quiet())


def test_the_fault_that_stopped_a_run_comes_again(tmp_path: Path):
    # Far too high a rate: the first update takes the weights to where their products leave the range of float32.
    schedule = ScheduleConfig(name="constant", warmup_steps=0)
    diverging = config(tmp_path, learning_rate=1e18, schedule=schedule, evaluation=EvaluationConfig(every_steps=100))
    with pytest.raises(InputError, match=r"loss nan at step 2: .*groundup replay .*run --step 2$"):
        start(diverging, tmp_path / "run", console=quiet())
    made = Run.open(tmp_path / "run")
    found, shown = again(made, 2)
    assert (found.began_at, found.is_recorded, found.is_reproduced) == (1, True, True)
    assert "reproduced: step 2 breaks as it did in the run, in the same place" in shown

    report = made.path / "faults" / "step-2.json"
    told = json.loads(report.read_text())
    report.write_text(json.dumps({**told, "cause": {**told["cause"], "module": "blocks.7"}}))
    found, shown = again(made, 2)
    assert found.is_reproduced is False
    assert "not reproduced: at step 2 step-2.json says loss nan, forward in blocks.7, and now it is loss nan" in shown
    with pytest.raises(InputError, match="on the way to step 3, found loss nan"):
        replay(made.path, 3, console=quiet())


def test_skipped_steps_are_skipped_again(tmp_path: Path):
    found, _ = again(broken(tmp_path, health=HealthConfig(on_non_finite="skip")), 7)
    assert (found.began_at, found.report.step) == (4, 7)
    assert found.report.cause is not None


def test_steps_before_a_change_of_precision_and_threads_compute_as_they_did(tmp_path: Path):
    begun = config(tmp_path, precision="auto", log_every=1, compute=ComputeConfig(threads=1, linear="default"))
    made = Run.create(tmp_path / "run", begun)
    told = {"precision": "bfloat16", "threads": 1, "linear": "default", "gain": 2.0}
    (made.path / "compute.json").write_text(json.dumps(told))  # as if it had been measured
    resume(made.path, console=quiet())
    other = replace(begun.training, steps=14, precision="float32", compute=ComputeConfig(threads=2, linear="default"))
    resume(made.path, config=replace(begun, training=other), console=quiet())
    assert json.loads((made.path / "compute.json").read_text())["precision"] == "float32"
    for step in (3, 12, 14):
        found, _ = again(made, step)
        assert found.is_reproduced is True


def test_the_report_is_written_where_asked(run: Run, tmp_path: Path):
    replay(run.path, 3, write=tmp_path / "new" / "place", console=quiet())
    assert json.loads((tmp_path / "new/place/step-3.json").read_text())["step"] == 3
    assert (tmp_path / "new/place/step-3.txt").read_text().startswith("step 3 is healthy")


@pytest.mark.parametrize("step", [-1, 0, 13, 10**9])
def test_a_step_that_the_run_has_not_taken(run: Run, step: int):
    with pytest.raises(InputError, match=rf"expected a step of the run from 1 to 12, .*found {step}: "):
        replay(run.path, step, console=quiet())


def test_what_is_no_run_or_has_no_steps(tmp_path: Path):
    with pytest.raises(InputError, match="expected the folder of a run, found nothing"):
        replay(tmp_path / "nothing", 1, console=quiet())
    made = Run.create(tmp_path / "killed", config(tmp_path))  # killed before anything else was written
    with pytest.raises(InputError, match=r"expected a run that has taken a step, found .*killed"):
        replay(made.path, 1, console=quiet())


def test_a_run_without_its_tokens(tmp_path: Path):
    made = start(config(tmp_path), tmp_path / "run", console=quiet()).run
    for file in sorted(made.tokens.iterdir()):
        file.unlink()
    made.tokens.rmdir()
    with pytest.raises(InputError, match=r"expected the tokens of .*found none"):
        replay(made.path, 3, console=quiet())
    assert not made.tokens.exists()
