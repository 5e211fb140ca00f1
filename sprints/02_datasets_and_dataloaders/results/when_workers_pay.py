"""Shows when workers pay, and what keeping and prefetching buy: torch's DataLoader and ours, by the cost of an image.

A loader makes batches, and a model is trained on them. What is done at the same time saves time: so a worker process
pays where making a batch takes about as long as a step or longer, and there is a core for it. Where a batch is there at
once, its way from process to process only costs. `persistent_workers` keeps the processes for the next epoch.
`prefetch_factor` is how many batches each makes ahead: it covers a batch that is slow to come. Measure on your machine.
"""

import sys
import time
import warnings
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from torch.utils.data import DataLoader as TorchLoader

from groundup.data.image_augment import RandomAffine
from groundup.data.image_dataset import ImageDataset
from groundup.engine.loader import DataLoader

OUT = Path("runs/sprints/02_datasets_and_dataloaders")
LOADERS = {"groundup": DataLoader, "torch": TorchLoader}
N, B, STEP = 320, 32, 0.008
IMAGES = np.random.default_rng(0).random((N, 28, 28), dtype=np.float32)


def costly(image: np.ndarray, random: np.random.Generator, times: int = 0, slow: float = 0) -> np.ndarray:
    """Return an image after so many affine transforms; with a chance of `slow`, 40 ms later."""
    for _ in range(times):
        image = RandomAffine(10, 0.1)(image, random)
    if random.random() < slow:
        time.sleep(0.04)
    return image


def waits(name: str, transform: object, step: float, n_epochs: int = 1, **settings: object) -> np.ndarray:
    """Return the milliseconds that training, `step` seconds for a batch, waits for each batch: [epochs, batches]."""
    loader, found = LOADERS[name](ImageDataset(IMAGES, np.arange(N), transform), batch_size=B, **settings), []
    for _ in range(n_epochs):
        asked = time.perf_counter()
        for _ in loader:
            found.append(1e3 * (time.perf_counter() - asked))
            time.sleep(step)  # a device trains: this process only waits for it
            asked = time.perf_counter()
    return np.array(found).reshape(n_epochs, -1)


def plot(curves: dict, bars: dict, path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, *others) = plt.subplots(1, 3, figsize=(12, 4.3), width_ratios=(1.5, 1, 1))
    figure.suptitle("Workers pay where making a batch takes about as long as a step, or longer")
    for (name, n), points in curves.items():
        style = {"color": f"C{name == 'torch':d}", "label": f"{name}, {n} worker{'s'[: n - 1]}"}
        left.plot(*np.transpose(points), ("o--", "o-")[n - 1], **style)
    left.axhline(1, color="#888888", linestyle=":", linewidth=1)
    left.axvline(1e3 * STEP, color="#888888", linestyle=":", linewidth=1)
    left.set(title="An epoch, against one without workers", xlabel="ms to make a batch (dotted: a training step)")
    left.set(ylabel="times as fast", xscale="log", xticks=[1, 3, 10, 30, 100], xticklabels=[1, 3, 10, 30, 100])
    left.legend()
    for panel, (title, found) in zip(others, bars.items(), strict=True):
        at = np.arange(len(found))
        for i, name in enumerate(LOADERS):
            drawn = panel.bar(at + 0.38 * i, [row[name] for row in found.values()], 0.36, label=name)
            panel.bar_label(drawn, fmt="%.0f", padding=2, fontsize=9, color="#333333")
        panel.set(title=title, ylabel="ms", ymargin=0.2, xticks=at + 0.19, xticklabels=list(found))
        panel.legend(loc="upper right")
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    warnings.filterwarnings("ignore", "This DataLoader will create")  # torch's, on a machine with one core
    print(f"{N} images in batches of {B}, {1e3 * STEP:.0f} ms of training for each. Seconds for an epoch:\n"
          "loader       ms to make a batch   no worker   1 worker   2 workers")  # fmt: skip
    curves = {(name, n): [] for name in LOADERS for n in (1, 2)}
    for name in LOADERS:
        for times in (0, 1, 2, 4):
            dial = partial(costly, times=times)
            cost = float(np.median(waits(name, dial, 0)))
            taken = [waits(name, dial, STEP, num_workers=n).sum() / 1e3 + N / B * STEP for n in (0, 1, 2)]
            curves[name, 1].append((cost, taken[0] / taken[1]))
            curves[name, 2].append((cost, taken[0] / taken[2]))
            print(f"{name:<13}{cost:>18.1f}{taken[0]:>12.2f}{taken[1]:>11.2f}{taken[2]:>12.2f}")
    kept = {what: {name: waits(name, None, 0, 2, num_workers=1, persistent_workers=keep)[1, 0] for name in LOADERS}
            for what, keep in (("started anew", False), ("kept", True))}  # fmt: skip
    late = {f"{n} ahead": {name: waits(name, partial(costly, slow=0.02), 0.02, num_workers=1, prefetch_factor=n).sum()
                           for name in LOADERS} for n in (1, 2, 8)}  # fmt: skip
    bars = {"To the first batch of a second epoch": kept, "Waits of an epoch, some images slow": late}
    for title, found in bars.items():
        print(f"\n{title}, one worker, ms:")
        for what, row in found.items():
            print(f"  {what:<14}{'   '.join(f'{name} {taken:.1f}' for name, taken in row.items())}")
    out.mkdir(parents=True, exist_ok=True)
    plot(curves, bars, out / "when_workers_pay.png")
    print(f"plot: {out / 'when_workers_pay.png'}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
