"""`groundup plan` and the check that `groundup train` makes first, as a person meets them."""

from dataclasses import replace
from pathlib import Path

import pytest

from groundup.cli.main import main
from groundup.planning import fitting
from groundup.recipes import recipe
from groundup.training.run_folder import Run


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    return said.err


def test_arithmetic_needs_no_corpus(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    options = ["--no-trial", "--memory", "8GB", "--training.device", "cpu", "--data.corpus", "not-there.txt"]
    assert main(["plan", "tales", *options]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for title in ("Parameters", "Compute", "Memory", "Time"):
        assert f"\n{title} " in said.out
    assert "of 8.00 GB as asked for" in said.out
    assert list(tmp_path.iterdir()) == []


def test_fields_can_be_set_as_for_train(capsys: pytest.CaptureFixture[str]):
    found = []
    for layers in ("2", "4"):
        assert main(["plan", "tales", "--no-trial", "--memory", "9GB", "--model.n-layers", layers]) == 0
        found.append(capsys.readouterr().out)
    assert "4 layers, 128 wide" in found[1]
    assert found[0] != found[1]


def test_recipes_are_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["plan"]) == 0
    assert "shakespeare-char" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["plan", "talse"], "expected a recipe or the folder of a run, found 'talse'"),
        (["plan", "tales", "--memory", "lots", "--no-trial"], "expected an amount of memory such as 8GB or 500MB"),
        (["plan", "tales", "--memory", "500MB", "--no-trial"], "expected a run that fits in 500 MB of memory"),
        (["plan", "tales", "--no-trail"], "--no-trial"),
        (["plan", "tales", "--no-trial", "--model.n-heads", "5"], "must be a multiple of n_heads=5"),
    ],
)
def test_a_mistake_gets_one_line(arguments: list[str], found: str, capsys: pytest.CaptureFixture[str]):
    assert found in refused(capsys, *arguments)


def test_train_refuses_what_cannot_fit_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fitting, "available_memory", lambda: 1_000_000_000)
    options = ["--training.device", "cpu", "--training.batch-size", "256"]
    said = refused(capsys, "train", "tales", *options)
    assert said.startswith("groundup: expected a run that fits in 1.00 GB of memory, found one that needs about ")
    assert "--training.batch-size" in said
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_planned_by_its_own_config(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    config = recipe("tales")
    Run.create(tmp_path / "run", replace(config, model=replace(config.model, n_layers=3)))
    assert main(["plan", str(tmp_path / "run"), "--no-trial", "--memory", "9GB"]) == 0
    assert "3 layers, 128 wide" in capsys.readouterr().out
    said = refused(capsys, "train", str(tmp_path / "run"))
    assert f"found the run {tmp_path / 'run'}: go on with it by groundup resume" in said
    assert "found no readable config.json" in refused(capsys, "plan", str(tmp_path))
