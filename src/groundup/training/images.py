"""Runs that learn to tell images apart: what one needs, made from its config; and its model, to use and to measure."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from groundup.configs.images import ImagesConfig
from groundup.configs.vision import VisionConfig
from groundup.data.image_batches import ImageBatches
from groundup.data.image_preprocessing import dataset_statistics, preprocessing
from groundup.data.image_random import GeneratorNumbers
from groundup.data.image_sets import ImageSet, ImageSplits, load_images
from groundup.errors import InputError
from groundup.evaluation.classification_plots import draw_classification
from groundup.evaluation.classification_report import ClassificationReport, measure_classification
from groundup.evaluation.image_pictures import mistakes_picture, write_picture
from groundup.models.vision import build_vision, for_images
from groundup.tasks.images import ImageBatch, ImageClassification, class_logits, lowest_training_loss
from groundup.training.devices import choose_device
from groundup.training.lifecycle import Ready
from groundup.training.run_folder import Run
from groundup.training.same_data import same_data
from groundup.training.state import load_weights
from groundup.training.trained import best_checkpoint

Floats = npt.NDArray[np.float32]


def prepare(
    run: Run, config: ImagesConfig, device: torch.device, report: Callable[[str], None]
) -> Ready[nn.Module, ImageBatch]:
    """Make the images, the model and the task of a run.

    Raises:
        InputError: images that cannot be found or used, that are not those the run began with, or that do not fit the
            model.
    """
    report(f"reading {config.data.source} …")
    splits = load_images(config.data)
    parts = (splits.train, splits.validation, splits.test)
    same_data(run, [_digest(part) for part in parts], images=[len(part) for part in parts], source=splits.said)
    model = build_vision(model_config(config, splits), seed=config.training.seed)
    task = build_task(config, splits)
    return Ready(model=model, task=task, page=_describe(run, config, splits, model, device))


def model_config(config: ImagesConfig, splits: ImageSplits) -> VisionConfig:
    """Return what the model of a run is made of, with what the images decide.

    Raises:
        InputError: a model that does not fit the images.
    """
    height, width = splits.train.images.shape[1:]
    return for_images(config.model, (height, width), len(splits.train.class_names))


def build_task(config: ImagesConfig, splits: ImageSplits) -> ImageClassification:
    """Return the task of a run: training images are varied, all are normalized by the statistics of those.

    Raises:
        InputError: nothing to measure on.
    """
    training = config.training
    varied = preprocessing(*dataset_statistics(splits.train.images), config.augment)
    return ImageClassification(
        train=ImageBatches(splits.train, varied, training.sequences_per_step, training.seed),
        validation=splits.validation,
        inputs=as_inputs(splits.validation, splits.train),
        training=training,
        label_smoothing=config.label_smoothing,
        mixup=config.mixup,
    )


def as_inputs(images: ImageSet, train: ImageSet) -> Floats:
    """Return images as a model reads them, none varied, all normalized as `train`: float32 [N, 1, H, W].

    Example:
        >>> two = ImageSet(np.array([[[0, 255]], [[0, 255]]], np.uint8), np.array([0, 0]), ("dash",))
        >>> as_inputs(two, two)[0].tolist()
        [[[-1.0, 1.0]]]
    """
    plain = preprocessing(*dataset_statistics(train.images))
    return np.asarray(plain.batch(images.images, GeneratorNumbers(None)), np.float32)


@dataclass(frozen=True, kw_only=True)
class LoadedVision:
    """A run that learned to tell images apart, to use."""

    model: nn.Module
    """With the best weights, in evaluation mode: float32 [B, 1, H, W], normalized, to logits [B, N]."""
    splits: ImageSplits
    """The run's images."""
    config: ImagesConfig
    """The run's config."""
    run: Run
    """The folder it came from."""
    step: int
    """Optimizer steps behind the weights."""
    metrics: dict[str, float]
    """Validation figures measured in training: at that step, or at the last evaluation before it."""

    def probabilities(self, images: ImageSet) -> npt.NDArray[np.float64]:
        """Return the probability of each class for each image: [N images, N classes]."""
        inputs = torch.from_numpy(as_inputs(images, self.splits.train))
        return class_logits(self.model, inputs).softmax(dim=1).numpy()


def load_image_run(folder: Path, *, device: str = "auto") -> LoadedVision:
    """Load the best weights of a run, or the newest intact ones where none is marked best or the best are damaged.

    Raises:
        InputError: no run, a run of another kind, one without an intact checkpoint of its config, or images that are
            not those the run began with.
    """
    run = Run.open(folder, begun_by="groundup train mnist-cnn")
    config = run.read_config(ImagesConfig)
    found = best_checkpoint(run, lambda line: print(line, file=sys.stderr))
    splits = load_images(config.data)
    same_data(run, [_digest(part) for part in (splits.train, splits.validation, splits.test)])
    model = build_vision(model_config(config, splits), seed=config.training.seed)
    load_weights(found.checkpoint, found.folder, model)
    return LoadedVision(
        model=model.to(choose_device(device)).eval(),
        splits=splits,
        config=config,
        run=run,
        step=found.step,
        metrics=found.metrics,
    )


@dataclass(frozen=True, kw_only=True)
class MeasuredVision:
    """What the test images say about a run."""

    report: ClassificationReport
    """Figures, intervals, each class, confusion."""
    step: int
    """Optimizer steps behind the weights."""
    source: str
    """Where the images come from and how they were split."""
    pictures: tuple[Path, ...]
    """What was drawn, in the folder of the run."""


def evaluate_image_run(folder: Path) -> MeasuredVision:
    """Measure a run's best weights on its test images, which it never saw; draw confusion.png and mistakes.png.

    Raises:
        InputError: as `load_image_run`, or a folder that cannot be written.
    """
    loaded = load_image_run(folder)
    test = loaded.splits.test
    probabilities = loaded.probabilities(test)
    title = f"{folder.resolve().name}: {len(test):,} images never learned"
    pictures = folder / "confusion.png", folder / "mistakes.png"
    try:
        draw_classification(pictures[0], test.labels, probabilities, names=test.class_names, title=title, what="images")
        write_picture(pictures[1], mistakes_picture(test.images, test.labels, probabilities, test.class_names))
    except OSError as error:
        raise InputError(
            f"expected to draw confusion.png and mistakes.png into {folder}, found: {error.strerror or error}"
        ) from None
    return MeasuredVision(
        report=measure_classification(test.labels, probabilities, test.class_names),
        step=loaded.step,
        source=loaded.splits.said,
        pictures=pictures,
    )


def _digest(images: ImageSet) -> list[str]:
    """Return hashes of images and labels, and the names: what `same_data` compares."""
    arrays = (np.ascontiguousarray(part) for part in (images.images, images.labels.astype("<i8")))
    return [*(hashlib.sha256(part.tobytes()).hexdigest() for part in arrays), *images.class_names]


def _describe(run: Run, config: ImagesConfig, splits: ImageSplits, model: nn.Module, device: torch.device) -> list[str]:
    """Return what is about to be trained, in a few lines."""
    training, shape = config.training, model_config(config, splits)
    per_step = training.sequences_per_step
    n = len(splits.train)
    height, width = shape.image_size or (0, 0)
    n_parameters = sum(p.numel() for p in model.parameters())
    stages = f": {shape.n_convolutions} convolutions, {', '.join(map(str, shape.channels))} channels"
    varied = [
        f"{name} {value:g}"
        for name, value in (
            *vars(config.augment).items(),
            ("smoothing", config.label_smoothing),
            ("mixup", config.mixup),
        )
        if value
    ]
    lines = [
        f"run         {run.path}",
        f"images      {splits.said}",
        f"            {height} x {width}, {shape.n_classes} classes; varied by {', '.join(varied) or 'nothing'}",
        f"model       {shape.family}, {n_parameters:,} parameters{stages if shape.channels else ''}",
        f"training    {training.steps:,} steps of {per_step} images ({training.steps * per_step / n:.2g} epochs) on "
        f"{device}",
    ]
    lowest = lowest_training_loss(
        (splits.train.counts / n).tolist(), label_smoothing=config.label_smoothing, mixup=config.mixup
    )
    if lowest:
        lines.insert(3, f"            targets are of entropy {lowest:.3f} nats: no training loss stays below it")
    return lines
