"""`groundup replay`: exit codes, what is shown, and one line for every mistake."""

import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from groundup.cli.main import main
from groundup.configs import DataConfig, EvaluationConfig, GPTConfig, RunConfig, TrainConfig
from groundup.training.launch import start


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text.txt").write_text("the quick brown fox jumps over the lazy dog.\n" * 30)
    config = RunConfig(
        data=DataConfig(corpus=str(folder / "text.txt")),
        model=GPTConfig(context_length=16, d_model=16, n_layers=1, n_heads=2),
        training=TrainConfig(
            steps=4, batch_size=2, device="cpu", evaluation=EvaluationConfig(max_tokens=64, sample_tokens=0)
        ),
    )
    return start(config, folder / "run", console=Console(file=io.StringIO())).run.path


def test_a_step_is_shown_and_written(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["replay", str(run), "--step", "4", "--write", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("no checkpoint before step 4: beginning from the initial weights\n")
    assert "\nstep 4 is healthy: loss and gradients are finite\n" in said.out
    assert "\nreproduced: step 4 has the recorded loss and gradient norm, bit for bit" in said.out
    assert said.out.rstrip().endswith(f"report in {tmp_path / 'step-4.txt'}")


def test_what_is_not_reproduced_is_told_by_the_exit_code(run: Path, capsys: pytest.CaptureFixture[str]):
    kept = (run / "metrics.jsonl").read_text()
    records = [json.loads(line) for line in kept.splitlines()]
    records[0]["loss"] += 1.0
    (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    try:
        assert main(["replay", str(run), "--step", "1"]) == 1
    finally:
        (run / "metrics.jsonl").write_text(kept)
    assert "not reproduced: at step 1 loss was" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--step", "0"], "groundup: --step must be at least 1, found 0"),
        (["--step", "5"], "expected a step of the run from 1 to 4, as in metrics.jsonl, found 5"),
        (["--step", "x"], "x"),
        ([], "--step N, numbered from 1 as in metrics.jsonl, found none: groundup replay "),
    ],
)
def test_a_mistake_gets_one_line(run: Path, arguments: list[str], found: str, capsys: pytest.CaptureFixture[str]):
    assert main(["replay", str(run), *arguments]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert found in said.err


def test_without_a_step_those_that_broke_are_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / "faults").mkdir()
    for step in (10, 3):
        (copy / "faults" / f"step-{step}.json").write_text("{}")
    assert main(["replay", str(copy)]) == 2
    assert capsys.readouterr().err.endswith("--step N; not finite: step 3, 10\n")
