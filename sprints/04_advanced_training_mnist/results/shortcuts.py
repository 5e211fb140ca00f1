"""Shows what the shortcuts of a ResNet are for: gradients of a deep network with and without them, and what it learns.

A deep network without shortcuts hands its image from layer to layer, each of which makes something else of it; on the
way back the gradient is multiplied by every layer's slopes. After forty layers what arrives at the first ones says
little about them. A block with a shortcut gives relu(F(x) + x): if F is nothing, x goes through as it is, and the
gradient has a way on which nothing is multiplied. So more layers are no worse than fewer to begin with, and they learn.
"""

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.image_data import ImageDataConfig
from groundup.configs.vision import VisionConfig
from groundup.data.image_batches import ImageBatches
from groundup.data.image_preprocessing import dataset_statistics, preprocessing
from groundup.data.image_sets import load_images
from groundup.models.vision import build_vision
from groundup.training.optimizers import AdamW

OUT = Path("runs/sprints/04_advanced_training_mnist")
CONFIG = VisionConfig(family="resnet", image_size=(8, 8), n_classes=10, channels=(8,), groups=4)
BLOCKS, STEPS, B = (3, 20), 150, 32


def gradient_by_block(model: nn.Module, images: Tensor, labels: Tensor) -> list[float]:
    """Return the norm of the loss's gradient at the output of each block, the first block first."""
    seen: list[Tensor] = []
    hooks = [block.register_forward_hook(lambda _, __, out: seen.append(out)) for block in model.blocks]
    loss = F.cross_entropy(model(images), labels)
    for hook in hooks:
        hook.remove()
    return [gradient.norm().item() for gradient in torch.autograd.grad(loss, seen)]


def alikeness(model: nn.Module, images: Tensor) -> float:
    """Return how alike (cosine) the gradients at two images are that differ by a hundredth of their deviation."""
    both = []
    for x in (images, images + 0.01 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))):
        x.requires_grad_()
        both.append(torch.autograd.grad(model(x)[:, 0].sum(), x)[0].flatten(1))
    return F.cosine_similarity(*both).mean().item()


def learn(model: nn.Module, batches: ImageBatches) -> list[float]:
    """Train for STEPS steps and return the loss of each."""
    optimizer, losses = AdamW(model.parameters(), lr=3e-3), []
    for step in range(STEPS):
        images, labels = map(torch.from_numpy, batches.at(step))
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(out: Path = OUT) -> None:
    train = load_images(ImageDataConfig(source="digits")).train
    batches = ImageBatches(train, preprocessing(*dataset_statistics(train.images)), B, seed=0)
    images, labels = map(torch.from_numpy, batches.at(0))
    print(f"{len(train):,} digits of 8 x 8, blocks of two 3 x 3 convolutions of 8 channels, {STEPS} steps of {B}")
    print(f"{'':<28}gradient at the first   how alike gradients of      mean loss of the")
    print(f"{'':<28}block, the last's = 1   nearly equal images are     last 20 steps")
    found = {}
    for blocks in BLOCKS:
        for skip in (True, False):
            model = build_vision(replace(CONFIG, blocks=blocks, skip=skip), seed=0)
            flow, alike = gradient_by_block(model, images, labels), alikeness(model, images.clone())
            losses = learn(model, batches)
            name = f"{2 * blocks + 1} convolutions, {'shortcuts' if skip else 'none'}"
            found[name] = (skip, blocks, flow, losses)
            print(f"{name:<28}{flow[0] / flow[-1]:>21.3g}{alike:>26.2f}{np.mean(losses[-20:]):>21.3f}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4))
    figure.suptitle("A deep network with shortcuts around every two convolutions, and without")
    for name, (skip, blocks, flow, losses) in found.items():
        style = {"color": "C0" if skip else "C1", "linestyle": "-" if blocks == max(BLOCKS) else ":", "label": name}
        left.plot(np.linspace(0, 1, len(flow)), np.array(flow) / flow[-1], **style)
        right.plot(np.convolve(losses, np.ones(10) / 10, "valid"), **style)
    left.set(title="Gradient before training, last block = 1", xlabel="place in the network", yscale="log")
    left.set_xticks([0, 1], ["first block", "last"])
    right.set(title="Loss while learning (mean of ten steps)", xlabel="step", ylabel="nats", ylim=0)
    right.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "shortcuts.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
