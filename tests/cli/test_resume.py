"""`groundup resume RUN`: what it changes, what it refuses, and in which words."""

import pytest
from rich.console import Console
from tests.training.killed_runs import config, write_corpus

from groundup.cli.main import main
from groundup.training.launch import start
from groundup.training.run_folder import Run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("corpus")
    return start(config(write_corpus(folder)), folder / "run", console=Console(quiet=True)).run


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["resume", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1, said.err
    return said.err


def test_a_run_that_is_done_says_so_and_changes_nothing(run: Run, capsys: pytest.CaptureFixture[str]):
    def state() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in run.path.rglob("*") if path.name != ".lock"}

    before = state()
    assert main(["resume", str(run.path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert state() == before
    assert len(said) == 4
    assert said[0].startswith(f"nothing is left to do: {run.path} ended at step 12: loss ")
    assert said[1] == f"to go on all the same: groundup resume {run.path} --training.steps N, with N above 12"


def test_more_steps_are_stated(run: Run, capsys: pytest.CaptureFixture[str]):
    assert main(["resume", str(run.path), "--training.steps", "14", "--training.log-every", "2"]) == 0
    said = capsys.readouterr().out
    assert "changed at step 12: steps 12 -> 14, log_every 1 -> 2; the next learning rate is " in said
    assert "after 14 steps" in said


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--model.d-model", "32"], "found --model.d-model, which cannot change: its weights are of this model"),
        (["--data.corpus=x"], "found --data.corpus, which cannot change: the run's tokens are made; start a new run"),
        (["--training.seed", "7"], "expected training.seed to stay 1337, found 7"),
        (["--training.step", "20"], "perhaps --training.steps"),
        (["--training.steps", "3"], "expected training.steps above the "),
        (["--training.steps", "-3"], "--training.steps must be at least 1, found -3"),
        (["--out", "elsewhere"], "--out"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], found: str
):
    assert main(["resume", str(run.path), *arguments]) == 2
    said = capsys.readouterr()
    assert found in said.err
    assert (said.err.count("\n"), said.out) == (1, ""), "refused first, not after a page"


def test_the_run_comes_first(run: Run, capsys: pytest.CaptureFixture[str]):
    found = refused(capsys, "--training.steps", "20", str(run.path))
    assert f"expected the run first: groundup resume {run.path} [OPTIONS]" in found
    assert "Folder of the run" in refused(capsys)
    assert "found nothing at nowhere" in refused(capsys, "nowhere", "--training.steps", "20")


def test_help_shows_the_values_of_the_run(run: Run, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["resume", str(run.path), "--help"])
    said = capsys.readouterr().out
    assert "0.01" in said  # this run's learning rate
    assert "--model.d-model" not in said  # what cannot change is not offered
