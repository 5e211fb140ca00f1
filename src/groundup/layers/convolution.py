"""A convolution and the normalization behind it: what the models of images are made of.

Shapes: B images, C channels, H rows, W columns.
"""

from collections import OrderedDict

from torch import nn


def convolution(n_in: int, n_out: int, *, kernel_size: int = 3, stride: int = 1, groups: int = 8) -> nn.Sequential:
    """Return a Conv2d that keeps height and width, divided by `stride`, and a GroupNorm: [B, C, H, W] in and out.

    GroupNorm (Wu and He 2018) computes mean and variance of each image alone, over a group of its channels. BatchNorm
    (Ioffe and Szegedy 2015) takes them over the batch: then what is learned from an image would hang on how a step is
    cut into micro-batches, and a forward pass would change the model. The convolution needs no bias, for the norm
    subtracts the mean and has one of its own.

    The weights are normal with deviation √(2 / (kernel_size² · n_out)), so that gradients keep their size through ReLU
    (He et al. 2015, "Delving deep into rectifiers", equation 14), from torch's default generator.

    Args:
        n_in: channels that come in.
        n_out: channels that go out.
        kernel_size: an odd number.
        stride: 1, or 2 to halve height and width, rounded up.
        groups: of channels, fewer where a group would have less than two, or not equally many; 0: no norm.

    Example:
        >>> import torch
        >>> layer = convolution(1, 8, stride=2, groups=2)
        >>> layer(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 8, 14, 14])
        >>> convolution(1, 8, groups=0).conv.bias.shape
        torch.Size([8])
    """
    conv = nn.Conv2d(n_in, n_out, kernel_size, stride, padding=kernel_size // 2, bias=groups == 0)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    norm = nn.GroupNorm(n_groups(n_out, groups), n_out) if groups else nn.Identity()
    return nn.Sequential(OrderedDict(conv=conv, norm=norm))


def n_groups(n_channels: int, most: int) -> int:
    """Return how many groups of at least two channels each, all of a size, there are: at most `most`.

    Example:
        >>> n_groups(32, 8), n_groups(8, 8), n_groups(12, 8), n_groups(1, 8)
        (8, 4, 6, 1)
    """
    fitting = [n for n in range(1, most + 1) if n_channels % n == 0 and (n_channels >= 2 * n or n == 1)]
    return max(fitting)
