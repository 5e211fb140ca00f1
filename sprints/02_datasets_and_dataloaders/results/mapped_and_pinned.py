"""Shows memory-mapped images and pinned memory: what is read when, what it takes, and how a GPU is fed.

A file that is memory-mapped looks like an array and is not read: when an image is asked for, the system reads the page
in which it lies, and it may forget that page when memory is short. So a set may be larger than the memory, opening it
takes no time, and workers share the pages. A set that fits is as fast either way once it is read.

Pinned memory is memory that the system promises not to move. A GPU copies from it by itself, faster, and while the
processor goes on (`non_blocking=True`); ordinary memory is first copied into a pinned block, and one waits for it.
torch's DataLoader makes such batches with `pin_memory=True`. It cannot be lent to anything else: so it is for the few
batches that are ahead, not for the set.
"""

import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from groundup.data.image_idx import map_idx, read_idx, write_idx

OUT = Path("runs/sprints/02_datasets_and_dataloaders")
N, B, STEPS, MB = 60_000, 64, 200, 1e6


def taking(path: Path, mapped: bool) -> tuple[float, float, float]:
    """Return milliseconds to open a file of images, milliseconds for 200 batches by chance, and megabytes allocated."""
    rows = np.random.default_rng(1).integers(0, N, (STEPS, B))
    tracemalloc.start()
    started = time.perf_counter()
    images = map_idx(path) if mapped else read_idx(path)
    opened = time.perf_counter()
    for indices in rows:
        np.asarray(images[indices])
    done = time.perf_counter()
    peak = tracemalloc.get_traced_memory()[1] / MB
    tracemalloc.stop()
    return 1e3 * (opened - started), 1e3 * (done - opened), peak


def copies(n_bytes: int) -> dict[str, float]:
    """Return GB/s from ordinary and from pinned memory to the GPU."""
    found = {}
    for name in ("ordinary", "pinned"):
        block = torch.zeros(n_bytes, dtype=torch.uint8, pin_memory=name == "pinned")
        for _warm in range(2):  # the first only warms up
            torch.cuda.synchronize()
            started = time.perf_counter()
            for _ in range(20):
                block.to("cuda", non_blocking=True)
            torch.cuda.synchronize()
            found[name] = 20 * n_bytes / 1e9 / (time.perf_counter() - started)
    return found


def plot(found: dict[str, tuple[float, float, float]], speeds: dict[str, dict[str, float]], path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3 + bool(speeds), figsize=(10.5 + 3 * bool(speeds), 3.9))
    figure.suptitle(f"{N:,} images of 28 x 28 in a file of {N * 784 / MB:.0f} MB, read whole and memory-mapped")
    titles = ("To open it", f"{STEPS} batches of {B}", "Memory, at most")
    for i, (panel, title) in enumerate(zip(panels, titles, strict=False)):
        bars = panel.bar(list(found), [row[i] for row in found.values()], 0.55, color=["C1", "C0"])
        panel.bar_label(bars, fmt="%.1f", padding=2, color="#333333")
        panel.set(title=title, ylabel=("ms", "ms", "MB")[i])
        panel.tick_params(axis="x", length=0)
        panel.margins(y=0.12)
    for name, marker in (("ordinary", "s"), ("pinned", "o")) if speeds else ():
        panels[-1].plot(list(speeds), [row[name] for row in speeds.values()], f"{marker}-", label=name)
    if speeds:
        panels[-1].set(title="Copies to the GPU", ylabel="GB/s", ylim=(0, None))
        panels[-1].legend()
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.idx"
        write_idx(path, np.random.default_rng(0).integers(0, 256, (N, 28, 28), dtype=np.uint8))
        print(f"{N:,} images in a file of {path.stat().st_size / MB:.1f} MB")
        found = {"read whole": taking(path, False), "memory-mapped": taking(path, True)}
    for name, (opened, took, peak) in found.items():
        print(f"  {name:<15}opened in {opened:>6.1f} ms   {STEPS} batches {took:>6.1f} ms   {peak:>6.1f} MB allocated")
    speeds = {}
    if torch.cuda.is_available():
        speeds = {f"{n / MB:g} MB": copies(n) for n in (200_000, 13_000_000, 154_000_000)}
        for name, row in speeds.items():
            told = ", ".join(f"{kind} memory {speed:.1f} GB/s" for kind, speed in row.items())
            print(f"  {name:<7} to the GPU: {told}")
    else:
        print("Pinned memory: torch sees no GPU here, so there is nothing to copy to, and nothing to pin for")
    out.mkdir(parents=True, exist_ok=True)
    plot(found, speeds, out / "mapped_and_pinned.png")
    print(f"plot: {out / 'mapped_and_pinned.png'}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
