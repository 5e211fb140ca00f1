"""The keys and values of past tokens, preallocated, so that a new token costs one forward pass of length one.

Shapes: B batch, G key/value heads, T new tokens, S tokens held, K head width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


class KVCache:
    """Room for `capacity` tokens per row of a batch, in every layer.

    Row b holds `lengths[b]` tokens; new ones go behind them, each row at its own place. So prompts of different
    lengths are padded on the right, prefilled together, and `truncate`d to their true lengths: what lies behind a
    row's length is overwritten before any query can see it.

    A forward pass appends to each `layer(i)` and then calls `advance` once; a pass that fails half-way leaves the
    lengths as they were. Gradients do not flow through the cache: it is for inference.

    Memory: 2 · n_layers · B · G · capacity · K numbers.

    Args:
        n_layers: attention layers.
        batch_size: rows B.
        n_kv_heads: key/value heads G of each layer.
        capacity: most tokens a row can hold.
        d_head: head width K.
        dtype: number format.
        device: where the numbers live.

    Example:
        >>> cache = KVCache(n_layers=1, batch_size=2, n_kv_heads=1, capacity=8, d_head=4)
        >>> keys, values = cache.layer(0).append(torch.ones(2, 1, 3, 4), torch.ones(2, 1, 3, 4))
        >>> cache.advance(3)
        >>> cache.truncate([3, 2])  # the third token of the second row was padding
        >>> cache.lengths.tolist()
        [3, 2]
    """

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
        shape = (n_layers, batch_size, n_kv_heads, capacity, d_head)
        # Zeros, not empty memory: a masked slot has weight 0, and 0 times a stray NaN would be NaN.
        self.keys = torch.zeros(shape, dtype=dtype, device=device)
        self.values = torch.zeros(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self.batch_size = batch_size
        self._lengths = [0] * batch_size  # on the host: no forward pass waits for the device to know its shapes

    @property
    def lengths(self) -> Tensor:
        """Tokens held by each row: int64 [B], on the cache's device."""
        return torch.tensor(self._lengths, device=self.keys.device)

    @property
    def longest(self) -> int:
        """Tokens held by the fullest row."""
        return max(self._lengths)

    @property
    def offset(self) -> int | Tensor:
        """Position of the next token: one number if all rows hold equally many (the fast path), else `lengths`."""
        first = self._lengths[0]
        return first if self._lengths.count(first) == self.batch_size else self.lengths

    def layer(self, index: int) -> "LayerCache":
        """Return the part of the cache that attention layer `index` appends to."""
        return LayerCache(self, self.keys[index], self.values[index])

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
        for name in ("keys", "values"):
            old: Tensor = getattr(self, name)
            new = old.new_zeros(*old.shape[:3], capacity, old.shape[4])
            new[:, :, :, :held] = old[:, :, :, :held]
            setattr(self, name, new)
        self.capacity = capacity

    def check_room(self, n_tokens: int) -> None:
        """Raise ValueError unless every row has room for `n_tokens` more."""
        if self.longest + n_tokens > self.capacity:
            raise ValueError(
                f"the cache has room for {self.capacity} tokens a row, found {self.longest} held and {n_tokens} new; "
                "make it larger or truncate it"
            )


class LayerCache:
    """One layer's share of a `KVCache`: keys and values [B, G, capacity, K].

    Example:
        >>> cache = KVCache(n_layers=1, batch_size=1, n_kv_heads=1, capacity=8, d_head=4)
        >>> cache.layer(0).append(torch.ones(1, 1, 3, 4), torch.ones(1, 1, 3, 4))[0].shape
        torch.Size([1, 1, 3, 4])
    """

    def __init__(self, cache: KVCache, keys: Tensor, values: Tensor) -> None:
        self._cache, self._keys, self._values = cache, keys, values

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write [B, G, T, K] behind what each row holds; return views [B, G, S, K] up to the longest row's end.

        Raises:
            ValueError: if a row would hold more than the capacity.
        """
        T = k.shape[2]
        self._cache.check_room(T)
        offset, S = self._cache.offset, self._cache.longest + T
        if isinstance(offset, int):  # one slice
            self._keys.narrow(2, offset, T).copy_(k.detach())
            self._values.narrow(2, offset, T).copy_(v.detach())
        else:  # a place for each row
            rows = torch.arange(k.shape[0], device=k.device)[:, None]  # [B, 1]
            places = offset[:, None] + torch.arange(T, device=k.device)  # [B, T]
            self._keys[rows, :, places] = k.detach().transpose(1, 2).to(self._keys.dtype)  # [B, T, G, K]
            self._values[rows, :, places] = v.detach().transpose(1, 2).to(self._values.dtype)
        return self._keys.narrow(2, 0, S), self._values.narrow(2, 0, S)
