"""What every command says to the folder of a fine-tuning run: it does the right thing, or names what does."""

import io
import json
import os
from pathlib import Path

import pytest
from rich.console import Console
from tests.finetuning.small_runs import STEPS, classify_config

from groundup.cli.main import main
from groundup.finetuning import results
from groundup.finetuning.launch import finetune
from groundup.resolve import open_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finetuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "draw_classification", lambda *args, **named: None)  # longer than all the training
        finetune(classify_config(folder), folder / "run", open_base=open_model, console=Console(quiet=True))
    return folder / "run"


@pytest.mark.parametrize("command", ["evaluate", "replay", "plan", "profile", "verify-resume"])
def test_commands_for_runs_of_train_say_so(run: Path, command: str, capsys: pytest.CaptureFixture[str]):
    assert main([command, str(run), *(["--step", "3"] if command == "replay" else [])]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"found {run}, of a tuned classifier: " in said
    assert f"groundup report {run}" in said


@pytest.mark.parametrize("command", ["generate", "chat"])
def test_a_classifier_does_not_write(run: Path, command: str, capsys: pytest.CaptureFixture[str]):
    assert main([command, str(run)]) == 2
    assert f"which labels texts: groundup classify {run}" in capsys.readouterr().err


def test_a_run_that_is_done_says_so(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["resume", str(run)]) == 0
    said = capsys.readouterr().out
    assert f"nothing is left to do: {run} ended at step {STEPS}: best validation loss " in said
    assert f"groundup resume {run} --training.steps N, with N above {STEPS}" in said
    assert f"next: groundup classify {run}" in said


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--training.seed", "7"], "expected training.seed to stay 1337, found 7"),
        (["--head.pooling", "mean"], "found --head.pooling, which cannot change: it is part of what was trained"),
        (["--lora.rank", "4"], "Unrecognized options: --lora.rank"),
    ],
)
def test_what_a_resume_cannot_change(run: Path, arguments: list[str], found: str, capsys: pytest.CaptureFixture[str]):
    assert main(["resume", str(run), *arguments]) == 2
    said = capsys.readouterr().err
    assert found in said
    assert "groundup train" not in said


def test_texts_are_labelled_with_or_without_space_around_them(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    assert main(["classify", str(run), "a good thing", "  a good thing\t", "--json"]) == 0
    one, other = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert one == other
    assert one["label"] in ("no", "yes")
    assert sum(one["probabilities"].values()) == pytest.approx(1.0, abs=2e-6)  # each is rounded to six places
    monkeypatch.setattr("sys.stdin", io.StringIO(f"a good thing{os.linesep}a bad thing\r\n"))
    assert main(["classify", str(run), "-"]) == 0
    lines = capsys.readouterr().out
    assert main(["classify", str(run), "a good thing", "a bad thing"]) == 0
    assert lines == capsys.readouterr().out  # of each line what of the text itself
    assert lines.count("\n") == 2


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], "expected texts or --file FILE, found neither"),
        (["a", "--file", "b.tsv"], "found both"),
        (["a", "--out", "b"], "expected --file FILE with --out"),
        ([" "], "expected texts to label, found 1 empty"),
        (["--file", "b.txt"], "expected a labelled corpus"),
    ],
)
def test_a_mistake_is_one_line(run: Path, arguments: list[str], found: str, capsys: pytest.CaptureFixture[str]):
    assert main(["classify", str(run), *arguments]) == 2
    said = capsys.readouterr().err
    assert found in said
    assert said.count("\n") == 1


def test_a_labelled_file_is_measured(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    texts = tmp_path / "more.tsv"
    texts.write_text("label\ttext\n" + "".join(f"{'yes' if i % 2 else 'no'}\tthing {i}\n" for i in range(6)))
    assert main(["classify", str(run), "--file", str(texts)]) == 0
    said = capsys.readouterr()
    assert "6 texts" in said.out
    assert said.err == ""
    texts.write_text("label\ttext\nmaybe\tthing\nno\tthing 2\n")
    assert main(["classify", str(run), "--file", str(texts)]) == 2
    assert "found 'maybe'" in capsys.readouterr().err


def test_texts_that_the_run_knows_are_counted(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    texts = run.parent / "texts.tsv"  # 56 of 80 to learn from, 8 for validation
    assert main(["classify", str(run), "--file", str(texts)]) == 0
    said = "of these 80 texts the run learned 56, and chose its best weights by 8: figures of such texts prove little"
    assert capsys.readouterr().err == f"{said}\n"
    (tmp_path / "one.tsv").write_text("text\tlabel\n \tno\nthing\tno\n")
    kept = texts.read_text()
    texts.unlink()
    assert main(["classify", str(run), "--file", str(tmp_path / "one.tsv")]) == 0
    left_out, unknown = capsys.readouterr().err.splitlines()
    assert left_out == f"1 empty text left out of {tmp_path / 'one.tsv'}"
    assert unknown.startswith("whether the run learned some of these texts is not known: expected a labelled corpus")
    texts.write_text(kept)


def test_a_classifier_that_is_not_there_names_the_command_that_makes_one(tmp_path: Path, capsys):
    assert main(["classify", str(tmp_path / "nothing"), "a text"]) == 2
    assert f"nothing at {tmp_path / 'nothing'}: groundup finetune classify begins one" in capsys.readouterr().err
