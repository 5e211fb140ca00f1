"""The list of checkpoints: loss, size, best, marked, damaged; and the command that shows and marks them."""

from pathlib import Path

import pytest
from rich.console import Console
from tests.training.killed_runs import config, write_corpus

from groundup.cli.main import main
from groundup.training.checkpoint_list import list_checkpoints
from groundup.training.launch import start
from groundup.training.run_folder import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return start(config(write_corpus(tmp_path)), tmp_path / "run", console=Console(quiet=True)).run


def test_what_a_run_has_and_what_is_damaged(run: Run, capsys: pytest.CaptureFixture[str]):
    last, before = run.checkpoint(12), run.checkpoint(11)
    listed = {one.name: one for one in list_checkpoints(run)}
    assert [*listed] == [f"step-{step}" for step in run.checkpoint_steps()]
    assert run.best is not None
    assert listed[f"step-{run.best.step}"].loss == run.best.metrics["loss"]
    assert "best" in listed[f"step-{run.best.step}"].remarks
    assert listed["step-5"].remarks == listed["step-10"].remarks == ("marked",)
    assert (listed["step-11"].loss, listed["step-11"].remarks) == (None, ())  # not evaluated there
    assert listed["step-11"].n_bytes == sum(path.stat().st_size for path in before.iterdir())

    (before / "model.safetensors").write_bytes(b"")
    last.rename(last.with_name("step-12.damaged"))
    (run.path / "best.json").write_text("x")
    assert main(["checkpoints", str(run.path)]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert f"damaged: expected {before / 'model.safetensors'} as it was saved, found 0 bytes" in rows["step-11"]
    assert rows["step-12.damaged"].endswith("set aside by groundup resume; remove it when you like")


def test_marks_by_hand(run: Run, capsys: pytest.CaptureFixture[str]):
    assert main(["checkpoints", str(run.path), "--mark", "11", "12", "--unmark", "5"]) == 0
    rows = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["step-11"].endswith("marked")
    assert rows["step-12"].endswith("marked")
    assert not rows["step-5"].endswith("marked")
    assert main(["checkpoints", str(run.path), "--mark", "7"]) == 2
    said = capsys.readouterr().err
    assert f"expected a checkpoint to mark at {run.checkpoint(7)}, found: No such file" in said
    assert said.count("\n") == 1


def test_a_run_without_checkpoints(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = Run.create(tmp_path / "run", config(tmp_path / "no.txt"))
    assert main(["checkpoints", str(run.path)]) == 0
    assert f"no checkpoints yet in {run.path}: groundup resume {run.path}" in capsys.readouterr().out
