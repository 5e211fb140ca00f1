"""How order enters: sinusoidal or learned vectors added to the embedding, or rotated queries and keys.

Shapes: B batch, H heads, T positions of this pass, C context length, D width, K head width. Every layer takes an
`offset`: the position of the first token of the pass, as a number, or as a tensor [B] when rows differ (a cache).
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.layers.dropout import Dropout

Pairing = Literal["halves", "interleaved"]


def table_rows(table: Tensor, T: int, offset: int | Tensor = 0) -> Tensor:
    """Return the rows of a table [C, D] for positions offset … offset+T-1: [T, D], or [B, T, D] for a tensor.

    Raises:
        ValueError: if a number as offset asks for rows past the end.

    Example:
        >>> table_rows(torch.tensor([[0.0], [1.0], [2.0]]), 2, torch.tensor([0, 1])).squeeze(-1).tolist()
        [[0.0, 1.0], [1.0, 2.0]]
    """
    if isinstance(offset, Tensor):
        return F.embedding(offset[:, None] + torch.arange(T, device=offset.device), table)
    if offset + T > len(table):  # a short slice could broadcast silently
        raise ValueError(f"there are {len(table)} positions, found {offset + T} asked for")
    return table[offset : offset + T]


def sinusoidal_table(
    d_model: int, context_length: int, base: float = 10_000.0, pairing: Pairing = "interleaved"
) -> Tensor:
    """Return sin and cos of each position at falling frequencies [C, D] (Vaswani et al. 2017, section 3.5).

    Even columns 2i hold sin(p / base^(2i/D)), the odd ones beside them the cosine, so that the vector of p + k is a
    rotation of the vector of p, whatever p is. With pairing "halves" all sines come first, then the cosines (Marian).

    Example:
        >>> [round(number, 4) for number in sinusoidal_table(2, 2)[1].tolist()]  # sin 1, cos 1
        [0.8415, 0.5403]
        >>> sinusoidal_table(4, 1, pairing="halves").tolist()
        [[0.0, 0.0, 1.0, 1.0]]
    """
    # In float64: 500 radians in float32 are off by 3e-5, and so would be their sine.
    angles = position_angles(d_model, context_length, base, torch.float64)  # [C, ceil(D/2)]
    return _pair(angles.sin(), angles.cos(), pairing)[:, :d_model].float()


def position_angles(d_model: int, context_length: int, base: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return position · base^(-2i/D) for each pair i of columns: [C, ceil(D/2)], in radians.

    Example:
        >>> [[round(angle, 4) for angle in row] for row in position_angles(4, 3, base=100.0).tolist()]
        [[0.0, 0.0], [1.0, 0.1], [2.0, 0.2]]
    """
    frequencies = 1.0 / base ** (torch.arange(0, d_model, 2, dtype=dtype) / d_model)
    return torch.arange(context_length, dtype=dtype)[:, None] * frequencies


class SinusoidalPositions(nn.Module):
    """Add the fixed vector of its position to each token (Vaswani et al. 2017, section 3.5). Nothing is learned.

    Args:
        d_model: width D.
        context_length: positions C.
        base: the longest wavelength is base · 2π positions.
        pairing: which columns hold sine and cosine of one frequency: interleaved (the paper) or halves.
        dropout: probability of zeroing an entry of the sum while training.

    Example:
        >>> SinusoidalPositions(4, 8)(torch.zeros(1, 1, 4)).tolist()  # position 0: sin 0, cos 0, sin 0, cos 0
        [[[0.0, 1.0, 0.0, 1.0]]]
    """

    table: Tensor

    def __init__(
        self,
        d_model: int,
        context_length: int,
        *,
        base: float = 10_000.0,
        pairing: Pairing = "interleaved",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        # not persistent: it follows the module to its device, and checkpoints need not hold what a formula gives
        self.register_buffer("table", sinusoidal_table(d_model, context_length, base, pairing), persistent=False)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, offset: int | Tensor = 0) -> Tensor:
        """Return dropout(x + positions): [B, T, D] -> [B, T, D]."""
        out: Tensor = self.dropout(x + table_rows(self.table, x.shape[1], offset))
        return out


class LearnedPositions(nn.Module):
    """Add the learned vector of its position to each token (GPT-2; Gehring et al. 2017).

    Args:
        context_length: positions C.
        d_model: width D.

    Example:
        >>> LearnedPositions(8, 4)(torch.zeros(2, 3, 4)).shape
        torch.Size([2, 3, 4])
    """

    def __init__(self, context_length: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(context_length, d_model))
        nn.init.normal_(self.weight, std=0.02)  # as GPT-2

    def forward(self, x: Tensor, offset: int | Tensor = 0) -> Tensor:
        """Return x + positions: [B, T, D] -> [B, T, D]."""
        return x + table_rows(self.weight, x.shape[1], offset)


@dataclass(frozen=True, eq=False)
class Rotation:
    """The rotation of queries or keys at the positions of one pass; call it on [B, H, T, K]."""

    cos: Tensor
    """The cosine for each column [T, K], or [B, 1, T, K] when rows differ."""
    sin: Tensor
    """The sine, shaped like the cosines; negative for the first column of a plane."""
    pairing: Pairing = "halves"
    """Which two columns form a plane: i and i + K/2 (halves), or 2i and 2i + 1 (interleaved)."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return each pair (a, b) of columns turned by its angle: (a cos - b sin, b cos + a sin)."""
        turned = x * self.cos + _swap(x, self.pairing) * self.sin
        return turned.to(x.dtype)  # the tables are float32, and products under autocast with them


def _pair(first: Tensor, second: Tensor, pairing: Pairing) -> Tensor:
    """Lay the first and the second columns of all planes [..., K/2] side by side: [..., K]."""
    return torch.cat((first, second), dim=-1) if pairing == "halves" else torch.stack((first, second), -1).flatten(-2)


def _swap(x: Tensor, pairing: Pairing) -> Tensor:
    a, b = x.chunk(2, dim=-1) if pairing == "halves" else (x[..., 0::2], x[..., 1::2])  # [..., K/2]
    return _pair(b, a, pairing)


class RotaryPositions(nn.Module):
    """Turn queries and keys by angles proportional to their positions (Su et al. 2021, eq. 34).

    A dot product of two turned vectors depends on the difference of their positions only. Published weights come in
    two pairings of columns: "halves" (GPT-NeoX, Llama in transformers) and "interleaved" (the paper, Llama's own code).
    The two are the same up to a fixed order of the columns, so weights of one need it, or its pairing.

    Args:
        d_head: head width K, even.
        context_length: positions C.
        base: the longest wavelength is about base · 2π positions.
        pairing: halves or interleaved.

    Raises:
        ValueError: if d_head is odd.

    Example:
        >>> rotation = RotaryPositions(d_head=2, context_length=8)(T=1, offset=1)  # one radian
        >>> [round(value, 4) for value in rotation(torch.tensor([[[[1.0, 0.0]]]])).flatten().tolist()]
        [0.5403, 0.8415]
    """

    cos: Tensor
    sin: Tensor

    def __init__(
        self, d_head: int, context_length: int, *, base: float = 10_000.0, pairing: Pairing = "halves"
    ) -> None:
        super().__init__()
        if d_head % 2:
            raise ValueError(f"rotary positions need an even d_head, found {d_head}")
        angles = position_angles(d_head, context_length, base)  # [C, K/2]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        self.pairing: Pairing = pairing

    def forward(self, T: int, offset: int | Tensor = 0) -> Rotation:
        """Return the rotation for positions offset … offset+T-1, to be shared by all layers of a pass."""
        cos, sin = table_rows(self.cos, T, offset), table_rows(self.sin, T, offset)  # [T, K/2] or [B, T, K/2]
        if cos.dim() == 3:
            cos, sin = cos[:, None], sin[:, None]  # [B, 1, T, K/2]
        return Rotation(_pair(cos, cos, self.pairing), _pair(-sin, sin, self.pairing), self.pairing)
