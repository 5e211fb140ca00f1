"""`groundup evaluate` on files of texts and with the harness; on a run it is in the end-to-end test."""

from pathlib import Path

import pytest

from groundup.cli.evaluate import command
from groundup.cli.main import main
from groundup.evaluation import harness
from groundup.evaluation.harness import HarnessFigure


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "out": "the cat sat\nyes\n", "better": "the cat sat down\nyes\n", "ref": "the cat sat down\nyes\n",
        "ref2": "a cat sat\nno\n", "short": "yes\n", "empty": "",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.usefixtures("files")
def test_a_file_of_texts_gets_every_figure_with_an_interval(capsys: pytest.CaptureFixture[str]):
    assert command(["--hypotheses", "out", "--references", "ref", "ref2", "--resamples", "20"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("2 texts of out; figures in percent")
    rows = {line.split("  ")[0]: line for line in told.splitlines() if "–" in line}
    assert list(rows) == ["BLEU", "chrF2", "ROUGE-1", "ROUGE-2", "ROUGE-L", "exact match", "WER ↓", "CER ↓"]
    assert rows["exact match"].split()[2] == "50.00"
    assert "BLEU: nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|version:groundup-" in told


@pytest.mark.usefixtures("files")
def test_a_second_system_is_compared(capsys: pytest.CaptureFixture[str]):
    arguments = ["--hypotheses", "better", "--references", "ref", "--baseline", "out", "--metrics", "exact", "wer"]
    assert command([*arguments, "--resamples", "20"]) == 0
    head, exact, wer = capsys.readouterr().out.splitlines()[1:4]
    assert head.split() == ["metric", "score", "baseline", "difference", "95", "%", "interval", "better", "in", "p"]
    assert exact.split()[2:5] == ["100.00", "50.00", "+50.00"]
    assert wer.split()[2:5] == ["0.00", "20.00", "-20.00"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a RUN or --hypotheses FILE, found neither"),
        (["mine", "--hypotheses", "out"], "expected a RUN or --hypotheses FILE, found both"),
        (["--hypotheses", "out"], "expected --references FILE with --hypotheses, found none"),
        (["--hypotheses", "out", "--references", "short"], "expected 2 lines in short, as in out, found 1"),
        (["--hypotheses", "out", "--references", "ref", "--baseline", "short"], "expected 2 lines in short, as in out"),
        (
            ["--hypotheses", "empty", "--references", "ref"],
            "expected a text on each line of empty, found an empty file",
        ),
        (
            ["--hypotheses", "out", "--references", "empty"],
            "expected a text on each line of empty, found an empty file",
        ),
        (
            ["--hypotheses", "none", "--references", "ref"],
            "expected lines of text that can be read, found none: No such",
        ),
        (
            ["--hypotheses", "out", "--references", "ref", "--tokenizer", "14a"],
            "unknown tokenizer '14a': known are 13a",
        ),
        (["--hypotheses", "out", "--references", "ref", "--metrics", "ter"], "unknown metric 'ter': known are bleu"),
        (["--hypotheses", "out", "--references", "ref", "--resamples", "0"], "--resamples must be at least 1, found 0"),
        (["--hypotheses", "out", "--references", "ref", "--max-tokens", "5"], "expected a RUN without --harness with"),
        (["--hypotheses", "out", "--harness", "arc"], "expected a MODEL with --harness, found --hypotheses"),
        (["mine", "--lowercase"], "expected --hypotheses FILE with --lowercase, found a RUN without --harness"),
        (["mine", "--limit", "3"], "expected MODEL --harness TASK with --limit, found a RUN without --harness"),
        (["mine", "--harness", "arc", "--max-tokens", "3"], "expected a RUN without --harness with --max-tokens"),
        (["mine", "--harness", "arc", "--limit", "0"], "--limit must be at least 1, found 0"),
        (["nowhere", "--harness", "arc"], "expected a model, found nothing called 'nowhere'"),
    ],
)
@pytest.mark.usefixtures("files")
def test_bad_input_gets_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", *arguments]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert told.err.count("\n") == 1
    assert not told.out


def test_the_harness_gets_the_model_and_its_figures_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    asked = {}

    def measured(found: object, tasks: tuple[str, ...], **settings: object) -> list[HarnessFigure]:
        asked.update(settings, found=found, tasks=tasks)
        return [HarnessFigure("arc_easy", "acc", 0.25, 0.01), HarnessFigure("wikitext", "word_perplexity", 30.5, None)]

    monkeypatch.setattr(harness, "evaluate_with_harness", measured)
    monkeypatch.setattr("groundup.resolve.open_model", lambda name: f"opened {name}")
    assert command(["smollm2", "--harness", "arc_easy", "own.yaml", "--limit", "9", "--chat"]) == 0
    assert asked == {"found": "opened smollm2", "tasks": ("arc_easy", "own.yaml"), "limit": 9, "n_few_shot": None,
                     "batch_size": 8, "chat": True}  # fmt: skip
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert rows == [["arc_easy", "acc", "0.2500", "0.0100"], ["wikitext", "word_perplexity", "30.5000", "-"]]
