"""Proofs of what images go through: warping against torch's, batches against single images, the residual block."""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from groundup.configs.image_data import AugmentConfig
from groundup.data.image_batches import ImageBatches
from groundup.data.image_dataset import ImageDataset
from groundup.data.image_preprocessing import preprocessing
from groundup.data.image_sets import ImageSet
from groundup.data.image_warp import affine_matrices, warp
from groundup.models.resnet import BasicBlock
from groundup.proofs.compare import apart, copy_parameters, gradient_pairs, randomized, values_and_gradients_apart
from groundup.proofs.table import Proof

N, EPOCHS = 50, 2


def _warp() -> float:
    """Return how far warped images are from those of torch, whose points count half sides from the centre."""
    random = np.random.default_rng(0)
    images = random.random((N, 1, 28, 20), dtype=np.float32)
    maps = affine_matrices(random.uniform(-np.pi, np.pi, N), random.uniform(0.8, 1.5, N), random.uniform(-6, 6, (N, 2)))
    half = np.array([20, 28]) / 2
    theta = np.concatenate([maps[:, :, :2] * half / half[:, None], maps[:, :, 2:] / half[:, None]], axis=2)
    grid = F.affine_grid(torch.from_numpy(theta), list(images.shape), align_corners=False)
    theirs = F.grid_sample(torch.from_numpy(images).double(), grid, align_corners=False)
    return apart(torch.from_numpy(warp(images, maps)).double(), theirs)


def _alone() -> float:
    """Return how many images of two epochs are others in the batches of a run than from torch's DataLoader."""
    pixels = np.random.default_rng(0).integers(0, 256, (N, 12, 12), dtype=np.uint8)
    images = ImageSet(pixels, np.arange(N, dtype=np.int64), tuple(map(str, range(N))))  # a label says which it is
    varied = preprocessing(0.5, 0.3, AugmentConfig(degrees=20, translate=0.1, scale=0.1, erase=0.5))
    dataset, batches = ImageDataset(images.images, images.labels, varied, seed=1), ImageBatches(images, varied, N, 1)
    differing = 0
    for epoch in range(EPOCHS):
        dataset.set_epoch(epoch)
        loader: DataLoader[Any] = DataLoader(dataset, batch_size=3)  # type: ignore[arg-type] # need not be torch's
        single = torch.cat([image for image, _ in loader])
        together, labels = batches.at(epoch)
        differing += int((torch.from_numpy(together) != single[torch.from_numpy(labels)]).flatten(1).any(1).sum())
    return differing


def _residual_block() -> float:
    """Return how far a block with a projection is from transformers', its norms exchanged for ours."""
    from transformers.models.resnet.modeling_resnet import ResNetBasicLayer

    ours, theirs = BasicBlock(4, 8, stride=2, groups=2).double(), ResNetBasicLayer(4, 8, stride=2)
    for layer in (*theirs.layer, theirs.shortcut):
        layer.normalization = nn.GroupNorm(2, 8)
    randomized(theirs.double())
    assert ours.shortcut is not None
    mine = [*ours.first.parameters(), *ours.second.parameters(), *ours.shortcut.parameters()]
    pairs = list(zip(mine, [*theirs.layer.parameters(), *theirs.shortcut.parameters()], strict=True))
    copy_parameters(pairs)
    images = torch.randn(3, 4, 9, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return values_and_gradients_apart(ours, theirs, [images], lambda: gradient_pairs(pairs))


PROOFS = (
    Proof(
        room="data",
        part="images turned, moved and scaled",
        reference="torch grid_sample, float64",
        bound=3e-5,
        why="points up to 50 in float32: 50 · 2^-24, a few times, between pixels that differ by up to 1",
        difference=_warp,
    ),
    Proof(
        room="data",
        part="images of two epochs in a run: differing",
        reference="made alone, torch DataLoader",
        bound=0.0,
        why="images are counted",
        difference=_alone,
    ),
    Proof(
        room="models",
        part="residual block: outputs, every gradient",
        reference="transformers ResNetBasicLayer",
        bound=1e-10,
        why="float64 sums of a few hundred products, in another order",
        difference=_residual_block,
        needs=("transformers",),
    ),
)
