"""Named runs that learn to tell images apart: functions that return an `ImagesConfig`, with their reasons."""

from collections.abc import Callable

from groundup.configs.image_data import AugmentConfig, ImageDataConfig
from groundup.configs.images import ImagesConfig
from groundup.configs.optimizer import OptimizerConfig
from groundup.configs.training import CheckpointConfig, EvaluationConfig, ScheduleConfig, TrainConfig
from groundup.configs.vision import VisionConfig


def mnist_cnn() -> ImagesConfig:
    """Handwritten digits by a convolutional network: 10,000 images, under three minutes on two cores.

    To expect of the test images: at least 98.5 % of 1,500 right, where only MNIST's 10,000 test images are here and are
    split (measured: sprints/04_advanced_training_mnist/results); at least 99.4 % of 10,000, where its 60,000 training
    images are here too, with as many epochs: --training.steps 10000 --training.evaluation.every-steps 1400 (not
    measured yet).
    """
    return ImagesConfig(
        data=ImageDataConfig(source="mnist"),
        augment=_AUGMENT,
        # Two stages of two 3 x 3 convolutions: each number before the linear layers has seen 16 x 16 pixels.
        model=VisionConfig(family="cnn", channels=(16, 32), blocks=2, hidden=(128,), dropout=0.3),
        label_smoothing=0.1,
        training=_training(steps=1_400, learning_rate=4e-3),
    )


def mnist_resnet() -> ImagesConfig:
    """Handwritten digits by a small residual network: 10,000 images, under three minutes on two cores.

    To expect, as of `mnist_cnn`: at least 98.8 % of 1,500 (measured), at least 99.4 % of 10,000 (not measured yet).
    """
    return ImagesConfig(
        data=ImageDataConfig(source="mnist"),
        augment=_AUGMENT,
        model=VisionConfig(family="resnet", channels=(32, 64), blocks=2, stem_pool=True),
        label_smoothing=0.1,
        training=_training(steps=1_000, learning_rate=4e-3),
    )


def digits_mlp() -> ImagesConfig:
    """scikit-learn's 1,797 digits of 8 x 8 by linear layers: seconds on one core, and no file is needed."""
    return ImagesConfig(
        data=ImageDataConfig(source="digits"),
        augment=AugmentConfig(degrees=8, translate=0.08, scale=0.08),
        model=VisionConfig(family="mlp", hidden=(128,), dropout=0.2),
        training=TrainConfig(
            steps=1_500,
            batch_size=64,
            learning_rate=3e-3,
            precision="float32",
            optimizer=OptimizerConfig(weight_decay=0.05),
            schedule=ScheduleConfig(warmup_steps=50, final_fraction=0.01),
            log_every=20,
            evaluation=EvaluationConfig(every_steps=150, patience=5),
            checkpoints=CheckpointConfig(every_steps=500),
        ),
    )


_AUGMENT = AugmentConfig(degrees=10, translate=0.08, scale=0.1)
"""What two hands would do to the same digit. More, and a turned 6 is another digit's shape."""


def _training(*, steps: int, learning_rate: float) -> TrainConfig:
    """Return the training of MNIST's recipes: the rate falls along a cosine; what was best is kept."""
    return TrainConfig(
        steps=steps,
        batch_size=64,
        learning_rate=learning_rate,
        precision="float32",
        optimizer=OptimizerConfig(weight_decay=0.05, beta2=0.99),
        schedule=ScheduleConfig(name="cosine", warmup_steps=100, final_fraction=0.005),
        log_every=20,
        evaluation=EvaluationConfig(every_steps=200, patience=4),
        checkpoints=CheckpointConfig(every_steps=1_000),
    )


RECIPES: dict[str, Callable[[], ImagesConfig]] = {
    "mnist-cnn": mnist_cnn,
    "mnist-resnet": mnist_resnet,
    "digits-mlp": digits_mlp,
}
"""Every one by the name the command line uses."""
