"""From a config to a model of images: the MLP, the CNN or the ResNet, with initial weights that a seed decides."""

from dataclasses import replace

import torch
from torch import nn

from groundup.configs.vision import VisionConfig
from groundup.errors import InputError
from groundup.models.cnn import CNN
from groundup.models.mlp import MLP
from groundup.models.resnet import ResNet

FAMILIES: dict[str, type[MLP] | type[CNN] | type[ResNet]] = {"mlp": MLP, "cnn": CNN, "resnet": ResNet}
"""What a config's family stands for."""


def build_vision(config: VisionConfig, *, seed: int) -> nn.Module:
    """Return the model of `config`, images [B, C, H, W] to logits [B, N], made on the CPU: every device starts alike.

    Args:
        config: with image_size and n_classes (`for_images` gives it those of the data).
        seed: decides the initial weights; torch's generators are left as they were.

    Raises:
        InputError: image_size or n_classes is open.

    Example:
        >>> config = VisionConfig(family="mlp", image_size=(8, 8), n_classes=10)
        >>> one, same = (build_vision(config, seed=0)(torch.ones(1, 1, 8, 8)) for _ in range(2))
        >>> torch.equal(one, same)
        True
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FAMILIES[config.family](config)


def for_images(config: VisionConfig, size: tuple[int, int], n_classes: int, *, n_channels: int = 1) -> VisionConfig:
    """Return `config` with what it leaves open taken from the images.

    Args:
        config: of a model.
        size: height and width of the images.
        n_classes: what they are told apart by.
        n_channels: numbers of a pixel.

    Raises:
        InputError: an image_size, n_classes or image_channels that is not the images', or images too small for the
            model.

    Example:
        >>> for_images(VisionConfig(channels=(8,)), (28, 28), 10).n_classes
        10
        >>> for_images(VisionConfig(channels=(8,), image_size=(32, 32)), (28, 28), 10)
        Traceback (most recent call last):
        groundup.errors.InputError: expected VisionConfig.image_size to be the images', (28, 28), found (32, 32): leave it out
    """  # noqa: E501 - the message is shown whole
    for name, found, given in (
        ("image_size", size, config.image_size),
        ("n_classes", n_classes, config.n_classes),
        ("image_channels", n_channels, config.image_channels),
    ):
        if given is not None and given != found:
            raise InputError(f"expected VisionConfig.{name} to be the images', {found}, found {given}: leave it out")
    return replace(config, image_size=size, n_classes=n_classes)
