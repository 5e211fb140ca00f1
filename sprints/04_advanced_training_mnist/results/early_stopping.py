"""Shows early stopping: patience, and the best weights restored, on a network that learns its images by heart.

A network that is trained for long on few images goes on to learn what is particular to them: the loss on those falls
and falls, the loss on images it does not see rises. So every now and then the validation loss is measured; the weights
with the lowest so far are kept; and when it has not been lowered for a number of times, the patience, the run ends and
the kept weights come back. Patience, because the loss swings: the first rise need not be the turn.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
from rich.console import Console

from groundup.configs.image_data import AugmentConfig, ImageDataConfig
from groundup.configs.training import ComputeConfig, EvaluationConfig, ScheduleConfig
from groundup.configs.vision import VisionConfig
from groundup.recipes.vision import digits_mlp
from groundup.training.early_stopping import EarlyStopping
from groundup.training.images import load_image_run
from groundup.training.kinds import start
from groundup.training.loop import Outcome
from groundup.training.metrics import read_metrics

OUT = Path("runs/sprints/04_advanced_training_mnist")
STEPS, EVERY = 300, 10


def run(folder: Path, patience: int | None) -> Outcome:
    """Train a wide perceptron on few digits that never vary, at a rate that does not fall."""
    training = replace(
        digits_mlp().training, steps=STEPS, learning_rate=1e-2, device="cpu", log_every=5,
        schedule=ScheduleConfig(name="constant", warmup_steps=5), compute=ComputeConfig(threads=1),
        evaluation=EvaluationConfig(every_steps=EVERY, sample_tokens=0, patience=patience),
    )  # fmt: skip
    data = ImageDataConfig(source="digits", test_fraction=0.5, validation_fraction=0.5)
    model = VisionConfig(family="mlp", hidden=(256, 256))
    config = replace(digits_mlp(), data=data, augment=AugmentConfig(), model=model, training=training)
    return start(config, folder, console=Console(quiet=True))


def curve(outcome: Outcome, kind: str) -> tuple[list[int], list[float]]:
    records = [record for record in read_metrics(outcome.run.metrics) if record["kind"] == kind]
    return [record["step"] for record in records], [record["loss"] for record in records]


def main(out: Path = OUT) -> None:
    stopping = EarlyStopping(patience=2)
    print("patience 2, validation losses one after the other:")
    for step, loss in enumerate((0.9, 0.6, 0.7, 0.5, 0.55, 0.52, 0.4), 1):
        told = "best so far, kept" if stopping.update(step, loss) else f"no best for {stopping.n_since_best}"
        print(f"  {step}  {loss:.2f}  {told}")
        if stopping.is_exhausted:
            print(f"  stop, and restore the weights of {stopping.best_step}")
            break

    print(f"\n{'patience':<12}{'ended at step':>15}{'best step':>12}{'validation loss':>18}{'test accuracy':>16}")
    rows = {}
    with tempfile.TemporaryDirectory() as place:
        for patience in (None, 3, 10):
            ended = run(Path(place) / str(patience), patience)
            used = load_image_run(ended.run.path, device="cpu")  # the best weights, as groundup evaluate takes them
            last = curve(ended, "validation")[1][-1]
            right = used.probabilities(used.splits.test).argmax(1) == used.splits.test.labels
            told = f"{last:.3f} -> {ended.metrics['loss']:.3f}" if patience else f"{last:.3f}, kept"
            rows[patience] = (ended.step, ended.best_step, curve(ended, "train"), curve(ended, "validation"))
            print(f"{patience or 'none':<12}{ended.step:>15}{ended.best_step:>12}{told:>18}{right.mean():>16.1%}")
    print("none: the run goes to its end and holds the last weights; its best checkpoint is marked all the same.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, axes = plt.subplots(figsize=(9, 4.4))
    _, _, (steps, train), (at, validation) = rows[None]
    axes.plot(steps, train, color="#B8CFE6", label="training")
    axes.plot(at, validation, color="C1", label="validation")
    for patience, color in ((3, "C2"), (10, "C3")):
        stopped, chosen, _, (_, losses) = rows[patience]
        axes.axvline(stopped, color=color, linestyle=":", label=f"patience {patience} ends the run")
        axes.plot(chosen, min(losses), "o", color=color, markersize=10, label="the weights that come back")
    axes.set(
        title="Loss on 449 digits that are learned, and on as many others", xlabel="step", ylabel="nats", ylim=(0, 0.85)
    )
    figure.suptitle("Early stopping: with too little patience, before the turn")
    axes.legend(ncols=3, loc="upper center", frameon=True, framealpha=1, edgecolor="none")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "early_stopping.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
