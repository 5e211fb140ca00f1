"""Images per second into training: our batches, and torch's DataLoader with transforms written for one image each.

All do the same to each image: bytes to floats, turned, moved and enlarged by chance, and normalized. torch's way is
what torchvision's classes do, image by image (ToTensor; RandomAffine: a grid of points, then grid_sample; Normalize),
written here with torch's own functions, for torchvision has no build for every torch. Where torchvision is installed,
its own affine transform is measured too. A turn is one epoch; those with workers contain their start and their end.
"""

import functools
import importlib.util
import math
import os
import statistics
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader as TorchLoader

from benchmarks import alternate
from groundup.configs.image_data import AugmentConfig, ImageDataConfig
from groundup.data.image_batches import ImageBatches
from groundup.data.image_dataset import ImageDataset
from groundup.data.image_preprocessing import preprocessing
from groundup.data.image_sets import load_images
from groundup.engine.loader import DataLoader

BATCH, DEGREES, TRANSLATE, SCALE = 64, 10.0, 0.1, 0.1
MEAN, STD = 0.1307, 0.3081


def affine_by_torch(image):
    """Return a float image [1, H, W] as torchvision's RandomAffine makes it."""
    angle, scale, across, down = (2 * torch.rand(4) - 1).tolist()
    angle, scale = math.radians(DEGREES * angle), 1 + SCALE * scale
    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    across, down = 2 * TRANSLATE * across, 2 * TRANSLATE * down  # a side is 2 long
    theta = torch.tensor([[cosine, -sine, sine * down - cosine * across],
                          [sine, cosine, -sine * across - cosine * down]])  # fmt: skip
    grid = F.affine_grid(theta[None], [1, *image.shape], align_corners=False)
    return F.grid_sample(image[None], grid, align_corners=False)[0]


def steps(affine, image):
    """Return an image to float, varied, and normalized: torchvision's Compose of three."""
    return affine(torch.from_numpy(image)[None].float().div(255)).sub(MEAN).div(STD)


class ByTorch:
    """A dataset as a user of torchvision writes it: one image at a time."""

    def __init__(self, images, transform):
        self.images, self.labels, self.transform = images.images, images.labels, transform

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.transform(self.images[index]), int(self.labels[index])


def contenders(images, n_workers):
    """Return by name what deals out one epoch."""
    ours = preprocessing(MEAN, STD, AugmentConfig(degrees=DEGREES, translate=TRANSLATE, scale=SCALE))
    dataset = ImageDataset(images.images, images.labels, ours)
    settings = {"batch_size": BATCH, "shuffle": True, "num_workers": n_workers}
    batches = ImageBatches(images, ours, BATCH, seed=0)
    per_image = ByTorch(images, functools.partial(steps, affine_by_torch))
    found = {
        "torch DataLoader, transforms per image": lambda: drain(TorchLoader(per_image, **settings)),
        "torch DataLoader, ImageDataset": lambda: drain(TorchLoader(dataset, **settings)),
        "groundup DataLoader, ImageDataset": lambda: drain(DataLoader(dataset, **settings)),
    }
    if importlib.util.find_spec("torchvision"):
        from torchvision import transforms

        affine = transforms.RandomAffine(DEGREES, (TRANSLATE, TRANSLATE), (1 - SCALE, 1 + SCALE),
                                         interpolation=transforms.InterpolationMode.BILINEAR)  # fmt: skip
        theirs = ByTorch(images, functools.partial(steps, affine))
        found["torch DataLoader, torchvision"] = lambda: drain(TorchLoader(theirs, **settings))
    if not n_workers:
        found["groundup ImageBatches"] = lambda: drain(map(batches.at, range(batches.steps_per_epoch)))
    return found


def drain(batches):
    for _ in batches:
        pass


def same_images(images):
    """Refuse to compare what is not the same work: our affine transform and torch's, of the same numbers."""
    from groundup.data.image_warp import affine_matrices, warp

    image = images.images[0].astype(np.float32) / 255
    torch.manual_seed(0)
    theirs = affine_by_torch(torch.from_numpy(image)[None]).numpy()[0]
    torch.manual_seed(0)
    angle, scale, across, down = (2 * torch.rand(4) - 1).tolist()
    moves = np.array([[TRANSLATE * across * image.shape[1], TRANSLATE * down * image.shape[0]]])
    matrices = affine_matrices(np.deg2rad([DEGREES * angle]), np.array([1 + SCALE * scale]), moves)
    if np.abs(warp(image[None], matrices)[0] - theirs).max() > 1e-4:  # float32 coordinates up to 28
        raise SystemExit("the images differ")


def run(tiny):
    here = (Path(os.environ.get("GROUNDUP_DATA", "shared/data")) / "mnist").exists() and not tiny
    images = load_images(ImageDataConfig(source="mnist" if here else "digits", full_mnist=False)).train
    images = images.take(np.arange(100 if tiny else len(images)))
    same_images(images)
    turns = 2 if tiny else 5
    rows = []
    for n_workers in (0,) if tiny else (0, 1, 2):
        times = alternate(contenders(images, n_workers), turns)
        base = times["torch DataLoader, transforms per image"]
        for who, taken in times.items():
            ratios = [theirs / ours for theirs, ours in zip(base.wall, taken.wall, strict=True)]
            rows.append({"workers": n_workers, "who": who, **taken.columns(),
                         "images/s": f"{len(images) / taken.median:,.0f}",
                         "x transforms per image": f"{statistics.median(ratios):.2f}",
                         "lowest – highest": f"{min(ratios):.2f} – {max(ratios):.2f}"})  # fmt: skip
    side = " x ".join(map(str, images.images.shape[1:]))
    what = (
        f"An epoch of {len(images):,} images of {side} in shuffled batches of {BATCH}, each turned by up to "
        f"{DEGREES:g} degrees, moved by up to {TRANSLATE:g} of its side, scaled by up to {SCALE:g}, and normalized; "
        f"{turns} turns each, in turn; torch with its own threads. Turns with workers contain their start (fork) and "
        "end; CPU s is that of the main process alone."
    )
    return {"what": what, "rows": rows}
