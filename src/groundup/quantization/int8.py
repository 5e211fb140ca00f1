"""Numbers in 8 bits, by hand: symmetric and affine, one scale for all, for each row, or for each group of a row.

A number x is kept as a whole number q from -128 to 127, and read back as (q - zero) * scale (Jacob et al. 2017, eq. 1).
Shapes: O rows, I columns, G groups of a row.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

LOWEST, HIGHEST = -128, 127
"""What 8 bits with a sign hold. Symmetric quantization leaves -128 out, so that x and -x are equally far from zero."""


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
    def n_bytes(self) -> int:
        """Bytes that it takes."""
        parts = [self.values, self.scale] + ([] if self.zero is None else [self.zero])
        return sum(part.numel() * part.element_size() for part in parts)

    def dequantized(self) -> Tensor:
        """Return the numbers it stands for: float32 [O, I]."""
        n_rows, n_columns = self.values.shape
        scale = self.scale.float()
        groups = scale.shape[1] if scale.ndim else 1
        q = self.values.float().view(n_rows, groups, n_columns // groups)
        if self.zero is not None:
            q = q - (self.zero.float()[..., None] if scale.ndim else self.zero.float())
        return (q * (scale[..., None] if scale.ndim else scale)).view(n_rows, n_columns)


def quantize_int8(x: Tensor, *, symmetric: bool = True, by_row: bool = True) -> Int8:
    """Return the matrix `x` [O, I] in 8 bits, each number at the nearest step.

    Symmetric: scale = max |x| / 127. Affine: 255 steps lie between the least and the largest number, 0 among them, so
    that it has a q of its own.
    """
    x = x.detach().float()
    low, high = (x.amin(1, keepdim=True), x.amax(1, keepdim=True)) if by_row else (x.min(), x.max())
    tiny = torch.finfo(torch.float32).tiny  # a row of zeros divides by it and stays zero
    if symmetric:
        scale = (torch.maximum(-low, high) / HIGHEST).clamp(min=tiny)
        return Int8((x / scale).round_().clamp_(-HIGHEST, HIGHEST).to(torch.int8), scale)
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = ((high - low) / (HIGHEST - LOWEST)).clamp(min=tiny)
    zero = (LOWEST - low / scale).round().clamp(LOWEST, HIGHEST)
    return Int8((x / scale + zero).round_().clamp_(LOWEST, HIGHEST).to(torch.int8), scale, zero.to(torch.int8))
