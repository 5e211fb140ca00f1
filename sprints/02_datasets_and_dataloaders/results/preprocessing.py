"""Shows training versus validation preprocessing: what augmentation gains, and what wrong preprocessing costs.

Training images are varied; validation images are not, for a measurement should say how good the model is on images as
they are, and say the same twice. What both share is the scale: the mean and deviation of the training images, for the
network has learned what ink looks like on that scale. Other numbers raise no error: the model only looks worse.

A small perceptron soon knows 800 images by heart. Where they are varied it cannot, and learns more.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from groundup.configs.image_data import AugmentConfig, ImageDataConfig
from groundup.data.image_batches import ImageBatches
from groundup.data.image_dataset import ImageDataset
from groundup.data.image_preprocessing import dataset_statistics, preprocessing
from groundup.data.image_sets import ImageSet, load_images
from groundup.data.image_transforms import Compose, ToTensor
from groundup.data.images import is_here

OUT = Path("runs/sprints/02_datasets_and_dataloaders")
N, B, EPOCHS = 800, 50, 25
VARIED = AugmentConfig(degrees=15, translate=0.08, scale=0.12)


@torch.no_grad()
def percent_right(model: nn.Module, images: ImageSet, transform: Compose, epoch: int = 0) -> float:
    dataset = ImageDataset(images.images, images.labels, transform, seed=1)
    dataset.set_epoch(epoch)
    inputs, labels = dataset.fetch_batch(list(range(len(images))))
    return 100 * float((model(torch.from_numpy(inputs)).argmax(1).numpy() == labels).mean())


def train(images: ImageSet, held_out: ImageSet, augment: AugmentConfig) -> tuple[nn.Module, list[tuple[float, float]]]:
    """Return a model, and the percentages of its images, as they are, and of others that it has right each epoch."""
    statistics = dataset_statistics(images.images)
    plain = preprocessing(*statistics)
    batches = ImageBatches(images, preprocessing(*statistics, augment), B, seed=0)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(images.images[0].size, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer, found = torch.optim.Adam(model.parameters(), lr=2e-3), []
    for step in range(EPOCHS * N // B):
        inputs, labels = map(torch.from_numpy, batches.at(step))
        optimizer.zero_grad()
        F.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        if (step + 1) % (N // B) == 0:
            found.append((percent_right(model, images, plain), percent_right(model, held_out, plain)))
    return model, found


def plot(curves: dict[str, list[tuple[float, float]]], mistakes: dict[str, float], path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), width_ratios=(1.15, 1))
    figure.suptitle("Training images are varied, validation images are not; their scale is the same")
    for (name, found), colour in zip(curves.items(), ("C1", "C0"), strict=True):
        known, unknown = zip(*found, strict=True)
        left.plot(range(1, EPOCHS + 1), known, ":", color=colour, label=f"{name}: learned from")
        left.plot(range(1, EPOCHS + 1), unknown, color=colour, label=f"{name}: held out")
    left.set(title=f"{N} images to learn from", xlabel="epoch", ylabel="percent right", ylim=(70, 101))
    left.legend(loc="lower right")
    right.barh(range(len(mistakes)), mistakes.values(), 0.6, color=["C0"] + ["C1"] * (len(mistakes) - 1))
    right.bar_label(right.containers[0], fmt="%.1f", padding=4, color="#333333", fontsize=9)
    right.set_yticks(range(len(mistakes)), mistakes)
    right.invert_yaxis()
    right.set(title="The same model, validation images prepared", xlabel="percent right", xlim=(0, 108))
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    torch.set_num_threads(1)
    splits = load_images(ImageDataConfig(source="mnist" if is_here(train=False) else "digits"))
    images, held_out = splits.train.take(np.arange(N)), splits.validation
    print(f"{N} images to learn from, {len(held_out):,} held out; {EPOCHS} epochs. Percent right:")
    curves = {}
    for name, augment in (("as they are", AugmentConfig()), ("varied", VARIED)):
        model, curves[name] = train(images, held_out, augment)  # the second one is used below
        print(f"  {name:<13}learned from {curves[name][-1][0]:>6.1f}   held out {curves[name][-1][1]:.1f}")
    mean, std = dataset_statistics(images.images)
    plain = preprocessing(mean, std)
    ways = {"as in training, not varied": plain, "varied": preprocessing(mean, std, VARIED),
            "not normalized": Compose([ToTensor()]), "mean and deviation swapped": preprocessing(std, mean),
            "ink and paper swapped": Compose([np.invert, plain])}  # fmt: skip
    print("\nThe same model on the same held-out images, prepared in other ways, three times each:")
    turns = {name: [percent_right(model, held_out, way, epoch) for epoch in range(3)] for name, way in ways.items()}
    for name, found in turns.items():
        print(f"  {name:<30}{'  '.join(f'{one:.1f}' for one in found)}")
    out.mkdir(parents=True, exist_ok=True)
    plot(curves, {name: found[0] for name, found in turns.items()}, out / "preprocessing.png")
    print(f"plot: {out / 'preprocessing.png'}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
