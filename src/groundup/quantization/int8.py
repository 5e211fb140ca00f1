"""Numbers in 8 bits, by hand: symmetric and affine, one scale for all, for each row, or for each group of a row.

A number x is kept as a whole number q from -128 to 127, and read back as (q - zero) * scale (Jacob et al. 2017, eq. 1).
Shapes: O rows, I columns, G groups of a row.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from groundup.errors import InputError

LOWEST, HIGHEST = -128, 127
"""What 8 bits with a sign hold. Symmetric quantization leaves -128 out, so that x and -x are equally far from zero."""
_TINY = torch.finfo(torch.float32).tiny
"""Least scale: a row of zeros is divided by it and stays zero."""


@dataclass(frozen=True)
class Int8:
    """A matrix in 8 bits.

    Example:
        >>> kept = quantize_int8(torch.tensor([[1.0, -2.0], [0.0, 4.0]]))
        >>> kept.values.tolist(), kept.dequantized().tolist()[0][1]
        ([[64, -127], [0, 127]], -2.0)
    """

    values: Tensor
    """q: int8 [O, I]."""
    scale: Tensor
    """Width of a step, floating point: [] for the whole matrix, [O, 1] for each row, [O, G] for each group."""
    zero: Tensor | None = None
    """q of the number 0, int8 and shaped as `scale`. None: 0, the symmetric case."""

    @property
    def shape(self) -> tuple[int, int]:
        """(O, I)."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def n_groups(self) -> int:
        """Parts of a row that have a scale of their own."""
        return self.scale.shape[1] if self.scale.ndim else 1

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes."""
        parts = [self.values, self.scale] + ([] if self.zero is None else [self.zero])
        return sum(part.numel() * part.element_size() for part in parts)

    @property
    def reach(self) -> Tensor:
        """Largest size of a number that can be stood for, with each scale: float32 [O, G]; [1, 1] with one for all."""
        scale = self.scale.float().view(-1, self.n_groups)
        zero = torch.zeros_like(scale) if self.zero is None else self.zero.float().view(scale.shape)
        return torch.maximum((LOWEST - zero).abs(), (HIGHEST - zero).abs()) * scale

    def dequantized(self) -> Tensor:
        """Return the numbers it stands for: float32 [O, I]."""
        groups = self.values.float().view(len(self.values), self.n_groups, -1)  # [O, G, I / G]
        if self.zero is not None:
            groups -= self.zero.float()[..., None]
        return groups.mul_(self.scale.float()[..., None]).view(self.shape)


@dataclass(frozen=True)
class StaticRange:
    """Which numbers 8 bits stand for, decided before the numbers are seen: those of an activation, from a text read.

    Example:
        >>> found = StaticRange.between(-1.0, 3.0)
        >>> found.zero, found.quantize(torch.tensor([[-1.0, 0.0, 3.0, 99.0]])).values.tolist()
        (-64, [[-128, -64, 127, 127]])
    """

    scale: float
    """Width of a step."""
    zero: int = 0
    """q of the number 0, from -128 to 127."""

    @classmethod
    def between(cls, low: float, high: float) -> "StaticRange":
        """Return the affine range whose 255 steps reach from `low` to `high`, made to hold 0."""
        scale, zero = _affine(torch.tensor(float(low)), torch.tensor(float(high)))
        return cls(scale.item(), int(zero.item()))

    @classmethod
    def within(cls, limit: float) -> "StaticRange":
        """Return the symmetric range from -`limit` to `limit`."""
        return cls(max(limit / HIGHEST, _TINY))

    @property
    def low(self) -> float:
        """Least number that it holds; what is less becomes it."""
        return (LOWEST - self.zero) * self.scale

    @property
    def high(self) -> float:
        """Largest number that it holds."""
        return (HIGHEST - self.zero) * self.scale

    def quantize(self, x: Tensor) -> Int8:
        """Return `x` [N, I] in 8 bits, what is outside of the range at its ends; scale and zero [N, 1].

        A row with a number that is not finite stands for NaN throughout: at an end of the range nobody would see it.
        """
        x = x.detach().float()
        rounded = (x / self.scale).round_().add_(self.zero).clamp_(LOWEST, HIGHEST)
        is_finite = x.isfinite().all(1, keepdim=True)
        values = torch.where(is_finite, rounded, 0).to(torch.int8)
        scale = torch.where(is_finite, self.scale, torch.nan)
        return Int8(values, scale, torch.full_like(scale, self.zero, dtype=torch.int8))


def quantize_int8(x: Tensor, *, symmetric: bool = True, by_row: bool = True, group_size: int | None = None) -> Int8:
    """Return the matrix `x` [O, I] in 8 bits, each number at the nearest step: at most half a step away.

    Symmetric: scale = max |x| / 127. Affine: 255 steps lie between the least and the largest number, 0 among them, so
    that it has a q of its own.

    Args:
        x: floating point.
        symmetric: the range is that of the largest magnitude, else that of the numbers and 0.
        by_row: each row has a range of its own, else the matrix has one.
        group_size: so many neighbours in a row have a range of their own; symmetric, with scales of float16, as GGUF's
            Q8_0 has them for 32. A row's length is a multiple of it.

    Raises:
        InputError: NaN or infinite numbers; numbers too large for a scale of float16.

    Example:
        >>> quantize_int8(torch.tensor([[0.0, 2.55]]), symmetric=False).values.tolist()  # symmetric: [[0, 127]]
        [[-128, 127]]
        >>> quantize_int8(torch.tensor([[1.0, 2.0, 100.0, 200.0]]), group_size=2).values.tolist()
        [[64, 127, 63, 127]]
    """
    refuse_not_finite(x)
    x = x.detach().float()
    if group_size is not None:
        return _in_groups(x, group_size)
    if symmetric:
        return _symmetric(x, x.abs().amax(1, keepdim=True) if by_row else x.abs().max())
    scale, zero = _affine(*(x.aminmax(dim=1, keepdim=True) if by_row else x.aminmax()))
    return Int8((x / scale + zero).round_().clamp_(LOWEST, HIGHEST).to(torch.int8), scale, zero.to(torch.int8))


def quantize_rows(x: Tensor) -> Int8:
    """Return `x` [N, I] in 8 bits, symmetric, each row by its own largest magnitude: what dynamic quantization does.

    It looks for nothing that is not finite: the scale of such a row is not finite either, and so is what it gives.

    Example:
        >>> quantize_rows(torch.tensor([[1.0, -2.0], [0.0, 0.5]])).values.tolist()
        [[64, -127], [0, 127]]
    """
    x = x.detach().float()
    return _symmetric(x, x.abs().amax(1, keepdim=True))


def _symmetric(x: Tensor, limit: Tensor) -> Int8:
    scale = (limit / HIGHEST).clamp_(min=_TINY)
    return Int8((x / scale).round_().clamp_(-HIGHEST, HIGHEST).to(torch.int8), scale)


def _in_groups(x: Tensor, group_size: int) -> Int8:
    groups = x.view(len(x), -1, group_size)  # [O, G, group]
    scale = (groups.abs().amax(-1) / HIGHEST).half()
    if scale.isinf().any():
        raise InputError(
            f"expected weights of at most {HIGHEST * 65_504:,} for groups, whose scales are float16, found "
            f"{x.abs().max().item():.3g}: take a scale for each row"
        )
    step = scale.float().clamp_(min=_TINY)[..., None]  # rounded as it is kept: q is found with it
    values = (groups / step).round_().clamp_(-HIGHEST, HIGHEST).to(torch.int8)
    return Int8(values.view(x.shape), scale)


def _affine(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return scale and zero of the steps from `low` to `high`, both float32."""
    low, high = low.clamp(max=0), high.clamp(min=0)
    n_steps = HIGHEST - LOWEST
    scale = (high / n_steps - low / n_steps).clamp_(min=_TINY)  # each by itself: high - low may be infinite
    return scale, (LOWEST - low / scale).round_().clamp_(LOWEST, HIGHEST)


def refuse_not_finite(x: Tensor) -> None:
    """Raise InputError for a matrix `x` [O, I] with NaN or infinite numbers: it has no range.

    Example:
        >>> refuse_not_finite(torch.tensor([[0.0, float("nan")]]))
        Traceback (most recent call last):
        groundup.errors.InputError: expected finite weights, found 1 NaN and 0 infinite among 2: ...
    """
    n_nan, n_infinite = int(x.isnan().sum()), int(x.isinf().sum())
    if n_nan or n_infinite:
        raise InputError(
            f"expected finite weights, found {n_nan} NaN and {n_infinite} infinite among {x.numel():,}: "
            "take the model from before they arose, or download it anew"
        )
