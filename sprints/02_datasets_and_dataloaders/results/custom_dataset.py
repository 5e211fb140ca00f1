"""Shows a custom dataset that makes its data itself: `__len__`, `__getitem__`, their types, and what a loader adds."""

import inspect
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup.engine.loader import DataLoader, Dataset, Subset, random_split

OUT = Path("runs/sprints/02_datasets_and_dataloaders")
N = 400


class Spirals(Dataset[tuple[np.ndarray, int]]):
    """Points on two interleaved spiral arms: sample i is (point [2] float32, arm 0 or 1)."""

    def __init__(self, n: int, seed: int = 0, noise: float = 0.02) -> None:
        numbers = np.random.default_rng(seed)  # the same seed makes the same points
        self.arms = np.arange(n) % 2
        radius = (1 + np.arange(n)) / n
        angle = np.pi * (3 * radius + self.arms)  # one and a half turns; the second arm begins opposite
        exact = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        self.points = (exact + noise * numbers.standard_normal((n, 2))).astype(np.float32)

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.points[index], int(self.arms[index])


def points_of(part: Dataset[tuple[np.ndarray, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return all points [N, 2] and arms [N] of a dataset, asked for one by one, as any user of it may."""
    samples = [part[i] for i in range(len(part))]
    return np.stack([point for point, _ in samples]), np.array([arm for _, arm in samples])


def plot(whole: Spirals, parts: list[Subset[tuple[np.ndarray, int]]], path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5.1), sharex=True, sharey=True)
    figure.suptitle("A dataset that makes its data itself")
    points, arms = points_of(whole)
    for arm, marker in enumerate("os"):
        left.plot(*points[arms == arm].T, marker, markersize=3.5, label=f"arm {arm}")
    drawn, _ = next(iter(DataLoader(whole, batch_size=32, shuffle=True, seed=0)))
    left.plot(*drawn.numpy().T, "o", markersize=9, markerfacecolor="none", markeredgecolor="black", markeredgewidth=1)
    left.plot([], [], "o", markersize=9, markerfacecolor="none", markeredgecolor="black", label="the first batch of 32")
    left.set(title=f"{len(whole)} samples, shuffled into batches", aspect="equal", xlabel="x", ylabel="y")
    for part, name, marker, size, colour in zip(
        parts, ("training", "validation"), "oD", (3, 5), ("#A0A8B0", "C2"), strict=True
    ):
        right.plot(*points_of(part)[0].T, marker, markersize=size, color=colour, label=f"{name}: {len(part)}")
    right.set(title="random_split: no sample in both", aspect="equal", xlabel="x")
    for panel in (left, right):
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=3, columnspacing=1.2, handletextpad=0.3)
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    spirals = Spirals(N, seed=0)
    print(f"A dataset says how many samples it has, and gives the one at an index:\n\n{inspect.getsource(Spirals)}")
    point, arm = spirals[250]
    print(f"len(spirals) = {len(spirals)}; spirals[250] = ({type(point).__name__} {point.shape} {point.dtype}, {arm})")
    again, other = Spirals(N, seed=0), Spirals(N, seed=1)
    same = [np.array_equal(point, made[250][0]) for made in (again, other)]
    print(f"Sample 250 made again with the same seed: equal {same[0]}; with another seed: equal {same[1]}.")

    loader = DataLoader(spirals, batch_size=32, shuffle=True, seed=0)
    points, arms = next(iter(loader))
    print(f"\n{len(loader)} batches of 32, the last of {N - 32 * (len(loader) - 1)}; the first one:")
    print(f"  points {list(points.shape)} {points.dtype}, arms {list(arms.shape)} {arms.dtype}: both engine Tensors")
    print(f"  arms {arms.tolist()[:16]} …")
    parts = random_split(spirals, [0.85, 0.15], seed=0)
    shared = set(parts[0].indices.tolist()) & set(parts[1].indices.tolist())
    print(f"random_split 0.85 / 0.15: {len(parts[0])} and {len(parts[1])} samples, {len(shared)} in both")

    pairs = [(word, len(word)) for word in ("any", "list", "is", "a", "dataset")]
    words, lengths = next(iter(DataLoader(pairs, batch_size=3)))
    print(f"A list is a dataset too: {words} {lengths.tolist()}")
    try:
        next(iter(DataLoader([np.zeros(3), np.zeros(4)], batch_size=2)))
    except ValueError as error:
        print(f"Samples of unequal shape: {error}")

    out.mkdir(parents=True, exist_ok=True)
    path = out / "custom_dataset.png"
    plot(spirals, parts, path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
