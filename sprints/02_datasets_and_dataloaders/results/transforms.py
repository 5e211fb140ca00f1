"""Shows transforms: Compose, ToTensor, Normalize with the dataset's statistics, and a class of one's own.

A transform is a function from an image to an image; a dataset has one as an argument and applies it to each image it
gives. `ToTensor` makes of bytes from 0 … 255 floats from 0 … 1 and puts a dimension for the channel in front.
`Normalize` moves and scales them to mean 0 and deviation 1: a network's first weights are made for inputs of that size.
Mean and deviation are of the training images, computed once. `Compose` does one after the other.

A class with `__call__(self, image, random)` is a transform too. What it draws from `random` is decided by seed, epoch
and the image's index, and by nothing else.
"""

import inspect
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup.configs.image_data import ImageDataConfig
from groundup.data.image_dataset import ImageDataset
from groundup.data.image_preprocessing import dataset_statistics
from groundup.data.image_sets import load_images
from groundup.data.image_transforms import Compose, Normalize, ToTensor
from groundup.data.images import is_here

OUT = Path("runs/sprints/02_datasets_and_dataloaders")


class Dust:
    """Sets a share of the pixels to full ink: a custom transform."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return a float image with dust on it."""
        return np.where(random.random(image.shape) < self.share, np.float32(1), image)


def plot(steps: dict[str, np.ndarray], path: Path) -> None:
    """Draw one image after each step, and how often all images have each value then."""
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(2, len(steps), figsize=(11, 5.6), height_ratios=(1.5, 1))
    figure.suptitle("What each step does to an image, and to the values of all images")
    for column, (name, images) in enumerate(steps.items()):
        shown = panels[0, column].imshow(images[0].reshape(images.shape[-2:]), cmap="gray_r")
        panels[0, column].set(title=name, xticks=[], yticks=[])
        panels[0, column].spines[:].set(visible=True, color="#CCCCCC")
        figure.colorbar(shown, ax=panels[0, column], shrink=0.8, pad=0.02)
        values = images.ravel()
        panels[1, column].hist(values, 40, color="C0")
        panels[1, column].axvline(values.mean(), color="C1")
        panels[1, column].set(yscale="log", xlabel=f"mean {values.mean():.3g}, deviation {values.std():.3g}")
    panels[1, 0].set_ylabel("pixels")
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    images = load_images(ImageDataConfig(source="mnist" if is_here(train=False) else "digits")).train
    mean, std = dataset_statistics(images.images)
    print(f"dataset_statistics of {len(images):,} training images: mean {mean:.4f}, deviation {std:.4f}")
    print(f"as NumPy has them: mean {(images.images / 255).mean():.4f}, deviation {(images.images / 255).std():.4f}\n")
    print(inspect.getsource(Dust))

    whole = Compose([ToTensor(), Dust(0.02), Normalize(mean, std)])
    print(f"transform = {whole}".replace(str(whole.transforms[1]), "Dust(0.02)"))
    dataset = ImageDataset(images.images, images.labels, transform=whole, seed=0)
    image, label = dataset[0]
    print(f"dataset[0] = (array {image.dtype} {image.shape} from {image.min():.2f} to {image.max():.2f}, {label})")
    again = ImageDataset(images.images, images.labels, transform=whole, seed=0)
    other = ImageDataset(images.images, images.labels, transform=whole, seed=1)
    print(f"the same seed, epoch and index: equal {np.array_equal(image, again[0][0])}")
    print(f"another seed: equal {np.array_equal(image, other[0][0])}")
    again.set_epoch(1)
    print(f"another epoch: equal {np.array_equal(image, again[0][0])}")

    print("\nafter                 element type   from … to             mean   deviation")
    every_third = list(range(0, len(images), 3))
    steps = {"as stored": images.images[every_third]}
    for i, name in enumerate(("ToTensor", "Dust(0.02)", "Normalize")):
        part = ImageDataset(images.images, images.labels, transform=Compose(whole.transforms[: i + 1]), seed=0)
        steps[name] = part.fetch_batch(every_third)[0]
    for name, found in steps.items():
        span = f"{found.min():.2f} … {found.max():.2f}"
        print(f"{name:<22}{found.dtype!s:<15}{span:<18}{found.mean():>8.2f}{found.std():>12.2f}")
    print("\nDust comes before Normalize here, so it moves the statistics a little: they are those of clean images.")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "transforms.png"
    plot(steps, path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
