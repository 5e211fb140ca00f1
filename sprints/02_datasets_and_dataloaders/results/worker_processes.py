"""Shows when worker processes pay: samples that cost nothing, that wait and that compute, with 0, 1 and 2 workers."""

import os
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup.engine.loader import ArrayDataset, DataLoader

OUT = Path("runs/sprints/02_datasets_and_dataloaders")
N, B = 320, 16
WORKERS = (0, 1, 2)
MILLISECOND = 1e-3


def wait(sample: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Return the sample after a millisecond of nothing, as a disk or a network takes it."""
    time.sleep(MILLISECOND)
    return sample


def compute(sample: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Return the sample after about a millisecond of work of this core, as decoding and augmenting take it."""
    end = time.process_time() + MILLISECOND
    while time.process_time() < end:
        sum(range(200))
    return sample


SAMPLES = {"are there already": None, "wait 1 ms each": wait, "compute 1 ms each": compute}


def seconds(dataset: ArrayDataset, n_workers: int, step: float) -> tuple[float, float]:
    """Return what an epoch takes, and what the first batch of it takes, with `step` seconds of training a batch."""
    loader = DataLoader(dataset, B, shuffle=True, num_workers=n_workers, seed=0)
    started, first = time.perf_counter(), 0.0
    for i, _ in enumerate(loader):
        first = first if i else time.perf_counter() - started
        time.sleep(step)  # a training step on a device: this process only waits for it
    return time.perf_counter() - started, first


def plot(found: dict[str, list[float]], floor: float, path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(8.5, 4.5))
    figure.suptitle("Worker processes pay where making a batch takes time")
    width = 0.26
    for bar in range(len(WORKERS)):
        at = np.arange(len(found)) + (bar - 1) * width
        heights = [row[bar] for row in found.values()]
        panel.bar(at, heights, width * 0.92, label=("no worker", "1 worker", "2 workers")[bar])
        for x, height in zip(at, heights, strict=True):
            panel.text(x, height + 0.01, f"{height:.2f}", ha="center", fontsize=9, color="#333333")
    panel.axhline(floor, color="#888888", linestyle=":", linewidth=1)
    panel.text(len(found) - 0.4, floor, "training\nalone", va="center", color="#555555", fontsize=9)
    panel.set_xticks(range(len(found)), [f"samples that {name}" for name in found])
    panel.tick_params(axis="x", length=0, labelsize=10)
    panel.set(title=f"An epoch of {N} samples in batches of {B}", ylabel="seconds", xlim=(-0.5, len(found) - 0.15))
    panel.legend(loc="upper left")
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    step = 0.008
    floor = step * N / B
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"An epoch of {N} samples, batches of {B}, {step * 1e3:.0f} ms of training for each; {cores} core(s).")
    print(f"Training alone is {floor:.2f} s. Seconds, the best of three:")
    print("samples that             no worker   1 worker   2 workers   workers save   first batch, no worker … 2")
    found = {}
    for name, transform in SAMPLES.items():
        dataset = ArrayDataset(np.random.default_rng(0).random((N, 28, 28), dtype=np.float32), transform=transform)
        runs = {n: min(seconds(dataset, n, step) for _ in range(3)) for n in WORKERS}
        found[name] = [runs[n][0] for n in WORKERS]
        saved = 1 - min(found[name][1:]) / found[name][0]
        times = "".join(f"{taken:>11.2f}" for taken in found[name])
        print(f"{name:<23}{times}{saved:>15.0%}{runs[0][1] * 1e3:>16.0f} ms … {runs[2][1] * 1e3:.0f} ms")
    print("\nWithout workers, making a batch and training on it take turns. A worker makes the next batches meanwhile:")
    print("the longer of the two is what is left, and two workers halve the making, where it waits or has a core each.")
    print("Where samples are there already, workers bring only their start and a copy of every batch.")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "worker_processes.png"
    plot(found, floor, path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
