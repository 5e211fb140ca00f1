"""Shows built-in datasets: MNIST with root, train and download, what is kept after the first time, and the three parts.

A published dataset is some files at an address. `root` is the folder in which they are looked for, `download` says
whether they may be fetched when they are not there, and a checksum tells whether what is there is what was published.
`train` picks one of the two parts that the authors of MNIST made: 60,000 images to learn from, 10,000 to be tested on.

Of the images to learn from a third part is held out, for validation. It is looked at all the time: when to stop, which
settings are best. So it is no longer a fair test; the test part is kept for the end, and measured once.
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import matplotlib.pyplot as plt
import numpy as np

from groundup.configs.image_data import ImageDataConfig
from groundup.data.image_cache import unpacked_idx
from groundup.data.image_idx import map_idx, read_idx
from groundup.data.image_sets import ImageSplits, load_images
from groundup.data.images import TEST, is_here, mnist
from groundup.errors import InputError

OUT = Path("runs/sprints/02_datasets_and_dataloaders")


def from_a_root(root: Path) -> None:
    """Ask three times for MNIST's test part in a folder: not allowed to fetch it, then allowed, then it is there."""
    with tempfile.TemporaryDirectory() as empty, patch.dict(os.environ, GROUNDUP_DATA=empty, GROUNDUP_CACHE=empty):
        try:
            mnist(train=False, root=root, download=False)
        except InputError as error:
            print(f"download=False: {str(error).replace(str(root), 'root')}")
    for turn in ("first time", "second time"):
        started = time.perf_counter()
        images, labels = mnist(train=False, root=root)
        taken = time.perf_counter() - started
        print(f"{turn}: {images.shape} {images.dtype}, {labels.shape} {labels.dtype}, {taken:.2f} s")
    print(f"root holds {', '.join(sorted(file.name for file in root.iterdir()))}")


def kept(root: Path) -> None:
    """Unpack a file once into the cache, and map it from then on."""
    print("\nA gzipped file is unpacked each time it is read; kept unpacked, it is only mapped:")
    zipped = root / next(iter(TEST))
    with patch.dict(os.environ, GROUNDUP_CACHE=str(root / "cache")):
        for what in ("read", "mapped, first", "mapped again"):
            started = time.perf_counter()
            found = read_idx(zipped) if what == "read" else map_idx(unpacked_idx(zipped))
            taken = 1e3 * (time.perf_counter() - started)
            print(f"  {what:<14}{taken:>7.1f} ms   {type(found).__name__:<8} {found.shape}")


def plot(splits: ImageSplits, path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    parts = {"training": splits.train, "validation": splits.validation, "test": splits.test}
    figure = plt.figure(figsize=(10, 7))
    figure.suptitle("Three parts of a dataset: learned from, looked at, and kept for the end")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.25, 1))
    panels = top.subplots(3, 10)
    for row, (name, part) in zip(panels, parts.items(), strict=True):
        for digit, panel in enumerate(row):
            panel.imshow(part.images[np.flatnonzero(part.labels == digit)[0]], cmap="gray_r", vmin=0, vmax=255)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set(visible=True, color="#CCCCCC")
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    panel = bottom.subplots()
    for i, (name, part) in enumerate(parts.items()):
        share = 100 * part.counts / len(part)
        panel.bar(np.arange(10) + (i - 1) * 0.27, share, 0.25, label=f"{name}, {len(part):,} images")
    panel.set(title="Share of each digit in each part", ylabel="percent", xlim=(-0.6, 9.6), ylim=(0, 15.5))
    panel.set_xticks(range(10), splits.train.class_names)
    panel.tick_params(axis="x", length=0)
    panel.legend(loc="upper center", ncols=3)
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    splits = load_images(ImageDataConfig(source="mnist" if is_here(train=False) else "digits"))
    if is_here(train=False):
        with tempfile.TemporaryDirectory() as folder:
            from_a_root(Path(folder))
            kept(Path(folder))
    else:
        print("MNIST is not here: set GROUNDUP_DATA to a folder with it, or call mnist(train=False) online")
    print(f"\n{splits.said}")
    for name, part in (("training", splits.train), ("validation", splits.validation), ("test", splits.test)):
        print(f"  {name:<11}{len(part):>6,} images; of each digit {part.counts.min()} … {part.counts.max()}")
    print(load_images(ImageDataConfig(source="digits")).said)
    out.mkdir(parents=True, exist_ok=True)
    plot(splits, out / "built_in_datasets.png")
    print(f"plot: {out / 'built_in_datasets.png'}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
