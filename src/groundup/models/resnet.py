"""A small residual network: blocks of two convolutions with a shortcut around them (He et al. 2015).

Shapes: B images, C channels, H rows, W columns, N classes.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.vision import VisionConfig
from groundup.layers.convolution import convolution
from groundup.models.mlp import linear_layers, settled


class BasicBlock(nn.Module):
    """relu(F(x) + x), F being two 3 x 3 convolutions with a ReLU between them (He et al. 2015, figure 2).

    The block has only to learn what is to be added to its input, and the gradient has a way around it: F(x) + x has the
    derivative F' + 1. Where the block changes the shape, the shortcut is a 1 x 1 convolution with the same stride
    (section 3.3, option B).

    Args:
        n_in: channels that come in.
        n_out: channels that go out.
        stride: 2 halves height and width.
        groups: see `convolution`.
        skip: False leaves the shortcut out.

    Example:
        >>> import torch
        >>> block = BasicBlock(8, 16, stride=2, groups=4)
        >>> block(torch.zeros(5, 8, 28, 28)).shape, block.shortcut.conv.kernel_size
        (torch.Size([5, 16, 14, 14]), (1, 1))
    """

    def __init__(self, n_in: int, n_out: int, *, stride: int = 1, groups: int = 8, skip: bool = True) -> None:
        super().__init__()
        self.first = convolution(n_in, n_out, stride=stride, groups=groups)
        self.second = convolution(n_out, n_out, groups=groups)
        self.shortcut: nn.Module | None = None
        if skip and (stride != 1 or n_in != n_out):
            self.shortcut = convolution(n_in, n_out, kernel_size=1, stride=stride, groups=groups)
        elif skip:
            self.shortcut = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return what the block makes of x: [B, n_in, H, W] -> [B, n_out, H / stride, W / stride]."""
        learned = self.second(F.relu(self.first(x)))
        return F.relu(learned if self.shortcut is None else learned + self.shortcut(x))


class ResNet(nn.Module):
    """Images in, logits of the classes out.

    One convolution, stages of blocks (the first block of each stage but the first halves height and width), the mean
    over the image, a linear layer: the layout of He et al. 2015, section 4.2, for small images.

    Args:
        config: of family resnet, with image_size and n_classes.

    Raises:
        InputError: image_size or n_classes is open.

    Example:
        >>> import torch
        >>> config = VisionConfig(family="resnet", image_size=(28, 28), n_classes=10, channels=(8, 16), blocks=2)
        >>> ResNet(config)(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 10])
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        _, n_classes = settled(config)
        self.stem = convolution(config.image_channels, config.channels[0], groups=config.groups)
        self.pools = config.stem_pool
        self.blocks = nn.ModuleList()
        for stage, (n_in, n_out) in enumerate(pairwise((config.channels[0], *config.channels))):
            for i in range(config.blocks):
                stride = 2 if stage and not i else 1
                self.blocks.append(
                    BasicBlock(n_out if i else n_in, n_out, stride=stride, groups=config.groups, skip=config.skip)
                )
        self.head = linear_layers(config.channels[-1], (), n_classes, dropout=config.dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, N] of images [B, C, H, W]."""
        x = F.relu(self.stem(images))
        x = F.max_pool2d(x, 2) if self.pools else x
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits
