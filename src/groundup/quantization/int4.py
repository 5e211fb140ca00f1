"""Numbers in 4 bits, by hand: groups of neighbours in a row share a scale and a minimum, two numbers share a byte.

A number x is kept as a whole number q from 0 to 15, and read back as q * scale + minimum, the form of GGUF's Q4_1.
Shapes: O rows, I columns, G groups of a row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.errors import InputError

HIGHEST = 15
"""What 4 bits hold."""
BLOCK = 32
"""Columns that lie together: byte j of 16 holds column j in its lower half, j + 16 in its upper one, as in GGUF."""
PIECE = 2**20
"""Numbers that are rounded at a time, so that what is needed on the way is 4 MB in float32 and not a second model."""

Fit = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Chooses scales and minimums: groups, float32 [..., group] -> float16 [...], float16 [...]."""


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

    @property
    def reach(self) -> Tensor:
        """Largest size of a number that each group can stand for: float32 [O, G]."""
        low = self.minimum.float()
        return torch.maximum(low.abs(), (low + HIGHEST * self.scale.float()).abs())

    def dequantized(self) -> Tensor:
        """Return the numbers it stands for: float32 [O, I]."""
        q = unpack(self.packed).float().view(*self.scale.shape, self.group_size)
        return q.mul_(self.scale.float()[..., None]).add_(self.minimum.float()[..., None]).view(self.shape)


def between_ends(groups: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scale and minimum whose 15 steps lie between the ends of each group: [..., group] -> 2 of [...].

    The scale is taken from the minimum as float16 keeps it, so that rounding that moves one end alone. No number is
    farther from its step than half of one, and what rounding of the minimum, and of the scale 15 steps on, moved.
    """
    low, high = groups.aminmax(dim=-1)
    minimum = low.half()
    return ((high - minimum.float()) / HIGHEST).clamp_(min=0).half(), minimum


def quantize_int4(x: Tensor, *, group_size: int, fit: Fit = between_ends) -> Int4:
    """Return the matrix `x` in 4 bits, each number at the nearest step of its group.

    Args:
        x: floating point [O, I].
        group_size: neighbours in a row that share scale and minimum: a multiple of 32.
        fit: chooses them.

    Raises:
        InputError: rows that do not divide into groups, numbers that are not finite, or beyond float16.

    Example:
        >>> x = torch.tensor([[-1.0, 0.5] * 16])
        >>> torch.allclose(quantize_int4(x, group_size=32).dequantized(), x, atol=0.001)
        True
    """
    refuse_shape(x, group_size)
    n_rows, n_columns = x.shape
    packed = x.new_empty(n_rows, n_columns // 2, dtype=torch.uint8)
    scale, minimum = (x.new_empty(n_rows, n_columns // group_size, dtype=torch.float16) for _ in range(2))
    at_once = max(1, PIECE // max(1, n_columns))
    for start in range(0, n_rows, at_once):
        rows = slice(start, start + at_once)
        piece = x[rows].detach().float()
        groups = piece.reshape(len(piece), -1, group_size)  # [rows, G, group]
        scale[rows], minimum[rows] = found = fit(groups)
        refuse_numbers(groups, *found)
        packed[rows] = pack(nearest(groups, *found).to(torch.uint8).view(piece.shape))
    return Int4(packed, scale, minimum)


def nearest(groups: Tensor, scale: Tensor, minimum: Tensor) -> Tensor:
    """Return q of the step nearest to each number: float [..., group], halves [...] -> float32 [..., group]."""
    step = scale.float()[..., None]
    step = torch.where(step == 0, 1.0, step)  # all alike: each is the minimum
    return (groups - minimum.float()[..., None]).div_(step).round_().clamp_(0, HIGHEST)


def pack(q: Tensor) -> Tensor:
    """Return numbers from 0 to 15, uint8 [O, I], two a byte: [O, I / 2].

    Example:
        >>> q = torch.arange(32, dtype=torch.uint8)[None] % 16
        >>> torch.equal(unpack(pack(q)), q), pack(q)[0, 3].item()  # columns 3 and 19: 3 + 16 * 3
        (True, 51)
    """
    lower, upper = q.view(len(q), -1, 2, BLOCK // 2).unbind(2)  # [O, blocks, 16]
    return (lower | upper << 4).flatten(1)


def unpack(packed: Tensor) -> Tensor:
    """Undo `pack`: uint8 [O, I / 2] -> [O, I]."""
    halves = packed.view(len(packed), -1, BLOCK // 2)
    return torch.stack([halves & HIGHEST, halves >> 4], 2).flatten(1)


def refuse_shape(x: Tensor, group_size: int) -> None:
    """Raise InputError unless `x` is a matrix whose rows divide into groups."""
    if x.ndim != 2 or not x.is_floating_point():
        raise InputError(f"expected a matrix in floating point, found {x.dtype} of shape {list(x.shape)}")
    if group_size < BLOCK or group_size % BLOCK:
        raise InputError(f"expected groups of 32, 64, 96, ... columns, found {group_size}: {BLOCK} lie together")
    if x.shape[1] % group_size:
        raise InputError(
            f"expected a multiple of the group size {group_size} as columns, found {x.shape[1]}: "
            "choose another group size, or leave this layer as it is"
        )


def refuse_numbers(x: Tensor, scale: Tensor, minimum: Tensor) -> None:
    """Raise InputError for numbers that are not finite, or whose scale or minimum is beyond float16."""
    if all(bool(part.isfinite().all()) for part in (scale, minimum)):
        return
    if not bool(x.isfinite().all()):
        raise InputError("expected weights that are finite, found NaN or infinity: use an earlier checkpoint")
    raise InputError(
        f"expected weights of at most 65,504 for 4 bits, whose scales are float16, found {x.abs().max().item():.3g}: "
        "use int8, or leave this layer as it is"
    )
