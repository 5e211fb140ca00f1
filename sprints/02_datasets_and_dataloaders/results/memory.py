"""Shows what a loader keeps in memory: arrays that are read whole and memory-mapped ones, prefetch, kept batches."""

import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup.engine.loader import ArrayDataset, DataLoader

OUT = Path("runs/sprints/02_datasets_and_dataloaders")
N, B = 16_000, 64
MB = 1e6


def peak_of_epoch(path: Path, mmap_mode: str | None) -> tuple[float, float]:
    """Return the megabytes allocated after opening an array file, and at most during an epoch of 64-row batches."""
    tracemalloc.start()
    images = np.load(path, mmap_mode=mmap_mode)  # type: ignore[call-overload]
    opened = tracemalloc.get_traced_memory()[0] / MB
    for _ in DataLoader(ArrayDataset(images), B, shuffle=True, seed=0):
        pass
    peak = tracemalloc.get_traced_memory()[1] / MB
    tracemalloc.stop()
    return opened, peak


def now_and_then(samples: list[int]) -> list[int]:
    """Collate: a batch takes 2 ms, and every eighth 40 ms, as when a new file is opened."""
    time.sleep(0.04 if samples[0] % 32 == 28 else 0.002)
    return samples


def waits(prefetch: int) -> list[float]:
    """Return the milliseconds that training waits for each batch; a step takes 10 ms, more than a batch on average."""
    found = []
    batches = iter(DataLoader(range(128), 4, num_workers=1, prefetch_factor=prefetch, collate_fn=now_and_then))
    time.sleep(0.2)  # so that the start of the worker is not in it
    for _ in range(32):
        started = time.perf_counter()
        next(batches)
        found.append(1e3 * (time.perf_counter() - started))
        time.sleep(0.01)
    return found


def plot(peaks: dict[str, tuple[float, float]], waited: dict[int, list[float]], path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.5), width_ratios=(1, 1.7))
    figure.suptitle("What a loader keeps in memory, and what prefetching buys")
    heights = [peak for _, peak in peaks.values()]
    left.bar(range(len(peaks)), heights, 0.55, color=["C1", "C0"])
    for x, height in enumerate(heights):
        left.text(x, height + 0.5, f"{height:.1f} MB", ha="center", color="#333333")
    left.set_xticks(range(len(peaks)), list(peaks))
    left.set(title="Memory allocated in an epoch", ylabel="MB", ylim=(0, 1.15 * max(heights)))
    for prefetch, marker in zip(waited, "osD", strict=True):
        right.plot(waited[prefetch], f"{marker}-", markersize=4, label=f"prefetch_factor={prefetch}")
    right.set(title="Wait for each batch; every 8th is slow to make", xlabel="batch", ylabel="milliseconds")
    right.legend(loc="upper center", ncols=3, columnspacing=1, handlelength=1.4)
    right.set_ylim(-1, 1.3 * max(map(max, waited.values())))
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.save(path, np.random.default_rng(0).integers(0, 256, (N, 28, 28), dtype=np.uint8))
        print(f"{N:,} images in a file of {path.stat().st_size / MB:.1f} MB; an epoch in shuffled batches of {B}")
        print("np.load            MB after opening   MB at most")
        peaks = {}
        for name, mode in {"read whole": None, "memory-mapped": "r"}.items():
            peaks[name] = peak_of_epoch(path, mode)
            print(f"{name:<15}{peaks[name][0]:>20.2f}{peaks[name][1]:>13.2f}")
    print("Mapped pages are the system's: it reads them when touched and takes them back when memory is short.")

    size = B * 28 * 28 * 4
    print(f"\nShared memory: workers x prefetch_factor x batch = 2 x 2 x {size / MB:.2f} MB = {4 * size / MB:.2f} MB")
    kept = [batch.numpy() for (batch,) in DataLoader(ArrayDataset(np.eye(64)), 16, num_workers=2)]
    print(f"Batches that are kept stay what they were: {np.array_equal(np.concatenate(kept), np.eye(64))}")

    waited = {prefetch: waits(prefetch) for prefetch in (1, 2, 8)}
    print("\nprefetch_factor   longest wait for a batch   all waits of 32 batches")
    for prefetch, found in waited.items():
        print(f"{prefetch:>15}{max(found):>24.1f} ms{sum(found):>23.1f} ms")
    out.mkdir(parents=True, exist_ok=True)
    figure_path = out / "memory.png"
    plot(peaks, waited, figure_path)
    print(f"plot: {figure_path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
