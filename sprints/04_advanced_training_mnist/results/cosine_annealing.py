"""Shows cosine annealing: a learning rate that rises for a little while, then falls along a cosine, and its use.

A high learning rate crosses the landscape quickly, but it cannot settle: each step overshoots the bottom of the valley.
A low one settles, and takes for ever to get there. So the rate begins high and is let down to almost nothing. Half a
cosine stays high for long, falls fast in the middle and slowly at the end (Loshchilov and Hutter 2017, "SGDR").
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.console import Console

from groundup.configs.training import ComputeConfig, EvaluationConfig, ScheduleConfig
from groundup.recipes.vision import digits_mlp
from groundup.training.kinds import start
from groundup.training.metrics import read_metrics
from groundup.training.schedules import learning_rate

OUT = Path("runs/sprints/04_advanced_training_mnist")
STEPS, EVERY, SEEDS = 300, 15, (1, 2, 3)
PEAKS = (3e-3, 3e-2)
SCHEDULES = {
    "cosine": ScheduleConfig(name="cosine", warmup_steps=20, final_fraction=0.01),
    "constant": ScheduleConfig(name="constant", warmup_steps=20),
    "linear": ScheduleConfig(name="linear", warmup_steps=20, final_fraction=0.01),
}


def run(schedule: ScheduleConfig, rate: float, seed: int, folder: Path) -> np.ndarray:
    """Train recipe digits-mlp, shorter, and return the validation loss of each evaluation."""
    told = digits_mlp()
    training = replace(
        told.training, steps=STEPS, learning_rate=rate, schedule=schedule, seed=seed, device="cpu", log_every=100,
        evaluation=EvaluationConfig(every_steps=EVERY, sample_tokens=0), compute=ComputeConfig(threads=1),
    )  # fmt: skip
    start(replace(told, training=training), folder, console=Console(quiet=True))
    records = read_metrics(folder / "metrics.jsonl")
    return np.array([record["loss"] for record in records if record["kind"] == "validation"])


def apart_from_torch() -> float:
    """Return how far the cosine, without warmup, is from torch's CosineAnnealingLR, relative to the peak."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS - 1, eta_min=0.01)
    plain = ScheduleConfig(name="cosine", warmup_steps=0, final_fraction=0.01)
    config = replace(digits_mlp().training, steps=STEPS, learning_rate=1.0, schedule=plain)
    worst = 0.0
    for step in range(STEPS):
        worst = max(worst, abs(learning_rate(step, config) - torchs.get_last_lr()[0]))
        optimizer.step()
        torchs.step()
    return worst


def main(out: Path = OUT) -> None:
    print(
        f"the cosine beside torch's CosineAnnealingLR, {STEPS} steps: apart by {apart_from_torch():.0e} of the peak\n"
    )
    print(f"digits-mlp, {STEPS} steps, mean of {len(SEEDS)} seeds: validation loss at the end (lowest on the way)")
    print(f"{'peak learning rate':<22}" + "".join(f"{name:>18}" for name in SCHEDULES))
    curves = {}
    with tempfile.TemporaryDirectory() as place:
        for rate in PEAKS:
            row = f"{rate:<22}"
            for name, schedule in SCHEDULES.items():
                folders = [Path(place) / f"{rate}-{name}-{seed}" for seed in SEEDS]
                runs = [run(schedule, rate, seed, folder) for seed, folder in zip(SEEDS, folders, strict=True)]
                curves[rate, name] = np.mean(runs, axis=0)
                row += f"{f'{curves[rate, name][-1]:.3f} ({np.min(runs, axis=1).mean():.3f})':>18}"
            print(row)

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2))
    figure.suptitle("Three schedules of the learning rate")
    config = replace(digits_mlp().training, steps=STEPS, learning_rate=PEAKS[1])
    for name, schedule in SCHEDULES.items():
        rates = [learning_rate(step, replace(config, schedule=schedule)) for step in range(STEPS)]
        left.plot(rates, label=name)
        right.plot(np.arange(1, len(curves[PEAKS[1], name]) + 1) * EVERY, curves[PEAKS[1], name], "o-", label=name)
    left.set(title="Learning rate: 20 steps of warmup, then …", xlabel="step", ylim=0)
    left.legend()
    right.set(title="Validation loss with them, three seeds", xlabel="step", ylabel="nats", yscale="log")
    ticks = (0.03, 0.05, 0.1, 0.2, 0.4)
    right.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    right.minorticks_off()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "cosine_annealing.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
