"""`groundup distill`: the options of a recipe's student, the one line for what is wrong, and a run to generate from."""

from pathlib import Path

import pytest

from groundup.cli import distill
from groundup.cli.main import main
from groundup.configs.distillation import DistillConfig
from groundup.configs.run import RunConfig
from groundup.recipes import recipe


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[DistillConfig, Path]]:
    """Note what would be trained, in place of training it."""
    import groundup.cli.outcome
    import groundup.training.kinds

    found: list[tuple[DistillConfig, Path]] = []
    monkeypatch.setattr(groundup.training.kinds, "start", lambda config, folder, **_: found.append((config, folder)))
    monkeypatch.setattr(groundup.cli.outcome, "finish", lambda outcome: 0)
    return found


def test_the_recipe_gives_model_text_and_training(started: list[tuple[DistillConfig, Path]]):
    assert main(["distill", "gpt2", "--student", "tales", "--model.d-model", "64", "--soft.top-k", "9"]) == 0
    ((config, folder),) = started
    told = recipe("tales")
    assert isinstance(told, RunConfig)
    assert (config.teacher, folder) == ("gpt2", Path("runs/distill-tales"))
    assert config.model.d_model == 64
    assert config.model.n_heads == told.model.n_heads
    assert config.training == told.training
    assert (config.data.corpus, config.data.max_bytes) == ("tales", told.data.max_bytes)
    assert config.data.tokenizer == "teacher"
    assert (config.soft.top_k, config.soft.weight, config.hidden.weight) == (9, 0.9, 0.0)


def test_of_another_text_all_is_taken(started: list[tuple[DistillConfig, Path]]):
    assert main(["distill", "gpt2", "--student=tales", "--data=shakespeare", "--out", "there"]) == 0
    ((config, folder),) = started
    assert (config.data.corpus, config.data.max_bytes, folder) == ("shakespeare", None, Path("there"))


def test_help_needs_no_student(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        distill.command(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert "--soft.temperature" in text
    assert "--data.corpus" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gpt2"], "expected --student to be a recipe of a model that writes, tales, "),
        (["gpt2", "--student", "dates"], "found dates: groundup distill TEACHER --student RECIPE"),
        (["gpt2", "--student", "tales", "--soft.temperature", "0"], "--soft.temperature must be above 0, found 0"),
        (["gpt2", "--student", "tales", "--soft.top-k", "0"], "--soft.top-k must be at least 1, found 0"),
        (["--student", "tales"], "teacher must be named, found an empty text"),
        (["", "--student", "tales"], "teacher must be named, found an empty text"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], started: list[tuple[DistillConfig, Path]]
):
    assert main(["distill", *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not started
