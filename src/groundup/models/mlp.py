"""A multilayer perceptron for images: all pixels in a row, linear layers with ReLU between them.

Shapes: B images, C channels, H rows, W columns, N classes.
"""

import math
from itertools import pairwise

from torch import Tensor, nn

from groundup.configs.vision import VisionConfig
from groundup.errors import InputError


class MLP(nn.Module):
    """Images in, logits of the classes out.

    Every pixel has a weight of its own in the first layer: a digit that is moved by one pixel is another input.

    Args:
        config: of family mlp, with image_size and n_classes.

    Raises:
        InputError: image_size or n_classes is open.

    Example:
        >>> import torch
        >>> model = MLP(VisionConfig(family="mlp", image_size=(8, 8), n_classes=10, hidden=(32,)))
        >>> model(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        size, n_classes = settled(config)
        self.layers = linear_layers(
            config.image_channels * math.prod(size), config.hidden, n_classes, dropout=config.dropout
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, N] of images [B, C, H, W]."""
        logits: Tensor = self.layers(images.flatten(1))
        return logits


def linear_layers(n_in: int, hidden: tuple[int, ...], n_out: int, *, dropout: float) -> nn.Sequential:
    """Return linear layers of the widths `hidden`, ReLU behind each, and one to `n_out`: [B, n_in] -> [B, n_out].

    Weights before a ReLU are normal with deviation √(2 / inputs) (He et al. 2015); the last ones √(1 / inputs), so that
    the first predictions are near chance. Biases begin at zero.

    Example:
        >>> linear_layers(4, (8,), 2, dropout=0.0)
        Sequential(
          (0): Linear(in_features=4, out_features=8, bias=True)
          (1): ReLU()
          (2): Linear(in_features=8, out_features=2, bias=True)
        )
    """
    layers: list[nn.Module] = []
    for width, wider in pairwise((n_in, *hidden)):
        layers += [nn.Linear(width, wider), nn.ReLU()]
    layers += [nn.Dropout(dropout)] if dropout else []
    last = nn.Linear((n_in, *hidden)[-1], n_out)
    for layer in (*layers, last):
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear" if layer is last else "relu")
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers, last)


def settled(config: VisionConfig) -> tuple[tuple[int, int], int]:
    """Return image_size and n_classes.

    Raises:
        InputError: one of them is open.
    """
    if config.image_size is None or config.n_classes is None:
        raise InputError(
            "expected VisionConfig.image_size and n_classes, found them open: name them, or begin a run, which takes "
            "the data's"
        )
    return config.image_size, config.n_classes
