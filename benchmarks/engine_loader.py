"""Batches of 28 x 28 images per second: our hand-written loader and torch's, on the same datasets, by turns.

One sample at a time, both loaders call `dataset[i]` of one and the same dataset and stack 64 samples. A batch at once,
both ask that dataset once for each batch: ours by `fetch_batch`, torch's by `batch_size=None` and a sampler of batches.
Each turn is one epoch of a loader that is made for it; so the turns with workers contain their start and their end.
MNIST's 10,000 images are read from `$GROUNDUP_DATA/mnist`; without them those rows are left out.
"""

import gzip
import os
import statistics
from pathlib import Path

import numpy as np

from benchmarks import alternate

BATCH = 64
MNIST = "mnist/t10k-images-idx3-ubyte.gz"


class Images:
    """Float images and labels, made up: what a learner writes first."""

    def __init__(self, n):
        self.images = np.random.default_rng(0).random((n, 28, 28), dtype=np.float32)
        self.labels = np.arange(n) % 10

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]

    def fetch_batch(self, indices):  # noqa: D102
        return self.images[indices], self.labels[indices]


class Digits:
    """MNIST as it is stored, in bytes; each sample becomes floats when it is asked for."""

    def __init__(self, path, n):
        pixels = np.frombuffer(gzip.decompress(Path(path).read_bytes()), np.uint8, offset=16)
        self.images = pixels.reshape(-1, 28, 28)[:n]
        self.labels = np.arange(len(self.images)) % 10

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index].astype(np.float32) / 255, self.labels[index]

    def fetch_batch(self, indices):  # noqa: D102
        return self.images[indices].astype(np.float32) / 255, self.labels[indices]


class ByOne:
    """A dataset without its way of giving a batch at once."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        return self.dataset[index]


class ByBatch:
    """What torch's documentation advises for a batch at once: a dataset whose keys are lists of indices."""

    def __init__(self, dataset):
        self.dataset = dataset

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, indices):
        return self.dataset.fetch_batch(indices)


def ours(dataset, n_workers, at_once):
    from groundup.engine.loader import DataLoader

    dataset = dataset if at_once else ByOne(dataset)
    return lambda: read(DataLoader(dataset, BATCH, shuffle=True, num_workers=n_workers, seed=0), len(dataset))


def theirs(dataset, n_workers, at_once):
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler

    if at_once:
        order = BatchSampler(RandomSampler(dataset), BATCH, drop_last=False)
        return lambda: read(
            DataLoader(ByBatch(dataset), batch_size=None, sampler=order, num_workers=n_workers), len(dataset)
        )
    return lambda: read(DataLoader(ByOne(dataset), BATCH, shuffle=True, num_workers=n_workers), len(dataset))


def read(loader, n):
    """Go through an epoch, as a training loop would that takes no time."""
    found = 0
    for images, labels in loader:
        assert images.shape[1:] == (28, 28)
        found += len(labels)
    assert found == n


def run(tiny):
    turns = 1 if tiny else int(os.environ.get("LOADER_TURNS", 3))
    datasets = {"60,000 float images": Images(300 if tiny else 60_000)}
    mnist = Path(os.environ.get("GROUNDUP_DATA", "")) / MNIST
    if mnist.is_file():
        datasets["10,000 of MNIST, bytes"] = Digits(mnist, 300 if tiny else 10_000)
    rows = []
    for name, dataset in datasets.items():
        for at_once in (False, True):
            for n_workers in (0, 1) if tiny else (0, 1, 2):
                contenders = {"groundup": ours(dataset, n_workers, at_once),
                              "torch": theirs(dataset, n_workers, at_once)}  # fmt: skip
                if not n_workers:
                    for start in contenders.values():
                        start()  # not counted: imports, first touches
                times = alternate(contenders, turns)
                ratios = [t / o for o, t in zip(times["groundup"].wall, times["torch"].wall, strict=True)]
                for who, taken in times.items():
                    spread = f"{min(ratios):.2f} – {max(ratios):.2f}"
                    rows.append({"dataset": name, "fetched": "a batch at once" if at_once else "one by one",
                                 "workers": n_workers, "who": who, **taken.columns(),
                                 "images/s": f"{len(dataset) / taken.median:,.0f}",
                                 "x torch, turn by turn": "1" if who == "torch" else
                                 f"{statistics.median(ratios):.2f} ({spread})"})  # fmt: skip
    what = (
        f"An epoch in shuffled batches of {BATCH}, {turns} turns each, in turn; torch with its own threads. Turns "
        "with workers contain their start (fork) and end. CPU s is that of the main process alone."
    )
    return {"what": what, "rows": rows}
