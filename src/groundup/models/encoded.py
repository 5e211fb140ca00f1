"""What an encoder made of a batch of sources.

Shapes: B batch, S source positions, D width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Encoded:
    """What the encoder made of a batch of sources."""

    hidden: Tensor
    """[B, S, D]."""
    mask: Tensor | None = None
    """Which positions are real, bool [B, 1, 1, S]. None: all."""

    def select_rows(self, rows: Sequence[int]) -> "Encoded":
        """Return those of `rows`, in that order; one may stand there twice.

        Example:
            >>> import torch
            >>> Encoded(torch.arange(3.0).view(3, 1, 1)).select_rows([2, 0, 0]).hidden.flatten().tolist()
            [2.0, 0.0, 0.0]
        """
        return Encoded(self.hidden[list(rows)], None if self.mask is None else self.mask[list(rows)])
