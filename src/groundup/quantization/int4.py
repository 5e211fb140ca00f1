"""Numbers in 4 bits, by hand: groups of neighbours in a row share a scale and a minimum, two numbers share a byte.

A number x is kept as a whole number q from 0 to 15, and read back as q * scale + minimum, the form of GGUF's Q4_1.
Shapes: O rows, I columns, G groups of a row.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

HIGHEST = 15
"""What 4 bits hold."""
BLOCK = 32
"""Columns that lie together: byte j of 16 holds column j in its lower half, j + 16 in its upper one, as in GGUF."""


@dataclass(frozen=True)
class Int4:
    """A matrix in 4 bits.

    Example:
        >>> kept = quantize_int4(torch.arange(32.0)[None], group_size=32)
        >>> kept.packed.shape, kept.scale.tolist(), kept.dequantized()[0, 31].item()
        (torch.Size([1, 16]), [[2.06640625]], 30.99609375)
    """

    packed: Tensor
    """Two q a byte: uint8 [O, I / 2], in blocks of 32 columns."""
    scale: Tensor
    """Width of a step: float16 [O, G]."""
    minimum: Tensor
    """What q = 0 stands for: float16 [O, G]."""

    @property
    def shape(self) -> tuple[int, int]:
        """(O, I)."""
        return self.packed.shape[0], 2 * self.packed.shape[1]

    @property
    def group_size(self) -> int:
        """Columns that share a scale."""
        return self.shape[1] // self.scale.shape[1]

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes."""
        return sum(part.numel() * part.element_size() for part in (self.packed, self.scale, self.minimum))

    def dequantized(self) -> Tensor:
        """Return the numbers it stands for: float32 [O, I]."""
        q = unpack(self.packed).float().view(*self.scale.shape, self.group_size)
        return q.mul_(self.scale.float()[..., None]).add_(self.minimum.float()[..., None]).view(self.shape)


def quantize_int4(x: Tensor, *, group_size: int) -> Int4:
    """Return the matrix `x` [O, I] in 4 bits, each number at the nearest step between the ends of its group."""
    groups = x.detach().float().view(len(x), -1, group_size)  # [O, G, group]
    low, high = groups.aminmax(dim=-1)
    scale, minimum = ((high - low) / HIGHEST).half(), low.half()
    return Int4(pack(nearest(groups, scale, minimum).view(x.shape)), scale, minimum)


def nearest(groups: Tensor, scale: Tensor, minimum: Tensor) -> Tensor:
    """Return q of the step nearest to each number: float [O, G, group], halves [O, G] -> uint8 [O, G, group]."""
    step = scale.float()[..., None]
    step = torch.where(step == 0, 1.0, step)  # all alike: each is the minimum
    return ((groups - minimum.float()[..., None]) / step).round_().clamp_(0, HIGHEST).to(torch.uint8)


def pack(q: Tensor) -> Tensor:
    """Return numbers from 0 to 15, uint8 [O, I], two a byte: [O, I / 2].

    Example:
        >>> q = torch.arange(32, dtype=torch.uint8)[None] % 16
        >>> torch.equal(unpack(pack(q)), q), pack(q)[0, 3].item()  # columns 3 and 19: 3 + 16 * 3
        (True, 51)
    """
    lower, upper = q.view(len(q), -1, 2, BLOCK // 2).unbind(2)  # [O, blocks, 16]
    return (lower | upper << 4).view(len(q), -1)


def unpack(packed: Tensor) -> Tensor:
    """Undo `pack`: uint8 [O, I / 2] -> [O, I]."""
    halves = packed.view(len(packed), -1, BLOCK // 2)
    return torch.stack([halves & HIGHEST, halves >> 4], 2).view(len(packed), -1)
