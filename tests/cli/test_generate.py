"""`groundup generate`: how it begins without a prompt, what it refuses, and before what."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console

from groundup.cli.main import main
from groundup.configs import DataConfig, EvaluationConfig, GPTConfig, RunConfig, TrainConfig
from groundup.generation.stream import Step
from groundup.training.launch import start

TEXTS = {"one line": "abc" * 300, "lines": "the quick brown fox\njumps\n" * 40, "Übung": "Übung " * 200}


Trained = Callable[..., str]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return what trains a run of one step and returns its folder; of equal ones there is one: leave it as it is."""

    @cache
    def train(text: str, *, prompt: str = "", tokenizer: str = "characters") -> str:
        folder = tmp_path_factory.mktemp("trained")
        (folder / "text.txt").write_text(text, encoding="utf-8")
        config = RunConfig(
            data=DataConfig(corpus=str(folder / "text.txt"), tokenizer=tokenizer, bpe_vocab_size=260),
            model=GPTConfig(context_length=16, d_model=16, n_layers=1, n_heads=2),
            training=TrainConfig(
                steps=1, batch_size=2, device="cpu", evaluation=EvaluationConfig(sample_prompt=prompt, sample_tokens=8)
            ),
        )
        start(config, folder / "run", console=Console(file=io.StringIO()))
        return str(folder / "run")

    return train


@pytest.mark.parametrize("tokenizer", ["characters", "bpe"])
@pytest.mark.parametrize("text", TEXTS)
def test_without_a_prompt_it_writes_what_the_runs_own_samples_hold(
    text: str, tokenizer: str, trained: Trained, capsys: pytest.CaptureFixture[str]
):
    run = trained(TEXTS[text], tokenizer=tokenizer)
    assert main(["generate", run, "--max-new-tokens", "8", "--seed", str(TrainConfig().seed)]) == 0
    sample = next(Path(run, "samples").iterdir()).read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() == sample.strip()


def test_the_runs_sample_prompt_is_part_of_the_text(trained: Trained, capsys: pytest.CaptureFixture[str]):
    run = trained(TEXTS["lines"], prompt="the ")
    assert main(["generate", run, "--max-new-tokens", "8"]) == 0
    assert capsys.readouterr().out.startswith("the ")


def test_each_sample_begins_with_the_prompt(trained: Trained, capsys: pytest.CaptureFixture[str]):
    run = trained(TEXTS["one line"])
    assert main(["generate", run, "cab", "--samples", "2", "--max-new-tokens", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[::2] == ["--- 1 of 2", "--- 2 of 2"]
    assert all(line.startswith("cab") and len(line) == 11 for line in lines[1::2])


def test_what_is_refused_is_refused_before_anything_is_written(trained: Trained, capsys: pytest.CaptureFixture[str]):
    run = trained(TEXTS["one line"])
    for samples in ("1", "2"):
        for prompt, found in (("abc" * 6, "at most 16 tokens"), ("xyz", "'x'")):
            assert main(["generate", run, prompt, "--samples", samples]) == 2
            said = capsys.readouterr()
            assert said.out == ""
            assert found in said.err
            assert said.err.count("\n") == 1


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_draft_changes_no_greedy_text(options: list[str], trained: Trained, capsys: pytest.CaptureFixture[str]):
    run = trained(TEXTS["lines"])
    capsys.readouterr()
    command = ["generate", run, "the ", "--strategy", "greedy", "--max-new-tokens", "30", *options]
    assert main(command) == 0
    expected = capsys.readouterr().out
    for draft in (run, "lookup"):
        assert main([*command, "--draft", draft, "--n-drafted", "3"]) == 0
        assert capsys.readouterr().out == expected


def test_a_draft_with_another_vocabulary_is_refused(trained: Trained, capsys: pytest.CaptureFixture[str]):
    run, other = trained(TEXTS["one line"]), trained("abd" * 300)
    capsys.readouterr()
    assert main(["generate", run, "ab", "--draft", other]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "expected a draft model with the same vocabulary, found one in which id" in said.err
    assert said.err.count("\n") == 1


def test_the_n_best_texts_are_shown_with_their_scores(trained: Trained, capsys: pytest.CaptureFixture[str]):
    run = trained(TEXTS["one line"])
    capsys.readouterr()
    assert main(["generate", run, "cab", "--strategy", "beam", "--beam.n-best", "2", "--max-new-tokens", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(", score -")[0] for line in lines[::2]] == ["--- 1 of 2", "--- 2 of 2"]
    assert all(line.startswith("cab") for line in lines[1::2])


def test_without_a_cache_the_text_is_the_same(trained: Trained, capsys: pytest.CaptureFixture[str]):
    run, said = trained(TEXTS["one line"]), []
    for options in ([], ["--no-use-cache"], ["--json"], ["--json", "--no-use-cache"]):
        capsys.readouterr()
        assert main(["generate", run, "cab", "--strategy", "greedy", "--max-new-tokens", "8", *options]) == 0
        out = capsys.readouterr().out
        said.append("cab" + json.loads(out)["text"] + "\n" if "--json" in options else out)
    assert len(set(said)) == 1


def test_what_is_said_about_ctrl_c_has_a_line_of_its_own(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def interrupted(*_: object, **__: object) -> Iterator[Step]:
        yield Step(0, "abc", 0.0)
        raise KeyboardInterrupt

    run = trained(TEXTS["one line"])
    capsys.readouterr()
    monkeypatch.setattr("groundup.generation.stream", interrupted)
    assert main(["generate", run, "c"]) == 130
    said = capsys.readouterr()
    assert (said.out, said.err) == ("cabc\n", "groundup: stopped\n")


def test_without_token_files_a_prompt_is_asked_for(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = str(shutil.copytree(trained(TEXTS["one line"]), tmp_path / "run"))
    Path(run, "tokens", "tokens.json").unlink()
    assert main(["generate", run]) == 2
    assert capsys.readouterr().err.endswith("or give a prompt\n")
    assert main(["generate", run, "a", "--max-new-tokens", "8"]) == 0


def test_a_prompt_from_a_file_or_standard_input(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run = trained(TEXTS["one line"])
    (tmp_path / "prompt.txt").write_text("cab\n")
    assert main(["generate", run, "cab", "--max-new-tokens", "8"]) == 0
    expected = capsys.readouterr().out
    assert main(["generate", run, "--file", str(tmp_path / "prompt.txt"), "--max-new-tokens", "8"]) == 0
    assert capsys.readouterr().out == expected
    monkeypatch.setattr("sys.stdin", io.StringIO("cab\n"))
    assert main(["generate", run, "-", "--max-new-tokens", "8"]) == 0
    assert capsys.readouterr().out == expected


def test_every_line_can_be_a_prompt_and_texts_can_be_json(
    trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run = trained(TEXTS["one line"])
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n\nbc\n"))
    options = ["--each-line", "--json", "--samples", "2", "--max-new-tokens", "8"]
    assert main(["generate", run, "-", *options]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["prompt"], one["seed"]) for one in told] == [("a", 0), ("a", 1), ("bc", 0), ("bc", 1)]
    assert all(len(one["text"]) == 8 for one in told)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["a", "--file", "x.txt"], "found both: leave one out"),
        (["--each-line"], "expected --file FILE, or - for standard input, with --each-line"),
        (["--file", "no such file"], "expected a UTF-8 text file, found no such file"),
        (["a", "--chat"], "expected a model taught to converse"),
        (["-"], "expected a prompt, found an empty standard input"),
        (["--chat"], "expected what a person says with --chat, found an empty prompt"),
        (["a", "--samples", "2", "--strategy", "greedy"], "expected --samples 1 with --strategy greedy"),
        (["a", "--samples", "2", "--strategy", "beam"], "for several texts of a search --beam.n-best"),
        (["a", "--draft", "lookup", "--strategy", "beam"], "with --draft, found beam: leave one out"),
        (["a", "--draft", "lookup", "--n-drafted", "0"], "--n-drafted must be at least 1, found 0"),
        (["a", "--draft", "no such model"], "expected a model, found nothing called 'no such model'"),
        (["a", "--n-top", "2"], "expected --json with --n-top"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    options: list[str], said: str, trained: Trained, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run = trained(TEXTS["one line"])
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    capsys.readouterr()
    assert main(["generate", run, *options]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert told.err.count("\n") == 1
