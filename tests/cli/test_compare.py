"""`groundup compare`: two runs side by side, and what it refuses before anything is opened."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from groundup.cli.main import main
from groundup.configs import DataConfig, EvaluationConfig, GPTConfig, RunConfig, TrainConfig
from groundup.training.launch import start


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step, and prompts for it."""
    made = tmp_path_factory.mktemp("compare")
    (made / "text.txt").write_text("the quick brown fox\njumps\n" * 40)
    (made / "prompts.txt").write_text("the \n\nfox\n")
    config = RunConfig(
        data=DataConfig(corpus=str(made / "text.txt")),
        model=GPTConfig(context_length=16, d_model=16, n_layers=1, n_heads=2),
        training=TrainConfig(steps=1, batch_size=2, device="cpu", evaluation=EvaluationConfig(sample_tokens=0)),
    )
    start(config, made / "run", console=Console(file=io.StringIO()))
    return made


def test_a_run_beside_itself_has_learned_and_forgotten_nothing(folder: Path, capsys: pytest.CaptureFixture[str]):
    run, page = str(folder / "run"), folder / "page.html"
    command = ["compare", run, run, "--prompts", str(folder / "prompts.txt"), "--max-new-tokens", "8"]
    assert main([*command, "--general", str(folder / "text.txt"), "--out", str(page)]) == 0
    said = capsys.readouterr().out
    for text in (r"held-out text\.txt", r"text\.txt"):
        figures = re.search(rf"perplexity, {text} +(\S+) +(\S+) +±0.0%", said)
        assert figures is not None
        assert figures[1] == figures[2]
    assert f"wrote {page}" in said
    assert page.read_text(encoding="utf-8").count("<article>") == 4
    assert main(command) == 0  # tales cannot be spelled, and nobody asked for them
    assert "tales" not in capsys.readouterr().out


def test_each_text_is_what_generate_writes(folder: Path, capsys: pytest.CaptureFixture[str]):
    run = str(folder / "run")
    assert main(["generate", run, "fox", "--max-new-tokens", "8", "--seed", "3"]) == 0
    written = capsys.readouterr().out.strip().removeprefix("fox").split("\n")[0].strip()
    options = ["--prompts", str(folder / "prompts.txt"), "--max-new-tokens", "8", "--seed", "3"]
    assert main(["compare", run, run, *options]) == 0
    assert written in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--prompts", "nowhere.txt"], "nowhere.txt"),
        (["--prompts", "empty.txt"], "expected a prompt in each line of empty.txt, found none: write some"),
        (["--prompts", "prompts.txt", "--out", "prompts.txt"], "found something else: give another name"),
        (["--prompts", "prompts.txt", "--n-top", "2"], "found --n-top"),
        (["--prompts", "prompts.txt", "--max-bytes", "1"], "--max-bytes must be at least 2, found 1"),
        (["--prompts", "prompts.txt", "--domain", "nowhere"], "found 'nowhere': check its spelling"),
        (["--prompts", "prompts.txt", "--chat"], "let it do that, without chat"),
        ([], "--prompts"),
    ],
)
def test_a_mistake_gets_one_line(
    options: list[str], found: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder)
    (folder / "empty.txt").write_text("\n \n")
    assert main(["compare", "run", "run", *options]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert found in said.err
    assert said.err.count("\n") == 1
