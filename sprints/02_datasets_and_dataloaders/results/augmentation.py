"""Shows augmentation: training images turned, moved, enlarged and partly blanked, another way each epoch.

A digit that is turned a little is the same digit. So each time an image comes it is varied, and a network never sees it
twice the same: it cannot learn its pixels by heart, and learns what stays. Variation ends where the class would change:
turned by half a turn, a 6 is a 9.

What is drawn for an image is a function of (seed, epoch, index): it does not matter in which batch the image comes, or
which worker process makes it. So a run can be repeated, and resumed in the middle of an epoch.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup.configs.image_data import ImageDataConfig
from groundup.data.image_augment import RandomAffine, RandomErasing, RandomRotation
from groundup.data.image_dataset import ImageDataset
from groundup.data.image_sets import ImageSet, load_images
from groundup.data.image_transforms import Compose, ToTensor
from groundup.data.images import is_here
from groundup.engine.loader import DataLoader

OUT = Path("runs/sprints/02_datasets_and_dataloaders")
EPOCHS = 7
KINDS = {
    "RandomRotation(25)": RandomRotation(25),
    "RandomAffine(translate=0.15)": RandomAffine(translate=0.15),
    "RandomAffine(scale=0.3)": RandomAffine(scale=0.3),
    "RandomErasing(0.7)": RandomErasing(0.7),
    "all of them": Compose([RandomAffine(25, 0.15, 0.3), RandomErasing(0.7)]),
}


def as_dealt(images: ImageSet, transform: object, n_workers: int, batch_size: int) -> np.ndarray:
    """Return the images of an epoch in their order, from a loader."""
    dataset = ImageDataset(images.images, images.labels, transform=transform, seed=0)
    return np.concatenate([batch.numpy() for batch, _ in DataLoader(dataset, batch_size, num_workers=n_workers)])


def mean_pixel_distance(images: np.ndarray) -> float:
    """Return how far apart two images are on average, as the root of their squared differences."""
    flat = images.reshape(len(images), -1)
    return float(np.mean([np.linalg.norm(flat[i] - flat[j]) for i in range(len(flat)) for j in range(i)]))


def plot(images: ImageSet, path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(len(KINDS), EPOCHS + 1, figsize=(10, 6.9))
    figure.suptitle("Augmentation: an image as it is stored, and as it comes in seven epochs")
    for row, (name, transform) in enumerate(KINDS.items()):
        dataset = ImageDataset(images.images, images.labels, transform=Compose([ToTensor(), transform]), seed=0)
        index = int(np.flatnonzero(images.labels == (4, 7, 2, 5, 3)[row])[0])
        shown = [ToTensor()(images.images[index])]
        for epoch in range(EPOCHS):
            dataset.set_epoch(epoch)
            shown.append(dataset[index][0])
        for column, (panel, image) in enumerate(zip(panels[row], shown, strict=True)):
            panel.imshow(image[0], cmap="gray_r", vmin=0, vmax=1)
            panel.set(xticks=[], yticks=[])
            panel.spines[:].set(visible=True, color="#0072B2" if column == 0 else "#CCCCCC")
            if row == 0:
                panel.set_title("stored" if column == 0 else f"epoch {column - 1}", loc="center")
        panels[row, 0].set_ylabel(name.replace("(", "\n("), rotation=0, ha="right", va="center")
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    images = load_images(ImageDataConfig(source="mnist" if is_here(train=False) else "digits")).validation
    varied = Compose([ToTensor(), KINDS["all of them"]])
    first = as_dealt(images, varied, n_workers=0, batch_size=64)
    print(f"{len(images)} images, varied; the epoch made once more, equal to the first to the bit:")
    for n_workers, batch_size in ((0, 7), (1, 64), (2, 50)):
        equal = np.array_equal(first, as_dealt(images, varied, n_workers, batch_size))
        print(f"  {n_workers} workers, batches of {batch_size:<3} {equal}")

    dataset = ImageDataset(images.images, images.labels, transform=varied, seed=0)
    print("\nHow far an image is from itself in other epochs, and from other images of its class:")
    for digit in (0, 1, 8):
        members = np.flatnonzero(images.labels == digit)[:30]
        epochs = []
        for epoch in range(EPOCHS):
            dataset.set_epoch(epoch)
            epochs.append(dataset[int(members[0])][0])
        others = np.stack([ToTensor()(image) for image in images.images[members]])
        print(
            f"  {digit}: itself {mean_pixel_distance(np.stack(epochs)):.1f}, others {mean_pixel_distance(others):.1f}"
        )
    out.mkdir(parents=True, exist_ok=True)
    path = out / "augmentation.png"
    plot(images, path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
