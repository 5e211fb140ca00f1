"""`groundup finetune`: what is asked for becomes the config of a run, and mistakes are one line."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.finetuning.small_runs import save_base, write_labelled

from groundup.cli import outcome as ending
from groundup.cli.main import main
from groundup.configs import CheckpointConfig, EvaluationConfig
from groundup.configs.finetune_defaults import RATES
from groundup.finetuning import launch


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been trained: (config, folder) of each command."""
    seen: list[Any] = []
    monkeypatch.setattr(launch, "finetune", lambda config, folder, **named: seen.append((config, folder)))
    monkeypatch.setattr(ending, "finish_tuned", lambda outcome: 0)
    return seen


def test_epochs_become_steps_and_what_follows_from_them(asked: list[Any], tmp_path: Path):
    texts = write_labelled(tmp_path / "texts.tsv")  # 56 of 80 to learn from
    assert main(["finetune", "classify", "--data", str(texts), "--epochs", "10", "--training.batch-size", "4"]) == 0
    [(config, folder)] = asked
    assert config.data.file == str(texts)
    assert folder == Path("runs/finetune-classify")
    training = config.training
    assert (training.steps, training.schedule.warmup_steps) == (140, 14)
    assert (training.evaluation.every_steps, training.checkpoints.every_steps) == (35, 35)


@pytest.mark.parametrize("goal", ["classify", "text", "chat", "prefer"])
def test_steps_decide_warmup_evaluations_and_checkpoints(asked: list[Any], goal: str):
    steps = ["--training.steps=1000", "--training.schedule.name", "cosine"]
    assert main(["finetune", goal, *steps, "--data", "shakespeare"]) == 0
    training = asked[0][0].training
    assert (training.steps, training.schedule.name) == (1000, "cosine")
    assert (training.schedule.warmup_steps, training.evaluation.every_steps) == (100, 250)


def test_the_data_have_one_name_in_help_and_errors(asked: list[Any], capsys: pytest.CaptureFixture[str]):
    for goal in ("classify", "chat", "prefer"):
        with pytest.raises(SystemExit):
            main(["finetune", goal, "--help"])
        said = capsys.readouterr().out
        assert "--data STR" in said
        assert "--file" not in said
        assert main(["finetune", goal, "--data", ""]) == 2
        assert "--data" in capsys.readouterr().err
    assert main(["finetune", "chat", "--file=talks.jsonl"]) == 0  # as before
    assert asked[0][0].data.file == "talks.jsonl"


def test_what_is_found_after_parsing_names_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    base, texts = save_base(tmp_path / "base"), write_labelled(tmp_path / "texts.tsv")
    told = ["--model", str(base), "--out", str(tmp_path / "run"), "--data", str(texts)]
    assert main(["finetune", "classify", *told, "--max-tokens", "500"]) == 2
    assert "expected --max-tokens to be at most 64" in capsys.readouterr().err
    assert main(["finetune", "text", *told, "--context-length", "500"]) == 2
    assert "expected --context-length to be at most 64" in capsys.readouterr().err
    assert main(["finetune", "classify", *told, "--method", "last", "--freezing.last-blocks", "9"]) == 2
    assert "expected --freezing.last-blocks to be at most 2" in capsys.readouterr().err


def test_a_model_in_a_folder_is_found_from_any_other(asked: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    names = {"mine": str(tmp_path / "mine"), "smollm2": "smollm2", "somebody/mine": "somebody/mine"}
    for name in names:
        assert main(["finetune", "text", "--model", name, "--data", "notes.txt"]) == 0
    assert [config.base for config, _ in asked] == list(names.values())


def test_what_is_given_is_kept(asked: list[Any]):
    given = ["--training.schedule.warmup_steps", "7", "--training.evaluation.every-steps=9"]
    assert main(["finetune", "text", "--training.steps", "100", *given, "--training.checkpoints.every-steps", "3"]) == 0
    training = asked[0][0].training
    assert training.schedule.warmup_steps == 7
    assert training.evaluation == replace(EvaluationConfig(), every_steps=9, max_tokens=32_768, sample_tokens=60)
    assert training.checkpoints == CheckpointConfig(every_steps=3, keep_last=1)


@pytest.mark.parametrize("method", RATES)
def test_the_rate_is_the_method_s(asked: list[Any], method: str):
    assert main(["finetune", "text", f"--method={method}", "--data", "notes.txt"]) == 0
    [(config, _)] = asked
    assert (config.tuning.method, config.data.corpus) == (method, "notes.txt")
    assert config.training.learning_rate == dict[str, float](RATES)[method]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["learn"], "expected what to learn, classify, text, chat, prefer, found 'learn'"),
        (["classify", "--epochs", "2", "--training.steps", "9"], "expected --epochs or --training.steps, found both"),
        (["classify", "--epochs", "0"], "--epochs must be above 0"),
        (["classify", "--data", "nowhere.tsv"], "check its spelling"),
        (["text", "--method", "none"], "--method"),
        (["chat"], "found none: groundup finetune chat --data FILE"),
        (["prefer", "--beta", "0.2"], "found none: groundup finetune prefer --data FILE"),
    ],
)
def test_a_mistake_is_one_line(asked: list[Any], arguments: list[str], found: str, capsys: pytest.CaptureFixture[str]):
    assert main(["finetune", *arguments]) == 2
    said = capsys.readouterr().err
    assert found in said
    assert said.count("\n") == 1
    assert not asked
