"""Scaled dot-product attention, written out and fused, and the multi-head layer on top of it.

Shapes: B batch, T query positions, S key positions, D width, H query heads, G key/value heads (G divides H), K head
width. Masks are boolean, broadcast to [B, H, T, S], and True means "may attend".
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.layers.blocked_attention import blocked_attention
from groundup.layers.masks import causal_mask, combine_masks
from groundup.layers.normalization import RMSNorm
from groundup.layers.virtual_tokens import KeysValues, LayerStore

LONGEST_WIDENED = 512
"""Keys up to which training in bfloat16 on a CPU attends in float32: the backward pass of torch's bfloat16 kernel takes
four times as long at 64 keys and 1.15 times at 256; from about 1,024 on it is the faster one."""
LONGEST_BLOCKED = 512
"""Positions up to which causal training in bfloat16 on a CPU goes by blocks, 1.2 to 2 times as fast again: beyond, the
weights that it keeps take more memory than the gain is worth."""


def softmax(scores: Tensor) -> Tensor:
    """Return exp(scores) / sum(exp(scores)) over the last axis.

    The largest score is subtracted first: it cancels in the fraction, and without it exp overflows at 89 in float32.

    Example:
        >>> softmax(torch.tensor([1000.0, 1000.0])).tolist()
        [0.5, 0.5]
    """
    exponentials = (scores - scores.amax(-1, keepdim=True).detach()).exp()
    return exponentials / exponentials.sum(-1, keepdim=True)


def attention_weights(q: Tensor, k: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return softmax(QKᵀ/√d_head) [B, H, T, S]: how much each query takes from each key.

    Each row sums to 1, except a row that may attend to nothing, which is all zeros. Source: Vaswani et al. 2017, eq. 1.

    Example:
        >>> q = k = torch.zeros(1, 1, 2, 4)  # equal scores: equal shares
        >>> attention_weights(q, k, causal_mask(2))[0, 0].tolist()
        [[1.0, 0.0], [0.5, 0.5]]
    """
    k = repeat_heads(k, q.shape[1])  # [B, H, S, K]
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])  # [B, H, T, S]
    if mask is None:
        return softmax(scores)
    # The lowest finite number, not -inf: softmax of a row of -inf alone is 0/0 = NaN. This way such a row comes out
    # uniform, and the second fill makes it zero.
    hidden = ~mask
    weights = softmax(scores.masked_fill(hidden, torch.finfo(scores.dtype).min))
    return weights.masked_fill(hidden, 0.0)


def scaled_dot_product_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    is_causal: bool = False,
    dropout: float = 0.0,
    training: bool = False,
) -> Tensor:
    """Return softmax(QKᵀ/√d_head)V, written out: [B, H, T, K], [B, G, S, K], [B, G, S, K] -> [B, H, T, K].

    Args:
        q: queries.
        k: keys; with G < H heads, each serves H/G query heads in a row (grouped-query attention, Ainslie et al. 2023).
        v: values, with the heads of the keys.
        mask: boolean, broadcast to [B, H, T, S], True = may attend. A row without any True gives zeros, never NaN.
        is_causal: also hide the future: the last query sees all keys, the one before all but the last, and so on.
        dropout: probability of zeroing an attention weight, applied only if `training`.
        training: whether dropout is active.

    Example:
        >>> q = k = torch.zeros(1, 1, 2, 1)
        >>> v = torch.tensor([[[[2.0], [4.0]]]])
        >>> scaled_dot_product_attention(q, k, v).flatten().tolist()  # equal scores: the mean of the values
        [3.0, 3.0]
        >>> scaled_dot_product_attention(q, k, v, is_causal=True).flatten().tolist()
        [2.0, 3.0]
    """
    if is_causal:
        mask = combine_masks(causal_mask(q.shape[2], k.shape[2], device=q.device), mask)
    weights = F.dropout(attention_weights(q, k, mask), dropout, training)  # [B, H, T, S]
    return weights @ repeat_heads(v, q.shape[1])  # [B, H, T, K]


def fused_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    mask: Tensor | None = None,
    is_causal: bool = False,
    dropout: float = 0.0,
    training: bool = False,
) -> Tensor:
    """Return the same as `scaled_dot_product_attention`, in one kernel that never stores the weights [B, H, T, S].

    Example:
        >>> q = k = v = torch.arange(8.0).reshape(1, 1, 4, 2)
        >>> by_hand = scaled_dot_product_attention(q, k, v, is_causal=True)
        >>> torch.allclose(fused_attention(q, k, v, is_causal=True), by_hand)
        True
    """
    T, S = q.shape[2], k.shape[2]
    is_slow = training and q.device.type == "cpu" and q.dtype == torch.bfloat16
    if is_slow and is_causal and T == S <= LONGEST_BLOCKED:
        k, v = repeat_heads(k, q.shape[1]), repeat_heads(v, q.shape[1])
        return blocked_attention(q, k, v, mask=mask, dropout=dropout)
    if is_causal and T == 1:
        is_causal = False  # one query, the newest: it sees every key
    if is_causal and (mask is not None or T != S):  # torch's kernel aligns the first query, ours the last
        mask, is_causal = combine_masks(causal_mask(T, S, device=q.device), mask), False
    if is_slow and S <= LONGEST_WIDENED:
        with torch.autocast("cpu", enabled=False):
            wide = _kernel(q.float(), k.float(), v.float(), mask, is_causal=is_causal, dropout=dropout)
        return wide.to(q.dtype)
    return _kernel(q, k, v, mask, is_causal=is_causal, dropout=dropout if training else 0.0)


def _kernel(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, *, is_causal: bool, dropout: float) -> Tensor:
    grouped = q.shape[1] != k.shape[1]
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=is_causal, enable_gqa=grouped)
    # torch promises nothing about rows that may attend to nothing, and its kernels differ. Such rows see everything
    # here and are then set to zero, so neither the result nor a gradient can be NaN.
    blind = ~mask.any(-1, keepdim=True)  # [B, H, T, 1]
    heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | blind, dropout_p=dropout, enable_gqa=grouped)
    return heads.masked_fill(blind, 0.0)


def repeat_heads(x: Tensor, n_heads: int) -> Tensor:
    """Repeat each of G heads for the H/G query heads that share it: [B, G, S, K] -> [B, H, S, K].

    Example:
        >>> repeat_heads(torch.tensor([5, 7]).reshape(1, 2, 1, 1), n_heads=4).flatten().tolist()
        [5, 5, 7, 7]
    """
    return x if x.shape[1] == n_heads else x.repeat_interleave(n_heads // x.shape[1], dim=1)


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """Cut the width into heads: [B, T, H·K] -> [B, H, T, K], a view.

    Example:
        >>> split_heads(torch.arange(4).reshape(1, 1, 4), n_heads=2).tolist()
        [[[[0, 1]], [[2, 3]]]]
    """
    return x.reshape(*x.shape[:-1], n_heads, -1).transpose(1, 2)


def combine_heads(x: Tensor) -> Tensor:
    """Lay the heads side by side again: [B, H, T, K] -> [B, T, H·K]; undoes `split_heads`.

    Example:
        >>> combine_heads(torch.tensor([[[[0, 1]], [[2, 3]]]])).tolist()
        [[[0, 1, 2, 3]]]
    """
    return x.transpose(1, 2).flatten(-2)


class MultiHeadAttention(nn.Module):
    """Project to heads, attend in each, project back (Vaswani et al. 2017, section 3.2.2).

    Self-attention without `context`, cross-attention with it. Biases and projections follow torch's `nn.Linear`.

    Args:
        d_model: width D of input and output.
        n_heads: query heads H; d_model must be a multiple.
        n_kv_heads: key/value heads G; n_heads must be a multiple. None: n_heads; 1 is multi-query attention.
        qk_norm: RMSNorm of each head's queries and keys over K, before the rotation (Henry et al. 2020; Qwen3's form).
        norm_epsilon: of these norms.
        bias: whether the four projections have a bias.
        qkv_bias: whether those of queries, keys and values have one. None: as `bias` says.
        dropout: probability of zeroing an attention weight while training.
        fused: use torch's kernel; False uses the formula as written above. Both give the same.

    Raises:
        ValueError: if the heads do not divide the width, or each other.

    Example:
        >>> attention = MultiHeadAttention(d_model=8, n_heads=4, n_kv_heads=2)
        >>> attention(torch.ones(1, 3, 8), is_causal=True).shape
        torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        n_kv_heads: int | None = None,
        qk_norm: bool = False,
        norm_epsilon: float = 1e-5,
        bias: bool = True,
        qkv_bias: bool | None = None,
        dropout: float = 0.0,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if d_model % n_heads:
            raise ValueError(f"d_model must be a multiple of n_heads={n_heads}, found {d_model}")
        if n_heads % self.n_kv_heads:
            raise ValueError(f"n_heads must be a multiple of n_kv_heads={self.n_kv_heads}, found {n_heads}")
        d_kv = d_model // n_heads * self.n_kv_heads
        qkv_bias = bias if qkv_bias is None else qkv_bias
        self.query = nn.Linear(d_model, d_model, bias=qkv_bias)
        self.key = nn.Linear(d_model, d_kv, bias=qkv_bias)
        self.value = nn.Linear(d_model, d_kv, bias=qkv_bias)
        self.output = nn.Linear(d_model, d_model, bias=bias)
        d_head = d_model // n_heads
        self.query_norm: nn.Module = RMSNorm(d_head, epsilon=norm_epsilon, fused=fused) if qk_norm else nn.Identity()
        self.key_norm: nn.Module = RMSNorm(d_head, epsilon=norm_epsilon, fused=fused) if qk_norm else nn.Identity()
        self.joined: nn.Module | None = None  # a copy for inference has query, key and value in one product here
        self.dropout = dropout
        self.fused = fused

    def forward(
        self,
        x: Tensor,
        context: Tensor | KeysValues | None = None,
        *,
        mask: Tensor | None = None,
        is_causal: bool = False,
        rotation: Callable[[Tensor], Tensor] | None = None,
        cache: LayerStore | None = None,
        only: Tensor | None = None,
        watch: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """Return what each position of `x` gathered: [B, T, D] -> [B, T, D].

        Args:
            x: where the queries come from.
            context: where keys and values come from, [B, S, D], or what `keys_and_values` made of it; None: from x.
            mask: boolean, broadcast to [B, H, T, S], True = may attend; S counts the cached positions too.
            is_causal: hide the future, in addition to the mask.
            rotation: turns queries and keys by their positions (`RotaryPositions`).
            cache: keeps the keys and values of earlier calls; the new ones are appended.
            only: the one position of each row that is wanted, int64 [B]: the result is [B, 1, D]. `mask` is then that
                of these queries, causality included.
            watch: is given the weights [B, H, T, S], written out and before dropout, which the kernel never stores.
        """
        H, G = self.n_heads, self.n_kv_heads
        if self.joined is None:
            q = split_heads(self.query(x), H)  # [B, H, T, K]
            k, v = context if isinstance(context, tuple) else self.keys_and_values(x if context is None else context)
        else:
            heads = split_heads(self.joined(x), H + 2 * G)
            qk, v = heads[:, : H + G], heads[:, H + G :]  # [B, H + G, T, K], [B, G, T, K]
            if rotation is not None and isinstance(self.query_norm, nn.Identity):  # one rotation for both
                qk, rotation = rotation(qk), None
            q, k = qk[:, :H], self.key_norm(qk[:, H:]).to(v.dtype)
        q = self.query_norm(q).to(v.dtype)  # autocast leaves norms in float32
        if rotation is not None:
            q, k = rotation(q), rotation(k)
        if cache is not None:
            k, v = cache.append(k, v)  # S grows by what is cached
        if only is not None:
            q = torch.take_along_dim(q, only[:, None, None, None], dim=2)  # [B, H, 1, K]
        if watch is not None:
            future = causal_mask(q.shape[2], k.shape[2], device=q.device) if is_causal else None
            watch(attention_weights(q, k, combine_masks(future, mask)))
        attend = fused_attention if self.fused else scaled_dot_product_attention
        heads = attend(q, k, v, mask=mask, is_causal=is_causal, dropout=self.dropout, training=self.training)
        out: Tensor = self.output(combine_heads(heads))  # [B, T, D]
        return out

    def keys_and_values(self, context: Tensor) -> KeysValues:
        """Return what `context` [B, S, D] offers to every query: [B, G, S, K] each, not yet rotated.

        Example:
            >>> attention, x = MultiHeadAttention(d_model=8, n_heads=4), torch.ones(1, 3, 8)
            >>> kept = attention.keys_and_values(x)
            >>> kept[0].shape, torch.equal(attention(x, kept), attention(x))
            (torch.Size([1, 4, 3, 2]), True)
        """
        k, v = split_heads(self.key(context), self.n_kv_heads), split_heads(self.value(context), self.n_kv_heads)
        return self.key_norm(k).to(v.dtype), v  # autocast leaves norms in float32
