"""Shows TensorBoard: what a SummaryWriter writes, a time-stamped folder for each run, and what is read back from two.

A SummaryWriter appends to an event file in its folder: numbers under a tag and a step (add_scalar), pictures
(add_image), texts. TensorBoard shows every folder that has such a file as one run, and puts runs under one roof side by
side. So each run gets a folder of its own, and the time is a name that never comes twice and sorts by itself.
"""

import io
import sys
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from groundup.configs.training import ComputeConfig, EvaluationConfig
from groundup.recipes.vision import digits_mlp
from groundup.training.kinds import start
from groundup.training.run_folder import stamped

OUT = Path("runs/sprints/04_advanced_training_mnist")
RATES = (3e-3, 3e-4)


def by_hand(folder: Path) -> None:
    """Write three numbers and a picture, and nothing of ours: this is all there is to it."""
    with SummaryWriter(log_dir=str(folder)) as writer:
        for step, loss in enumerate((2.3, 1.1, 0.4)):
            writer.add_scalar("train/loss", loss, step)
        writer.add_image("a/square", np.zeros((8, 8, 3), np.uint8), 0, dataformats="HWC")


def train(folder: Path, rate: float) -> None:
    told = digits_mlp()
    training = replace(
        told.training, steps=300, learning_rate=rate, device="cpu", log_every=5, compute=ComputeConfig(threads=1),
        evaluation=EvaluationConfig(every_steps=50),
    )  # fmt: skip
    start(replace(told, training=training), folder, console=Console(quiet=True))


def events_of(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})  # 0: keep all
    events.Reload()
    return events


def main(out: Path = OUT) -> None:
    now = datetime(2026, 11, 22, 8, 15)
    runs = {}
    with tempfile.TemporaryDirectory() as place:
        by_hand(stamped(Path(place) / "by-hand", now))
        for rate in RATES:
            folder = stamped(Path(place) / "digits-mlp", now)  # groundup train digits-mlp --stamp
            train(folder, rate)
            runs[rate] = events_of(folder)
            now += timedelta(minutes=1)
        for path in sorted(Path(place).rglob("events.out.tfevents.*")):
            print(f"{path.parent.relative_to(place).as_posix()}/  one event file, {path.stat().st_size:,} bytes")
    print("\ntag                                   points      first       last")
    for tag in runs[RATES[0]].Tags()["scalars"]:
        points = runs[RATES[0]].Scalars(tag)
        print(f"{tag:<36}{len(points):>8}{points[0].value:>11.4g}{points[-1].value:>11.4g}")
    for tag in runs[RATES[0]].Tags()["images"]:
        print(f"{tag:<36}{len(runs[RATES[0]].Images(tag)):>8}   pictures, one for each evaluation")
    print("\nTo look at them, while they train too:")
    print("  tensorboard --logdir runs/digits-mlp        then open http://localhost:6006")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(2, 3, figsize=(13, 7.4))
    figure.suptitle("Two runs of digits-mlp, from their event files")
    scalars = ("train/loss", "validation/loss", "validation/accuracy", "train/learning_rate")
    for panel, tag in zip((*panels[0], panels[1, 0]), scalars, strict=True):
        for rate, events in runs.items():
            points = events.Scalars(tag)
            panel.plot([point.step for point in points], [point.value for point in points], label=f"peak {rate:g}")
        panel.set(title=tag, xlabel="step")
    panels[0, 0].legend()
    for panel, tag in zip(panels[1, 1:], ("validation/confusion", "validation/mistakes"), strict=True):
        newest = runs[RATES[0]].Images(tag)[-1]
        panel.imshow(plt.imread(io.BytesIO(newest.encoded_image_string)), interpolation="antialiased")
        panel.set(title=f"{tag}, step {newest.step}")
        panel.set_axis_off()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "tensorboard_folders.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
