"""Shows batch size, shuffle and drop_last: who comes when, what seed and epoch decide, and why sorted data needs it."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup.engine.loader import DataLoader, sample_generator

OUT = Path("runs/sprints/02_datasets_and_dataloaders")
N, B = 48, 8


def order_of(loader: DataLoader) -> list[int]:
    return [index for batch in loader for index in batch.tolist()]


def noise_of(samples: list[int]) -> list[tuple[int, float]]:
    """Collate: put beside each sample a number drawn for it, as an augmentation would draw it."""
    return [(index, round(sample_generator(index).random(), 3)) for index in samples]


def shares(classes: list[int], shuffle: bool) -> np.ndarray:
    """Return the share of class 1 in each batch of an epoch."""
    return np.array([batch.numpy().mean() for batch in DataLoader(classes, 32, shuffle, seed=0)])


def plot(orders: dict[str, list[list[int]]], sorted_: np.ndarray, shuffled: np.ndarray, path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure = plt.figure(figsize=(10, 6.5))
    figure.suptitle("Batches and shuffling")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.1, 1))
    for panel, (name, epochs) in zip(top.subplots(1, len(orders), sharey=True), orders.items(), strict=True):
        image = panel.imshow(np.array(epochs), aspect="auto", vmin=0, vmax=N - 1)
        panel.set(title=name, xlabel=f"position in the epoch (lines: batches of {B})")
        panel.set_yticks(range(len(epochs)), [f"epoch {epoch}" for epoch in range(len(epochs))])
        panel.set_xticks(range(0, N, 2 * B))
        for edge in range(B, N, B):
            panel.axvline(edge - 0.5, color="white", linewidth=1.5)
        for edge in range(1, len(epochs)):
            panel.axhline(edge - 0.5, color="white", linewidth=3)
    top.colorbar(image, ax=top.axes, label="index of the sample")
    panel = bottom.subplots()
    panel.plot(sorted_, "s-", label="shuffle=False: data sorted by class")
    panel.plot(shuffled, "o-", label="shuffle=True")
    panel.axhline(0.5, color="#888888", linestyle=":", linewidth=1)
    panel.text(len(sorted_) - 0.4, 0.5, "all data", va="center", color="#555555", fontsize=9)
    panel.set(title="Share of class 1 in each batch of 32", xlabel="batch", ylabel="share", ylim=(-0.08, 1.08))
    panel.set_xticks(range(0, len(sorted_), 2))
    panel.legend(loc="upper left")
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    plain = DataLoader(range(N), B)
    mixed = DataLoader(range(N), B, shuffle=True, seed=0)
    orders = {name: [order_of(loader) for _ in range(4)]
              for name, loader in {"shuffle=False": plain, "shuffle=True": mixed}.items()}  # fmt: skip
    print(f"{N} samples in batches of {B}: {len(mixed)} batches. First batch of each epoch, shuffled:")
    for epoch, order in enumerate(orders["shuffle=True"]):
        print(f"  epoch {epoch}: {order[:B]}  each index once: {sorted(order) == list(range(N))}")
    mixed.set_epoch(2)
    print(f"set_epoch(2), as in a resumed run: the order of epoch 2: {order_of(mixed) == orders['shuffle=True'][2]}")
    workers = order_of(DataLoader(range(N), B, shuffle=True, seed=0, num_workers=2))
    print(f"Two worker processes: the same order {workers == orders['shuffle=True'][0]}")

    print("\nbatch_size   drop_last   batches   samples in the last   left out")
    for batch_size in (1, 7, 8, 48, 100):
        for drop_last in (False, True):
            sizes = [batch.numel() for batch in DataLoader(range(N), batch_size, drop_last=drop_last)]
            print(f"{batch_size:>10}{drop_last!s:>12}{len(sizes):>10}{(sizes or [0])[-1]:>22}{N - sum(sizes):>11}")

    print("\nRandomness inside a dataset, drawn from sample_generator(index), by epoch and number of workers:")
    for n_workers in (0, 2):
        loader = DataLoader(range(4), 4, collate_fn=noise_of, num_workers=n_workers, seed=0)
        print(f"  {n_workers} workers: epoch 0 {next(iter(loader))}")
        print(f"             epoch 1 {next(iter(loader))}")

    classes = [0] * 320 + [1] * 320  # as a folder of images for each class is read
    in_order, shuffled = shares(classes, False), shares(classes, True)
    print("\n640 samples sorted by class. Share of class 1 in batches of 32: deviation from 0.5")
    print(f"  not shuffled {np.abs(in_order - 0.5).mean():.2f}, shuffled {np.abs(shuffled - 0.5).mean():.2f}", end="")
    print(f" (chance: {np.sqrt(2 / np.pi) * 0.5 / np.sqrt(32):.2f})")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "batches_and_shuffling.png"
    plot(orders, in_order, shuffled, path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
