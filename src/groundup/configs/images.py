"""A run that learns to tell images apart: which images, how they are varied, which model, which training."""

from dataclasses import dataclass, field
from typing import Literal

from groundup.configs.checks import between
from groundup.configs.image_data import AugmentConfig, ImageDataConfig
from groundup.configs.training import TrainConfig
from groundup.configs.vision import VisionConfig


@dataclass(frozen=True, kw_only=True)
class ImagesConfig:
    """Everything that decides a run that learns to tell images apart: the same config and seed give the same weights.

    Example:
        >>> ImagesConfig(model=VisionConfig(channels=(8,)), mixup=0.2).task
        'images'
    """

    task: Literal["images"] = "images"
    """What the run learns."""
    data: ImageDataConfig = field(default_factory=ImageDataConfig)
    """Which images."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    """How those that are learned vary from epoch to epoch."""
    model: VisionConfig = field(default_factory=lambda: VisionConfig(channels=(32, 64), hidden=(128,)))
    """What is trained."""
    label_smoothing: float = 0.0
    """Part of each target that is spread over all classes (Szegedy et al. 2016, section 7)."""
    mixup: float = 0.0
    """Images are mixed with others, and their targets alike, in shares from Beta(mixup, mixup) (Zhang et al. 2018).
    0: they are not."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained. A token is an image here: evaluation.max_tokens is how many are measured; with
    evaluation.sample_tokens 0 no mistakes are told and no pictures are drawn."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        between(self, "label_smoothing", 0.0, 1.0, upper_open=True)
        between(self, "mixup", 0.0, 100.0)
