"""Shows all of it in one MNIST training program: a CNN, TensorBoard, cosine annealing, early stopping, best weights.

It is recipe mnist-cnn, shortened to a minute: of 10,000 images it learns three quarters, each varied a little every
time it comes; a tenth of what is left besides the test decides which weights are best and when to stop; the test images
are looked at once, at the end. By command, whole: groundup train mnist-cnn --stamp, then groundup evaluate RUN.
"""

import sys
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import matplotlib.pyplot as plt
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from groundup.configs.training import ComputeConfig, EvaluationConfig, ScheduleConfig
from groundup.evaluation.classification_text import classification_text
from groundup.evaluation.image_pictures import mistakes_picture
from groundup.recipes.vision import mnist_cnn
from groundup.training.images import evaluate_image_run, load_image_run
from groundup.training.kinds import start
from groundup.training.run_folder import stamped

OUT = Path("runs/sprints/04_advanced_training_mnist")
STEPS = 300


def main(out: Path = OUT) -> None:
    told = mnist_cnn()
    training = replace(
        told.training, steps=STEPS, device="cpu", compute=ComputeConfig(threads=1), log_every=5,
        schedule=ScheduleConfig(name="cosine", warmup_steps=30, final_fraction=0.005),
        evaluation=EvaluationConfig(every_steps=50, patience=3, sample_tokens=0),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        folder = stamped(Path(place) / "mnist-cnn", datetime.now())
        ended = start(replace(told, training=training), folder, console=Console(quiet=True))
        events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 1})
        events.Reload()
        found = evaluate_image_run(folder)
        loaded = load_image_run(folder, device="cpu")
        test = loaded.splits.test
        mistakes = mistakes_picture(test.images, test.labels, loaded.probabilities(test), test.class_names)
    curves = {
        tag: ([point.step for point in events.Scalars(tag)], [point.value for point in events.Scalars(tag)])
        for tag in ("train/loss", "validation/loss", "validation/accuracy", "train/learning_rate")
    }
    print(found.source)
    print(f"{sum(p.numel() for p in loaded.model.parameters()):,} parameters, {told.model.n_convolutions} convolutions")
    print("step   learning rate   validation loss   accuracy")
    rates = dict(zip(*curves["train/learning_rate"], strict=True))
    for step, loss, right in zip(*curves["validation/loss"], curves["validation/accuracy"][1], strict=True):
        best = "   best: its weights are used" if step == ended.best_step else ""
        print(f"{step:>4}{rates[step]:>16.5f}{loss:>18.4f}{right:>11.2%}{best}")
    print(f"\nOn the test images, never looked at before:\n\n{classification_text(found.report, 'images')}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, axes = plt.subplot_mosaic([["loss", "rate", "mistakes"], ["right", "right", "mistakes"]],
                                      figsize=(13, 5.6), width_ratios=(1, 1, 1.7))  # fmt: skip
    figure.suptitle("A convolutional network learns handwritten digits in a minute")
    axes["loss"].plot(*curves["train/loss"], color="#B8CFE6", label="training, smoothed targets")
    axes["loss"].plot(*curves["validation/loss"], "o-", color="C1", label="validation")
    axes["loss"].set(title="Loss", xlabel="step", ylabel="nats", ylim=0)
    axes["loss"].legend()
    axes["rate"].plot(*curves["train/learning_rate"])
    axes["rate"].set(title="Learning rate: warmup, then a cosine", xlabel="step", ylim=0)
    axes["right"].plot(*curves["validation/accuracy"], "o-", color="C1")
    axes["right"].set(title="Validation accuracy", xlabel="step")
    axes["right"].grid(axis="y")
    axes["mistakes"].imshow(mistakes, interpolation="antialiased")
    axes["mistakes"].set_axis_off()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "mnist_training.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
