"""Runs on images: killed and resumed they end in the same bits; TensorBoard, early stopping; what is refused."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.training.killed_runs import outcome
from tests.training.small_images import STEPS, TRAINING, config, write_strokes

from groundup.configs.images import ImagesConfig
from groundup.configs.training import EvaluationConfig
from groundup.configs.translation import TranslationConfig
from groundup.errors import InputError
from groundup.recipes import recipe
from groundup.training import images as image_runs
from groundup.training import killed, kinds, session, verify_resume
from groundup.training.images import evaluate_image_run, load_image_run
from groundup.training.run_folder import Run
from groundup.training.step import Stepper
from groundup.training.tracking import Tracker

QUIET = Console(quiet=True)


class Death(BaseException):
    """Stands for SIGKILL: nothing in between may catch it."""


@pytest.fixture(scope="module")
def strokes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_strokes(tmp_path_factory.mktemp("strokes"))


@pytest.fixture(scope="module")
def trained(strokes: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return kinds.start(config(strokes), tmp_path_factory.mktemp("images") / "run", console=QUIET).run


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("family", ["cnn", "resnet", "mlp"])
def test_a_killed_run_is_the_same_run(
    family: str, strokes: Path, trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def die() -> None:
        raise Death

    made = config(strokes, family=family)
    whole = trained if family == "cnn" else kinds.start(made, tmp_path / "whole", console=QUIET).run
    monkeypatch.setattr(killed, "die", die)
    monkeypatch.setattr("os.fsync", lambda file: None)
    other = Run.create(tmp_path / "run", made)
    for moment, step in (("step", 2), ("save", 6), ("evaluation", 8)):
        with monkeypatch.context() as patch:
            for owner, name in ((Stepper, "update"), (session, "save_state"), (Tracker, "record_evaluation")):
                patch.setattr(owner, name, getattr(owner, name))  # put back afterwards
            patch.setattr("os.fsync", lambda file: None)
            killed.die_at(moment, step)
            with pytest.raises(Death):
                kinds.resume(other.path, console=QUIET)
    kinds.resume(other.path, console=QUIET)
    assert outcome(other, STEPS) == outcome(whole, STEPS)


def test_how_a_step_is_cut_changes_the_last_bits_only(strokes: Path, trained: Run, tmp_path: Path):
    made = config(strokes, training=replace(TRAINING, batch_size=8, accumulation_steps=1))
    # dropout alone is drawn for each micro-batch
    still = [replace(one, model=replace(one.model, dropout=0.0)) for one in (made, config(strokes))]
    weights = []
    for i, one in enumerate(still):
        run = kinds.start(one, tmp_path / str(i), console=QUIET).run
        weights.append(load_image_run(run.path, device="cpu").model.state_dict())
    for name, tensor in weights[0].items():
        # AdamW divides by the root of a mean square: a gradient near zero carries the last bits on
        torch.testing.assert_close(tensor, weights[1][name], rtol=1e-3, atol=1e-4)


def test_any_run_can_be_shortened_for_the_proof(strokes: Path):
    short = verify_resume.shorten(config(strokes), 24)
    assert short.training.steps == 24
    assert short.data.source == str(strokes)


def test_tensorboard_gets_curves_and_pictures(trained: Run):
    events = EventAccumulator(str(trained.path), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    scalars = {"train/loss", "train/learning_rate", "train/images_per_second", "validation/loss", "validation/accuracy"}
    assert scalars <= set(events.Tags()["scalars"])
    assert "train/tokens_per_second" not in events.Tags()["scalars"]
    assert len(events.Scalars("train/learning_rate")) == STEPS
    assert events.Tags()["images"] == ["validation/confusion", "validation/mistakes"]
    for tag in events.Tags()["images"]:
        found = events.Images(tag)
        assert [picture.step for picture in found] == [4, 8]
        assert found[0].encoded_image_string.startswith(b"\x89PNG")
        assert found[0].height > 500


def test_the_page_says_what_is_learned(strokes: Path, tmp_path: Path):
    shown = Console(file=io.StringIO(), width=200)
    kinds.start(config(strokes), tmp_path / "run", console=shown)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "48 to learn from, 12 for validation, 20 for the test" in text
    assert (
        "8 x 8, 2 classes; varied by degrees 10, translate 0.1, scale 0.1, erase 0.3, smoothing 0.1, mixup 0.2" in text
    )
    assert "model       cnn, " in text
    assert "1 convolutions, 4 channels" in text
    assert "training    8 steps of 8 images (1.3 epochs) on cpu" in text
    assert "entropy" not in text  # smoothed and mixed there is no closed form
    plain = replace(config(strokes), mixup=0.0)
    kinds.start(plain, tmp_path / "plain", console=shown)
    assert "targets are of entropy 0.199 nats" in shown.file.getvalue()  # type: ignore[attr-defined]


def test_a_run_is_opened_and_measured_on_what_it_never_saw(trained: Run):
    loaded = load_image_run(trained.path, device="cpu")
    assert not loaded.model.training
    found = evaluate_image_run(trained.path)
    assert found.report.n == len(loaded.splits.test) == 20
    assert [label.name for label in found.report.labels] == ["across", "down"]
    probabilities = loaded.probabilities(loaded.splits.test)
    right = probabilities.argmax(1) == loaded.splits.test.labels
    assert found.report.metrics["accuracy"] == right.mean()
    low, high = found.report.intervals["accuracy"]
    assert low <= right.mean() <= high
    assert [path.name for path in found.pictures] == ["confusion.png", "mistakes.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in found.pictures)
    assert found.step in (4, 8)


def test_pictures_that_cannot_be_written_are_one_line(trained: Run, monkeypatch: pytest.MonkeyPatch):
    def full(path: Path, picture: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(image_runs, "write_picture", full)
    with pytest.raises(InputError, match=r"confusion.png and mistakes.png into .*run, found: No space left on device$"):
        evaluate_image_run(trained.path)


def test_validation_is_as_at_the_last_evaluation(trained: Run):
    loaded = load_image_run(trained.path, device="cpu")
    held_out = loaded.splits.validation
    right = loaded.probabilities(held_out).argmax(1) == held_out.labels
    assert loaded.metrics["accuracy"] == right.mean()


def test_it_learns_strokes_and_stops_early_with_the_best_weights(strokes: Path, tmp_path: Path):
    training = replace(
        TRAINING, steps=400, batch_size=16, accumulation_steps=1, log_every=50,
        evaluation=EvaluationConfig(every_steps=10, patience=3, sample_tokens=0),
    )  # fmt: skip
    plain = replace(config(strokes, training=training), mixup=0.0)
    ended = kinds.start(plain, tmp_path / "run", console=QUIET)
    assert ended.stopped_early
    assert ended.best_step == ended.step - 30
    assert ended.metrics["loss"] == ended.best_loss
    assert ended.metrics["accuracy"] > 0.9
    loaded = load_image_run(ended.run.path)
    assert loaded.step == ended.best_step


def test_other_images_are_refused(tmp_path: Path):
    other, run = write_strokes(tmp_path / "strokes", seed=1), tmp_path / "run"
    kinds.start(config(other), run, console=QUIET)
    write_strokes(other, seed=2)
    for opening in (load_image_run, evaluate_image_run, lambda path: kinds.resume(path, console=QUIET)):
        with pytest.raises(InputError, match=r"expected the data that .* began with, found others"):
            opening(run)


def test_what_cannot_begin_leaves_no_folder(strokes: Path, tmp_path: Path):
    made = config(strokes)
    for wrong, said in (
        (replace(made, model=replace(made.model, image_size=(28, 28))), "image_size to be the images'"),
        (replace(made, model=replace(made.model, channels=(4,) * 4)), "at most 3 stages for images of 8, 8"),
        (replace(made, data=replace(made.data, source=str(tmp_path / "nowhere"))), "nowhere"),
    ):
        with pytest.raises(InputError, match=said):
            kinds.start(wrong, tmp_path / "run", console=QUIET)
        assert not (tmp_path / "run").exists()


def test_what_was_learned_cannot_be_changed(trained: Run):
    for changed, said in (
        ({"mixup": 0.5}, "expected mixup to stay 0.2, found 0.5: it is part of the loss so far"),
        ({"augment": replace(config(Path()).augment, degrees=3)}, "expected augment.degrees to stay 10"),
    ):
        with pytest.raises(InputError, match=said):
            kinds.resume(trained.path, config=replace(trained.read_config(ImagesConfig), **changed), console=QUIET)


def test_runs_of_other_kinds_are_refused(trained: Run, tmp_path: Path):
    other = Run.create(tmp_path / "other", TranslationConfig())
    with pytest.raises(InputError, match=r"expected a run of a model of images, found .*, of a model that translates"):
        load_image_run(other.path)
    with pytest.raises(InputError, match=r"groundup evaluate .* uses it"):
        trained.read_config(TranslationConfig)


@pytest.mark.parametrize("name", ["mnist-cnn", "mnist-resnet", "digits-mlp"])
def test_the_models_of_recipes_are_as_large_as_said(name: str):
    made = recipe(name)
    assert isinstance(made, ImagesConfig)
    size, most = ((8, 8), 20_000) if name == "digits-mlp" else ((28, 28), 300_000)
    config_ = image_runs.for_images(made.model, size, 10)
    model = image_runs.build_vision(config_, seed=0)
    assert sum(p.numel() for p in model.parameters()) < most
    assert model(torch.zeros(2, 1, *size)).shape == (2, 10)
    assert np.isfinite(model(torch.zeros(2, 1, *size)).detach().numpy()).all()
