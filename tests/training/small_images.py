"""A small run on images: horizontal and vertical strokes of 8 x 8, in IDX files."""

from pathlib import Path

import numpy as np

from groundup.configs.image_data import AugmentConfig, ImageDataConfig
from groundup.configs.images import ImagesConfig
from groundup.configs.training import CheckpointConfig, EvaluationConfig, ScheduleConfig, TrainConfig
from groundup.configs.vision import VisionConfig
from groundup.data.image_idx import write_idx

STEPS = 8
TRAINING = TrainConfig(
    steps=STEPS,
    batch_size=4,
    accumulation_steps=2,
    learning_rate=1e-2,
    device="cpu",
    precision="float32",
    log_every=1,
    schedule=ScheduleConfig(warmup_steps=2),
    evaluation=EvaluationConfig(every_steps=4),
    checkpoints=CheckpointConfig(every_steps=3),
)


def write_strokes(folder: Path, n: int = 80, seed: int = 0) -> Path:
    """Write strokes across (0) and down (1), with noise, and the names of both."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, n)
    images = random.integers(0, 100, (n, 8, 8))
    for image, label, at in zip(images, labels, random.integers(1, 7, n), strict=True):
        if label:
            image[:, at] = 255
        else:
            image[at] = 255
    folder.mkdir(parents=True, exist_ok=True)
    write_idx(folder / "train-images-idx3-ubyte", images.astype(np.uint8))
    write_idx(folder / "train-labels-idx1-ubyte", labels.astype(np.uint8))
    (folder / "classes.txt").write_text("across\ndown\n")
    return folder


def config(folder: Path, *, family: str = "cnn", training: TrainConfig = TRAINING) -> ImagesConfig:
    """Return a run on them, with everything that draws by chance."""
    parts = {"mlp": {"hidden": (8,)}, "cnn": {"channels": (4,), "hidden": (8,)}, "resnet": {"channels": (4, 4)}}
    return ImagesConfig(
        data=ImageDataConfig(source=str(folder), validation_fraction=0.2, test_fraction=0.25),
        augment=AugmentConfig(degrees=10, translate=0.1, scale=0.1, erase=0.3),
        model=VisionConfig(family=family, dropout=0.2, **parts[family]),  # type: ignore[arg-type]
        label_smoothing=0.1,
        mixup=0.2,
        training=training,
    )
