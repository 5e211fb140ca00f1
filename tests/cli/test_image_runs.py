"""`groundup train`, `evaluate` and the others on a run that learned images: what is said, and what is refused."""

import re
from pathlib import Path

import pytest
from tests.training.small_images import write_strokes

from groundup.cli.main import main
from groundup.configs.images import ImagesConfig
from groundup.training.run_folder import Run

SHORT = ["--training.steps", "4", "--training.evaluation.every-steps", "2", "--training.device", "cpu"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("images")
    strokes = write_strokes(place / "strokes")
    arguments = ["train", "digits-mlp", "--data.source", str(strokes), "--out", str(place / "runs"), "--stamp"]
    assert main([*arguments, *SHORT]) == 0
    [folder] = (place / "runs").iterdir()
    return folder


def test_a_stamped_run_is_named_by_its_time(run: Path):
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", run.name)


def test_evaluate_tells_of_every_class_and_draws(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["evaluate", str(run)]) == 0
    told = capsys.readouterr().out
    assert "weights of step" in told
    assert re.search(r"^12 images +figure +95 % interval$", told, re.MULTILINE)  # 0.15 of 80
    assert re.search(r"^accuracy +\d\.\d{3} +\d\.\d{3} to \d\.\d{3}$", told, re.MULTILINE)
    assert re.search(r"^label +images +precision +recall +F1$", told, re.MULTILINE)
    assert re.search(r"^is \| taken for +across +down$", told, re.MULTILINE)
    for name in ("confusion.png", "mistakes.png"):
        assert f"wrote {run / name}" in told
        assert (run / name).is_file()


def test_resume_says_what_to_do_next_once(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["resume", str(run)]) == 0
    assert capsys.readouterr().out.rstrip().endswith(f"next: groundup evaluate {run}")


def test_report_shows_such_runs(run: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["report", str(run)]) == 0
    assert run.name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "{run}", "--max-tokens", "5"], "found one on images: leave --max-tokens out"),
        (["generate", "{run}"], "groundup evaluate {run} uses it"),
        (["replay", "{run}", "--step", "2"], "groundup evaluate {run} uses it"),
        (["plan", "digits-mlp"], "found digits-mlp, of a model of images: groundup plan covers"),
        (["evaluate", "{runs}"], "the last run in it is {run}"),
        (["train", "{run}"], "go on with it by groundup resume"),
    ],
)
def test_what_is_not_for_them_is_refused_in_one_line(
    arguments: list[str], said: str, run: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([part.replace("{run}", str(run)).replace("{runs}", str(run.parent)) for part in arguments]) == 2
    told = capsys.readouterr().err
    assert said.replace("{run}", str(run)) in told
    assert told.count("\n") == 1


def test_any_field_of_a_recipe_can_be_set(tmp_path: Path):
    strokes, folder = write_strokes(tmp_path / "strokes"), tmp_path / "run"
    changed = ["--model.channels", "4", "8", "--model.blocks", "1", "--model.hidden", "8", "--mixup", "0.2"]
    changed += ["--augment.erase", "0.5", "--data.source", str(strokes), "--out", str(folder)]
    assert main(["train", "mnist-cnn", *changed, *SHORT]) == 0
    config = Run.open(folder).read_config(ImagesConfig)
    assert (config.model.channels, config.model.hidden, config.model.blocks) == ((4, 8), (8,), 1)
    assert (config.mixup, config.augment.erase, config.label_smoothing) == (0.2, 0.5, 0.1)
