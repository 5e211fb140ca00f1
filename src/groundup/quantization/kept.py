"""What layers in few bits have in common: how large they are, and buffers that move without being rounded."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn


class Sized(Protocol):
    """A linear layer, by its sizes."""

    in_features: int
    out_features: int
    bias: Tensor | None


def n_bytes(layer: nn.Module) -> int:
    """Return the bytes of a layer's buffers.

    Example:
        >>> n_bytes(nn.BatchNorm1d(2))  # two of float32 [2], and a count in int64
        24
    """
    return sum(buffer.numel() * buffer.element_size() for buffer in layer.buffers())


def n_stood_for(layer: Sized) -> int:
    """Return how many parameters a linear layer would have in floating point.

    Example:
        >>> n_stood_for(nn.Linear(3, 2))
        8
    """
    return layer.in_features * layer.out_features + (0 if layer.bias is None else layer.out_features)


def sizes(layer: Sized) -> str:
    """Return the sizes of a linear layer as `print` shows them.

    Example:
        >>> sizes(nn.Linear(3, 2))
        'in_features=3, out_features=2, bias=True'
    """
    return f"in_features={layer.in_features}, out_features={layer.out_features}, bias={layer.bias is not None}"


def in_bytes(fn: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return what does with a tensor's bytes what `fn` does, for a module's `_apply`.

    So buffers move and keep their number formats: .half() or .bfloat16() of a model would round scales.

    Example:
        >>> in_bytes(lambda tensor: tensor.half() if tensor.is_floating_point() else tensor)(torch.tensor(1 / 3)).dtype
        torch.float32
    """

    def moved(tensor: Tensor) -> Tensor:
        return fn(tensor.reshape(-1).view(torch.uint8)).view(tensor.dtype).view(tensor.shape)

    return moved
