"""The keys and values of past tokens, preallocated, so that a new token costs one forward pass of length one.

Shapes: B batch, G key/value heads, T new tokens, S tokens held, K head width.
"""

from typing import ClassVar

import torch
from torch import Tensor

from groundup.layers.cache import Cache, put


class KVCache(Cache):
    """Room for `capacity` tokens per row of a batch, in every layer, in floating point; see `Cache`.

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

    parts: ClassVar[tuple[str, ...]] = ("keys", "values")

    def lay_out(
        self, shape: tuple[int, int, int, int], d_head: int, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        """Make the tensors."""
        # Zeros, not empty memory: a masked slot has weight 0, and 0 times a stray NaN would be NaN.
        self.keys = torch.zeros(*shape, d_head, dtype=dtype, device=device)
        self.values = torch.zeros(*shape, d_head, dtype=dtype, device=device)

    def layer(self, index: int) -> "LayerCache":
        """Return the part of the cache that attention layer `index` appends to."""
        return LayerCache(self, self.keys[index], self.values[index])


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
        put(self._keys, k, offset)
        put(self._values, v, offset)
        return self._keys.narrow(2, 0, S), self._values.narrow(2, 0, S)
