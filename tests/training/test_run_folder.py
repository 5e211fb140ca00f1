"""A run folder: made once, never overwritten, opened again, refused by name."""

import re
from datetime import datetime
from pathlib import Path

import pytest

from groundup.configs import GPTConfig, RunConfig, TrainConfig, to_json
from groundup.errors import InputError
from groundup.training.run_folder import Best, Run, stamped

CONFIG = RunConfig(training=TrainConfig(steps=7))


def test_a_run_opens_as_it_was_made(tmp_path: Path):
    made = Run.create(tmp_path / "runs" / "mine", CONFIG)
    opened = Run.open(made.path)
    assert opened == made
    assert opened.read_config(RunConfig) == CONFIG
    assert opened.best is None
    assert opened.checkpoint_steps() == []


def test_an_existing_run_is_not_overwritten(tmp_path: Path):
    run = Run.create(tmp_path / "mine", CONFIG)
    with pytest.raises(
        InputError, match=rf"{run.path} in use: go on with it by groundup resume {run.path}, or .*--out"
    ):
        Run.create(run.path, RunConfig())
    assert Run.open(run.path).read_config(RunConfig) == CONFIG


def test_any_other_folder_or_file_is_left_alone(tmp_path: Path):
    with pytest.raises(InputError, match="--out"):
        Run.create(tmp_path, CONFIG)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="--out"):
        Run.create(tmp_path / "file", CONFIG)
    with pytest.raises(InputError, match="choose another place"):
        Run.create(tmp_path / "file" / "run", CONFIG)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "expected a run, found no readable config.json"),
        ("{", "to hold JSON"),
        ("[" * 100_000, "to hold JSON"),
        ("[]", "to hold an object"),
        ('{"modle": {}}', "is of another version: RunConfig has no field 'modle'"),
        (to_json(GPTConfig()), "is of another version: RunConfig has no field 'vocab_size'"),
    ],
)
def test_what_is_no_run_is_named(tmp_path: Path, content: str | None, found: str):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError) as caught:
        Run.open(tmp_path).read_config(RunConfig)
    assert found in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_inside_a_run_names_the_run(tmp_path: Path):
    inside = Run.create(tmp_path / "mine", CONFIG).checkpoint(20)
    inside.mkdir(parents=True)
    for path in (inside, inside.parent):
        with pytest.raises(InputError, match="the run is " + re.escape(str(tmp_path / "mine"))):
            Run.open(path)


def test_a_folder_of_stamped_runs_names_the_newest(tmp_path: Path):
    with pytest.raises(InputError, match="name the folder of a run"):
        Run.open(tmp_path)
    for second in (9, 10, 8):
        Run.create(stamped(tmp_path, datetime(2026, 11, 22, 8, 15, second)), CONFIG)
    with pytest.raises(InputError, match=r"the last run in it is .*2026-11-22_08-15-10$"):
        Run.open(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(InputError, match=r"found nothing at .*elsewhere"):
        Run.open(tmp_path / "elsewhere")


def test_the_best_mark_needs_its_checkpoint(tmp_path: Path):
    run = Run.create(tmp_path / "mine", CONFIG)
    run.mark_best(20, {"loss": 1.5})
    assert run.best is None
    run.checkpoint(20).mkdir(parents=True)
    run.checkpoint(100).mkdir()
    (run.checkpoints / "step-x").mkdir()
    (run.checkpoints / "step-120.damaged").mkdir()
    assert run.best == Best(step=20, metrics={"loss": 1.5})
    assert run.checkpoint_steps() == [20, 100]
    (run.path / "best.json").unlink()
    assert run.best is None


@pytest.mark.parametrize("content", ["damaged", "[]", "[" * 100_000, '{"step": 20}', "\ufffd", None])
def test_a_damaged_best_mark_is_named(tmp_path: Path, content: str | None):
    run = Run.create(tmp_path / "mine", CONFIG)
    run.mark_best(20, {"loss": 1.5})
    run.checkpoint(20).mkdir(parents=True)
    file = run.path / "best.json"
    file.write_text(file.read_text().replace("1.5", "1.4") if content is None else content)
    with pytest.raises(InputError, match=rf"expected {file} as it was written, found something else") as caught:
        _ = run.best
    assert "\n" not in str(caught.value)


def test_a_best_mark_of_an_earlier_version_is_read(tmp_path: Path):
    run = Run.create(tmp_path / "mine", CONFIG)
    run.checkpoint(20).mkdir(parents=True)
    (run.path / "best.json").write_text('{"step": 20, "metrics": {"loss": 1.5}}')
    assert run.best == Best(step=20, metrics={"loss": 1.5})


def test_a_run_appears_with_its_config_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def die(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr("groundup.training.run_folder.write_atomically", die)
    with pytest.raises(SystemExit):
        Run.create(tmp_path / "mine", CONFIG)
    assert list(tmp_path.iterdir()) == []


def no_entry(path: Path, **_: object) -> None:
    raise PermissionError(13, "Permission denied", str(path))


def test_a_name_that_is_too_long_is_an_error_of_the_person(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected to make a folder at .*: File name too long; choose another place"):
        Run.create(tmp_path / ("x" * 5_000), CONFIG)
    with pytest.raises(InputError, match=r"found nothing at .*xxx"):
        Run.open(tmp_path / ("x" * 5_000))


def test_a_place_that_may_not_be_looked_into_is_an_error_of_the_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "stat", no_entry)
    with pytest.raises(InputError, match=r"expected to make a folder at .*: Permission denied"):
        Run.create(tmp_path / "run", CONFIG)
    with pytest.raises(InputError, match="found nothing at"):
        Run.open(tmp_path / "run")


def test_a_run_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="found: No space left on device"):
        Run.create(tmp_path / "run", CONFIG)
    with pytest.raises(TypeError):
        Run.create(tmp_path / "run", "no config")
    assert not (tmp_path / "run").exists()
