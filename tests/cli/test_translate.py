"""groundup translate: texts, files and standard input; a line for each; what is refused, in one line."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from tests.training.small_translation import config

from groundup.cli.main import main
from groundup.training import kinds

FAST = ["--strategy", "greedy", "--max-new-tokens", "5"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = config()
    made = replace(made, training=replace(made.training, steps=2))
    return kinds.start(made, tmp_path_factory.mktemp("run") / "mine", console=Console(quiet=True)).run.path


def test_texts_files_and_standard_input_say_the_same(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    texts = ["abc", "", "zz"]
    assert main(["translate", str(run), *texts, *FAST]) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 3
    assert said.out.splitlines()[1] == ""
    assert said.err == "1 of 3 lines are empty, and stay so\n"
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"{text}\n" for text in texts))
    assert main(["translate", str(run), "--file", str(file), *FAST]) == 0
    assert capsys.readouterr().out == said.out
    monkeypatch.setattr("sys.stdin", io.StringIO(file.read_text()))
    assert main(["translate", str(run), "-", *FAST, "--out", str(tmp_path / "out.txt")]) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "out.txt").read_text() == said.out


def test_beams_cuts_and_an_alignment(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    picture = tmp_path / "alignment.png"
    assert main(["translate", str(run), "ab", "--max-new-tokens", "4", "--alignment", str(picture)]) == 0
    assert capsys.readouterr().err == f"alignment in {picture}\n"
    assert picture.stat().st_size > 1_000
    assert main(["translate", str(run), "ab", "--max-new-tokens", "4", "--beam.n-best", "2"]) == 0
    assert capsys.readouterr().out.count("\n") == 3
    assert main(["translate", str(run), "a" * 30, *FAST]) == 0
    assert "1 of 1 texts have more than 22 tokens: what is beyond was not read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["RUN"], "expected texts or --file FILE, found neither"),
        (["RUN", "a", "--file", "x"], "expected texts or --file FILE, found both"),
        (["RUN", ""], "expected texts to translate, found none in what was given"),
        (["RUN", "--file", "nothing.txt"], "expected lines of text that can be read, found nothing.txt"),
        (["RUN", "a", "b", "--alignment", "x.png"], "expected one text with --alignment"),
        (["RUN", "a", "--alignment", "x.gif"], "expected --alignment FILE.png, found x.gif"),
        (["RUN", "a", "--n-top", "2"], "expected no --n-top"),
        (["RUN", "a", "--no-use-cache"], "no-use-cache"),
        (["RUN", "a", "--out", "RUN/config.json"], "expected a new file for --out"),
        (["nothing", "a"], "expected the folder of a run, found nothing at nothing: groundup train multi30k-en-de"),
    ],
)
def test_bad_input_is_one_line(run: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], found: str):
    assert main(["translate", *(word.replace("RUN", str(run)) for word in arguments)]) == 2
    said = capsys.readouterr().err
    assert found in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", ["generate", "chat", "plan", "profile", "quantize", "replay", "classify"])
def test_other_commands_refuse_such_a_run(run: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]):
    more = {"replay": ["--step", "1"], "classify": ["x"], "quantize": ["--out", str(tmp_path / "new")]}
    assert main([command, str(run), *more.get(command, [])]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "a model that translates" in said


def test_another_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    from groundup.configs import RunConfig
    from groundup.training.run_folder import Run

    Run.create(tmp_path / "run", RunConfig())
    assert main(["translate", str(tmp_path / "run"), "a"]) == 2
    said = capsys.readouterr().err
    assert "expected a run of a model that translates, found" in said
    assert "of a language model from scratch: groundup generate" in said


def test_resume_goes_on_and_says_what_uses_it(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["resume", str(run), "--training.steps", "3"]) == 0
    assert f'next: groundup translate {run} "a text"' in capsys.readouterr().out
    assert main(["resume", str(run), "--label-smoothing", "0.3"]) == 2
