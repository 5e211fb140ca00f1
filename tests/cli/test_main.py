"""The command line as a person meets it: help, versions, and one line for every mistake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from groundup.cli.main import COMMANDS, main
from groundup.recipes import RECIPES


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must be refused: exit code 2, one line on standard error, nothing on standard output."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1, said.err
    assert said.err.startswith("groundup: ")
    assert "Traceback" not in said.err
    return said.err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]):
    assert main([]) == main(["--help"]) == 0
    said = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]):
    try:
        code = main([name, "--help"])
    except SystemExit as stop:
        code = stop.code
    assert code == 0
    assert f"usage: groundup {name}" in capsys.readouterr().out


def test_train_lists_every_recipe(capsys: pytest.CaptureFixture[str]):
    assert main(["train"]) == 0
    said = capsys.readouterr().out
    for name in RECIPES:
        assert name in said


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["trian"], "unknown command 'trian': known are demo, train"),
        (["train", "shakespear"], "unknown recipe 'shakespear': known are tales, shakespeare-char"),
        (["train", "tales", "--training.lerning-rate", "1"], "--training.lerning-rate"),
        (["train", "tales", "--training.lerning-rate", "1"], "perhaps --training.learning-rate"),
        (["train", "tales", "--training.step", "5"], "perhaps --training.steps"),
        (
            ["train", "tales", "--training.learning-rate", "fast"],
            "--training.learning-rate: expected a number, found 'fast'",
        ),
        (["train", "tales", "--training.steps", "1.5"], "--training.steps: expected a whole number, found '1.5'"),
        (["checkpoints", "somewhere", "--mark", "best"], "--mark: cannot take 'best'"),
        (["plan", "nowhere"], "expected a recipe or the folder of a run, found 'nowhere': recipes are tales"),
        (["plan", "tales", "--memory", "8"], "expected --memory with its unit, such as 8GB or 500MB, found 8"),
        (["verify-resume", "tales", "--training.steps", "9"], "expected --steps N, which takes the place of training"),
        (["train", "tales", "--training.learning-rate", "-1"], "--training.learning-rate must be above 0, found -1.0"),
        (["train", "tales", "--model.n-heads", "5"], "must be a multiple of n_heads=5, found 128"),
        (["train", "tales", "--model.norm", "batch"], "batch"),
        (["generate"], "run"),
        (["generate", "somewhere", "--temperature", "0"], 'greedy decoding is strategy="greedy"'),
        (["resume", "runs/does-not-exist"], "runs/does-not-exist"),
        (["generate", "runs/does-not-exist"], "runs/does-not-exist"),
        (["evaluate", "runs/does-not-exist"], "runs/does-not-exist"),
        (["evaluate", "somewhere", "--max-tokens", "0"], "--max-tokens must be at least 1, found 0"),
        (["generate", "somewhere", "--samples", "0"], "--samples must be at least 1, found 0"),
        (["data", "no-such-corpus"], "no-such-corpus"),
        (["data", ""], "expected a known corpus (shakespeare, tales) or the path of a text file or folder, found ''"),
        (["data", "tales", "--characters", "-5"], "--characters must be at least 1, found -5"),
        (["verify", "cellar"], "rooms with proofs are"),
        (["doctor", "--fast"], "--fast"),
    ],
)
def test_a_mistake_gets_one_line(
    arguments: list[str],
    found: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    assert found in refused(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []  # a refused command leaves nothing behind


def test_a_terminal_that_cannot_spell_a_character_shows_a_question_mark(tmp_path: Path):
    (tmp_path / "text.txt").write_text("naïve €", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "groundup", "data", str(tmp_path / "text.txt")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "na?ve ?\n", "")


def test_debug_shows_the_traceback():
    code = "from groundup.cli.main import main; main(['--debug', 'train', 'nothing'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_the_installed_command_is_this_one():
    done = subprocess.run([sys.executable, "-m", "groundup", "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("groundup 0.")
