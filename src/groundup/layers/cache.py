"""What every cache of keys and values does: rows of a batch that grow, are cut back, copied and put in another order.

Shapes: L layers, B batch, G key/value heads, T new tokens, S tokens held, K head width.
"""

import copy
from collections.abc import Sequence
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor

from groundup.layers.sources import Sources
from groundup.layers.virtual_tokens import LayerStore


class Cache(Protocol):
    """Room for `capacity` tokens per row of a batch, in every layer; a class says in what tensors.

    Row b holds `lengths[b]` tokens; new ones go behind them, each row at its own place. So prompts of different
    lengths are padded on the right, prefilled together, and `truncate`d to their true lengths: what lies behind a
    row's length is overwritten before any query can see it.

    A forward pass appends to each `layer(i)` and then calls `advance` once; a pass that fails half-way leaves the
    lengths as they were. Gradients do not flow through the cache: it is for inference.
    """

    parts: ClassVar[tuple[str, ...]]
    """Names of the tensors that it is made of: [L, B, G, capacity, ...] each."""
    keys: Tensor
    values: Tensor
    capacity: int
    batch_size: int
    sources: Sources | None = None
    """What cross-attention reads beside the text, for a decoder that has it; it goes with the rows."""
    _lengths: list[int]  # on the host: no forward pass waits for the device to know its shapes

    def __init__(
        self,
        *,
        n_layers: int,
        batch_size: int,
        n_kv_heads: int,
        capacity: int,
        d_head: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        """Begin with rows that hold nothing; what the arguments mean stands in the docstring of each class."""
        self.capacity, self.batch_size, self._lengths = capacity, batch_size, [0] * batch_size
        self.lay_out((n_layers, batch_size, n_kv_heads, capacity), d_head, dtype, device)

    def lay_out(
        self, shape: tuple[int, int, int, int], d_head: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        """Make the tensors for `shape` (L, B, G, capacity) and a head width, whose numbers come back in `dtype`."""

    def layer(self, index: int) -> LayerStore:
        """Return the part of the cache that attention layer `index` appends to."""

    @property
    def device(self) -> torch.device:
        """Where the numbers live."""
        return self.keys.device

    @property
    def last_attention(self) -> Tensor | None:
        """What the newest token of each row took from each source position [B, S]; see `Sources`."""
        return None if self.sources is None else self.sources.last_attention

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes, filled or not; without the sources."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._tensors())

    @property
    def lengths(self) -> Tensor:
        """Tokens held by each row: int64 [B], on the cache's device."""
        return torch.tensor(self._lengths, device=self.device)

    @property
    def longest(self) -> int:
        """Tokens held by the fullest row."""
        return max(self._lengths)

    @property
    def offset(self) -> int | Tensor:
        """Position of the next token: one number if all rows hold equally many (the fast path), else `lengths`."""
        first = self._lengths[0]
        return first if self._lengths.count(first) == self.batch_size else self.lengths

    def advance(self, n_tokens: int) -> None:
        """Count the tokens that every layer has appended."""
        self.check_room(n_tokens)
        self._lengths = [length + n_tokens for length in self._lengths]

    def truncate(self, lengths: Sequence[int] | Tensor) -> None:
        """Forget all but the first `lengths[b]` tokens of each row.

        Raises:
            ValueError: if a length is not between 0 and the tokens the row holds.
        """
        new = [int(length) for length in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
        if len(new) != self.batch_size or not all(0 <= a <= b for a, b in zip(new, self._lengths, strict=True)):
            raise ValueError(f"truncate needs for each row a length from 0 to {self._lengths}, found {new}")
        self._lengths = new

    def resize(self, capacity: int) -> None:
        """Make room for `capacity` tokens a row; what the rows hold stays.

        Raises:
            ValueError: if a row holds more.
        """
        held = self.longest
        if capacity < held:
            raise ValueError(f"resize needs room for the {held} tokens that a row holds, found {capacity}")
        grown = self.like(range(self.batch_size), capacity)
        grown.write(range(self.batch_size), self)
        self.__dict__.update(grown.__dict__)

    def like(self, places: Sequence[int], capacity: int) -> Self:
        """Return an empty cache of the same kind, for the rows at `places`, with room for `capacity` tokens each."""
        new = copy.copy(self)
        batch_size = len(places)
        new.batch_size, new.capacity, new._lengths = batch_size, capacity, [0] * batch_size
        for name in self.parts:
            old: Tensor = getattr(self, name)
            # Zeros, not empty memory: a masked slot has weight 0, and 0 times a stray NaN would be NaN.
            setattr(new, name, old.new_zeros(len(old), batch_size, old.shape[2], capacity, *old.shape[4:]))
        if self.sources is not None:
            new.sources = self.sources.select(places)
        return new

    def select_rows(self, places: Sequence[int]) -> Self:
        """Return a cache that holds only the rows at `places`, in that order; one may stand there twice."""
        kept = self.like(places, self.capacity)
        held = self.longest
        for mine, theirs in zip(kept._tensors(), self._tensors(), strict=True):
            mine[:, :, :, :held] = theirs[:, list(places), :, :held]
        kept._lengths = [self._lengths[place] for place in places]
        return kept

    def write(self, rows: Sequence[int], other: Self, n_tokens: int | None = None) -> None:
        """Let `rows` hold what the rows of `other`, of the same kind, hold; if it has but one, it is for all of them.

        Args:
            rows: places in this cache.
            other: has a row for each of them, or one.
            n_tokens: so many of the first tokens are written. None: all.
        """
        lengths = [length if n_tokens is None else min(length, n_tokens) for length in other._lengths]
        held = max(lengths)
        for mine, theirs in zip(self._tensors(), other._tensors(), strict=True):
            mine[:, list(rows), :, :held] = theirs[:, :, :, :held]
        for row, length in zip(rows, lengths if len(lengths) > 1 else lengths * len(rows), strict=True):
            self._lengths[row] = length
        if self.sources is not None and other.sources is not None:
            places = range(other.batch_size) if other.batch_size > 1 else [0] * len(rows)
            self.sources = self.sources.replace(rows, other.sources, places)

    def move(self, rows: Sequence[int], sources: Sequence[int], start: int) -> None:
        """Let `rows` hold from token `start` on what the rows `sources`, equally long, hold there; in place."""
        here = slice(start, self.longest)
        for tensor in self._tensors():
            tensor[:, list(rows), :, here] = tensor[:, list(sources), :, here]
        if self.sources is not None:
            self.sources = self.sources.replace(rows, self.sources, sources)

    def check_room(self, n_tokens: int) -> None:
        """Raise ValueError unless every row has room for `n_tokens` more."""
        if self.longest + n_tokens > self.capacity:
            raise ValueError(
                f"the cache has room for {self.capacity} tokens a row, found {self.longest} held and {n_tokens} new; "
                "make it larger or truncate it"
            )

    def _tensors(self) -> list[Tensor]:
        return [getattr(self, name) for name in self.parts]


def put(into: Tensor, new: Tensor, offset: int | Tensor) -> None:
    """Write `new` [B, G, T, K] into [B, G, capacity, K], at one place for all rows or at one for each [B].

    Example:
        >>> into = torch.zeros(2, 1, 3, 1)
        >>> put(into, torch.ones(2, 1, 1, 1), torch.tensor([0, 2]))
        >>> into.flatten(1).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    T = new.shape[2]
    if isinstance(offset, int):  # one slice
        into.narrow(2, offset, T).copy_(new.detach())
        return
    rows = torch.arange(len(new), device=new.device)[:, None]  # [B, 1]
    places = offset[:, None] + torch.arange(T, device=new.device)  # [B, T]
    into[rows, :, places] = new.detach().transpose(1, 2).to(into.dtype)  # [B, T, G, K]
