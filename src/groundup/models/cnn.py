"""A convolutional network: stages of convolutions, each ended by max-pooling, then linear layers.

Shapes: B images, C channels, H rows, W columns, N classes.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.vision import VisionConfig
from groundup.layers.convolution import convolution
from groundup.models.mlp import linear_layers, settled


class CNN(nn.Module):
    """Images in, logits of the classes out (LeCun et al. 1998, with the parts that are used today).

    A kernel is moved over the whole image, so a stroke is found wherever it is, with few weights. Pooling halves height
    and width: later kernels see more of the image, and small shifts change little.

    Args:
        config: of family cnn, with image_size and n_classes.

    Raises:
        InputError: image_size or n_classes is open, or the images are too small for so many stages.

    Example:
        >>> import torch
        >>> config = VisionConfig(image_size=(28, 28), n_classes=10, channels=(8, 16), blocks=2, hidden=(32,))
        >>> model = CNN(config)
        >>> model(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
        >>> model.features(torch.zeros(5, 1, 28, 28)).shape  # halved twice
        torch.Size([5, 16, 7, 7])
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        (height, width), n_classes = settled(config)
        self.stages = nn.ModuleList()
        for n_in, n_out in pairwise((config.image_channels, *config.channels)):
            sizes = [n_in] + [n_out] * config.blocks
            self.stages.append(
                nn.ModuleList(
                    convolution(i, o, kernel_size=config.kernel_size, groups=config.groups) for i, o in pairwise(sizes)
                )
            )
        halvings = len(config.channels)
        n_features = config.channels[-1] * (height >> halvings) * (width >> halvings)
        self.head = linear_layers(n_features, config.hidden, n_classes, dropout=config.dropout)

    def features(self, images: Tensor) -> Tensor:
        """Return what the last stage makes of images [B, C, H, W]: [B, channels, H / 2^stages, W / 2^stages]."""
        x = images
        for stage in self.stages:
            for layer in stage:  # type: ignore[attr-defined] # a ModuleList
                x = F.relu(layer(x))
            x = F.max_pool2d(x, 2)
        return x

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, N] of images [B, C, H, W]."""
        logits: Tensor = self.head(self.features(images).flatten(1))
        return logits
