"""What cross-attention reads while a text is written: keys and values of its sources, computed once for all steps.

Shapes: L layers, N sources, B rows being written, W rows of each source, G key/value heads, S source positions, K head
width.
"""

import copy
from collections.abc import Sequence
from itertools import groupby
from typing import Self

import torch
from torch import Tensor

from groundup.layers.virtual_tokens import KeysValues


class Sources:
    """Keys and values of N sources in every layer, and which of them each of B rows reads.

    Rows that read one source, follow each other and are equally many for every source share its numbers, as a
    `DecoderBlock` can read them: the beams of a search cost no memory here and no copies. Else each row has a copy.
    The numbers given are never written to.

    Args:
        keys: [L, N, G, S, K].
        values: the same.
        mask: which positions are real, bool [N, 1, 1, S]. None: all.

    Example:
        >>> keys = torch.arange(3.0).view(1, 3, 1, 1, 1)  # of three sources
        >>> sources = Sources(keys, keys)
        >>> beams = sources.select([0, 0, 2, 2])
        >>> beams.layer(0)[0].flatten().tolist(), beams.of
        ([0.0, 2.0], (0, 0, 2, 2))
        >>> beams.select([3, 0, 1]).layer(0)[0].flatten().tolist()
        [2.0, 0.0, 0.0]
    """

    def __init__(self, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> None:
        self._whole = keys, values, mask
        self.of = tuple(range(keys.shape[1]))
        """The number of the source that each row reads."""
        self.keeps_attention = False
        """Whether whoever reads says what it attended to."""
        self.last_attention: Tensor | None = None
        """How much the newest token of each row took from each source position: the mean over the heads of the last
        layer, [B, S]. None before anything was read, or when not kept."""
        self._arrange()

    @property
    def batch_size(self) -> int:
        """Rows B that read."""
        return len(self.of)

    @property
    def whole_mask(self) -> Tensor:
        """Which source positions are real for each row, bool [B, S]."""
        keys, _, mask = self._whole
        if mask is None:
            return torch.ones(self.batch_size, keys.shape[3], dtype=torch.bool, device=keys.device)
        return mask[list(self.of), 0, 0]

    def layer(self, index: int) -> KeysValues:
        """Return keys and values [N or B, G, S, K] of one layer."""
        return self._keys[index], self._values[index]

    def select(self, places: Sequence[int]) -> Self:
        """Return what the rows at `places` read, in that order; one may stand there twice."""
        last = self.last_attention
        selected = self._reading([self.of[place] for place in places])
        selected.last_attention = None if last is None else last[list(places)]
        return selected

    def replace(self, rows: Sequence[int], other: Self, places: Sequence[int]) -> Self:
        """Return these, with `rows` reading what the rows of `other` at `places` read.

        Raises:
            ValueError: if `other` holds other sources.
        """
        if other._whole[0] is not self._whole[0]:
            raise ValueError("expected rows that read the same sources, found other ones: encode all of them together")
        of, last = list(self.of), self.last_attention
        for row, place in zip(rows, places, strict=True):
            of[row] = other.of[place]
        replaced = self._reading(of)
        if last is not None and other.last_attention is not None:
            replaced.last_attention = last.index_copy(
                0, torch.tensor(list(rows), device=last.device), other.last_attention[list(places)]
            )
        return replaced

    def new(self, *, keep_attention: bool) -> Self:
        """Return the same for a new text, of which nothing is read."""
        fresh = copy.copy(self)
        fresh.keeps_attention, fresh.last_attention = keep_attention, None
        return fresh

    def _reading(self, of: Sequence[int]) -> Self:
        other = self.new(keep_attention=self.keeps_attention)
        other.of = tuple(of)
        if other.of != self.of:
            other._arrange()
        return other

    def _arrange(self) -> None:
        """Lay the numbers out for the rows: of each source once if its rows can share it."""
        runs = [(number, len(list(rows))) for number, rows in groupby(self.of)]
        numbers = [number for number, _ in runs]
        can_share = len({length for _, length in runs}) == 1  # a source that comes again is there twice
        picked = numbers if can_share else list(self.of)
        keys, values, self.mask = self._whole
        self._keys, self._values = keys, values
        if picked != list(range(keys.shape[1])):
            self._keys, self._values = keys[:, picked], values[:, picked]
            self.mask = None if self.mask is None else self.mask[picked]
