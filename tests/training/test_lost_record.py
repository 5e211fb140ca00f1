"""A run that computes on: as it began, by the reference where nobody noted how, or measured anew where it is asked."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console
from tests.training.killed_runs import config, write_corpus

from groundup.configs import ComputeConfig, RunConfig, TrainConfig
from groundup.training import compute
from groundup.training.compute import RECORD, Choice
from groundup.training.launch import resume, start
from groundup.training.lost_record import by_reference, lacks_record
from groundup.training.run_folder import Run

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    return start(config(write_corpus(folder)), folder / "run", console=Console(quiet=True)).run.path


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose machine would now choose bfloat16, if it were asked."""
    chosen = Choice(precision="bfloat16", threads=1, linear="default")
    monkeypatch.setattr(compute, "_chosen", lambda *given: (chosen, "measured"))
    return Run.open(Path(shutil.copytree(made, tmp_path / "run")))


def resumed(run: Run, **training: object) -> tuple[str, dict[str, object]]:
    """Go on for two more steps; return what was shown, and compute.json."""
    before = run.read_config(RunConfig)
    console = Console(file=io.StringIO(), width=200)
    after = replace(before, training=replace(before.training, steps=14, **training))
    resume(run.path, config=after, console=console)
    return console.file.getvalue(), json.loads((run.path / RECORD).read_text())  # type: ignore[attr-defined]


def test_what_is_noted_is_kept(run: Run):
    assert not lacks_record(run)
    shown, record = resumed(run)
    assert "(too little work for more" not in shown
    assert "as before)" in shown
    assert record["precision"] == "float32"


@pytest.mark.parametrize("text", [None, "{"])
def test_what_nobody_noted_is_the_reference_and_no_measurement(run: Run, text: str | None):
    (run.path / RECORD).unlink() if text is None else (run.path / RECORD).write_text(text)
    assert lacks_record(run)
    shown, record = resumed(run)
    found = "is missing" if text is None else f"is damaged, and was set aside as {RECORD}.damaged"
    assert f"{run.path / RECORD} {found}: nothing is measured anew in the middle of a run" in shown
    assert (record["precision"], record["linear"], record["threads"]) == ("float32", "default", 1)
    assert "how to compute is chosen anew" not in shown
    assert not lacks_record(run)


def test_what_the_config_gives_is_not_lost(run: Run):
    (run.path / RECORD).unlink()
    given = TrainConfig(precision="bfloat16", compute=ComputeConfig(threads=2, linear="default"))
    assert by_reference(run, given, CPU) == given
    half = by_reference(run, TrainConfig(precision="bfloat16"), CPU)
    assert (half.precision, half.compute) == ("bfloat16", ComputeConfig(threads=1, linear="default"))


def test_on_a_gpu_the_device_decides(run: Run):
    (run.path / RECORD).unlink()
    assert by_reference(run, TrainConfig(), torch.device("cuda")) == TrainConfig()


def test_a_run_that_has_not_begun_lacks_nothing(tmp_path: Path):
    assert not lacks_record(Run.create(tmp_path / "run", RunConfig()))


def test_auto_on_resume_is_a_change_and_measured(run: Run):
    resumed(run, precision="float32")
    before = run.read_config(RunConfig)
    console = Console(file=io.StringIO(), width=200)
    again = Run.open(run.path).read_config(RunConfig)
    after = replace(again, training=replace(again.training, steps=16, precision="auto"))
    resume(run.path, config=after, console=console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert before.training.precision == "auto"
    assert "precision float32 -> auto; " in shown
    assert "how to compute is measured anew" in shown
    assert "bfloat16, 1 thread, default linears (measured)" in shown
    assert json.loads((run.path / RECORD).read_text())["precision"] == "bfloat16"
    last = json.loads(run.history.read_text().splitlines()[-1])
    assert last["compute"]["precision"] == "float32"  # for replay: what the steps before were taken with
