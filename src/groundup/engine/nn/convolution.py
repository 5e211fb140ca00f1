"""Layers for images: convolution, pooling, and flattening in front of a linear layer."""

import math
from typing import Any

from groundup.engine import creation, functional
from groundup.engine.dtypes import float32
from groundup.engine.nn import init
from groundup.engine.nn.module import Module
from groundup.engine.nn.parameter import Parameter
from groundup.engine.ops.windows import Pair, pair
from groundup.engine.tensor import Tensor


class Conv2d(Module):
    """Cross images with learned kernels: [B, in_channels, H, W] -> [B, out_channels, OH, OW].

    Weight and bias begin uniform in ±1/√fan_in, fan_in = in_channels · kh · kw, as torch's do (see `nn.Linear`).

    Args:
        in_channels: of the images.
        out_channels: number of kernels.
        kernel_size: one number, or height and width; so are the next three.
        stride: pixels from one place of the kernel to the next.
        padding: zeros added on each side.
        dilation: pixels from one number of the kernel to the next.
        bias: whether a number is added to each output channel.
        dtype: of the parameters.

    Example:
        >>> Conv2d(3, 8, kernel_size=3, padding=1)(creation.zeros(2, 3, 6, 6)).shape
        (2, 8, 6, 6)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        bias: bool = True,
        *,
        dtype: Any = float32,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size, self.stride = (
            pair("Conv2d", "kernel_size", kernel_size, 1),
            pair("Conv2d", "stride", stride, 1),
        )
        self.padding, self.dilation = pair("Conv2d", "padding", padding, 0), pair("Conv2d", "dilation", dilation, 1)
        self.weight = Parameter(creation.zeros(out_channels, in_channels, *self.kernel_size, dtype=dtype))
        self.register_parameter("bias", Parameter(creation.zeros(out_channels, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw initial weights anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(max(1, init.fan_in(self.weight)))
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Return the images crossed with the kernels."""
        return functional.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        """Return the sizes and what is not the default, as torch writes them."""
        line = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        line += f", padding={self.padding}" if self.padding != (0, 0) else ""
        line += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        return line + (", bias=False" if self.bias is None else "")


class MaxPool2d(Module):
    """Keep the largest number of each window: [B, C, H, W] -> [B, C, OH, OW].

    Args:
        kernel_size: one number, or height and width; so are the next two.
        stride: pixels from one window to the next; by default kernel_size, windows side by side.
        padding: -∞ added on each side.

    Example:
        >>> MaxPool2d(2)(creation.zeros(1, 8, 6, 6)).shape
        (1, 8, 3, 3)
    """

    def __init__(self, kernel_size: int | Pair, stride: int | Pair | None = None, padding: int | Pair = 0) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """Return the largest numbers."""
        return functional.max_pool2d(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        """Return the sizes as torch writes them."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class Flatten(Module):
    """Make one dimension of several: by default all but the first, [B, C, H, W] -> [B, C · H · W].

    Args:
        start_dim: first of them.
        end_dim: last of them.

    Example:
        >>> Flatten()(creation.zeros(2, 3, 4, 5)).shape
        (2, 60)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        """Return x with the dimensions joined."""
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Return the dimensions as torch writes them."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
