"""Transformer blocks: attention and feed-forward with residual sums, for encoders, decoders and GPT.

Shapes: B batch, T positions, S positions of the other sequence, D width.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from groundup.configs.seq2seq import FeedForwardKind
from groundup.layers.attention import MultiHeadAttention
from groundup.layers.dropout import Dropout
from groundup.layers.feedforward import build_feed_forward
from groundup.layers.normalization import build_norm
from groundup.layers.virtual_tokens import KeysValues, LayerStore

NormOrder = Literal["pre", "post"]


Layer = Callable[[Tensor], Tensor]
"""Anything that maps [B, T, D] to [B, T, D]."""


def residual(
    x: Tensor, sublayer: Layer, *, norm: Layer, dropout: Layer, order: NormOrder, only: Tensor | None = None
) -> Tensor:
    """Return `x` plus what `sublayer` makes of it, normalized before or after.

    post: norm(x + dropout(sublayer(x))), the 2017 Transformer (Vaswani et al., sections 3.1 and 5.4).
    pre: x + dropout(sublayer(norm(x))), GPT-2: the sum is never normalized, so gradients pass it unchanged.

    With `only`, one position of each row (int64 [B]), the sublayer reads all of x [B, T, D] and returns [B, 1, D].

    Example:
        >>> halve, keep = (lambda x: x / 2), nn.Identity()
        >>> residual(torch.ones(2), lambda x: 2 * x, norm=halve, dropout=keep, order="pre").tolist()  # 1 + 2 · 1/2
        [2.0, 2.0]
        >>> residual(torch.ones(2), lambda x: 2 * x, norm=halve, dropout=keep, order="post").tolist()  # (1 + 2) / 2
        [1.5, 1.5]
    """
    kept = x if only is None else torch.take_along_dim(x, only[:, None, None], dim=1)
    if order == "pre":
        return kept + dropout(sublayer(norm(x)))
    return norm(kept + dropout(sublayer(x)))


class GPTBlock(nn.Module):
    """Causal self-attention, then feed-forward: one layer of a decoder-only model.

    Args:
        d_model: width D.
        n_heads: query heads.
        d_ff: inner width of the feed-forward layer.
        n_kv_heads: key/value heads. None: n_heads.
        activation: gelu, gelu_tanh, relu, relu_squared, silu or swiglu.
        norm: layer or rms.
        norm_order: pre or post.
        norm_epsilon: added to the variance.
        dropout: probability for attention weights and sublayer outputs while training.
        qk_norm: normalize queries and keys.
        bias: whether projections and LayerNorms have a bias.
        qkv_bias: whether those of queries, keys and values have one. None: as `bias` says.
        fused: use torch's kernels; False uses the formulas written out in this room.

    Example:
        >>> GPTBlock(d_model=8, n_heads=2, d_ff=32)(torch.ones(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        *,
        n_kv_heads: int | None = None,
        activation: FeedForwardKind = "gelu_tanh",
        norm: Literal["layer", "rms"] = "layer",
        norm_order: NormOrder = "pre",
        norm_epsilon: float = 1e-5,
        dropout: float = 0.0,
        qk_norm: bool = False,
        bias: bool = True,
        qkv_bias: bool | None = None,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.attention_norm = build_norm(norm, d_model, epsilon=norm_epsilon, bias=bias, fused=fused)
        self.attention = MultiHeadAttention(
            d_model,
            n_heads,
            n_kv_heads=n_kv_heads,
            qk_norm=qk_norm,
            norm_epsilon=norm_epsilon,
            bias=bias,
            qkv_bias=qkv_bias,
            dropout=dropout,
            fused=fused,
        )
        self.feed_forward_norm = build_norm(norm, d_model, epsilon=norm_epsilon, bias=bias, fused=fused)
        self.feed_forward = build_feed_forward(activation, d_model, d_ff, bias=bias, fused=fused)
        self.dropout = Dropout(dropout)
        self.norm_order = norm_order

    def forward(
        self,
        x: Tensor,
        *,
        mask: Tensor | None = None,
        is_causal: bool = True,
        rotation: Callable[[Tensor], Tensor] | None = None,
        cache: LayerStore | None = None,
        only: Tensor | None = None,
    ) -> Tensor:
        """Return the block's output [B, T, D], or [B, 1, D] with `only`; the arguments are `MultiHeadAttention`'s."""
        add = partial(residual, dropout=self.dropout, order=self.norm_order)
        x = add(
            x,
            lambda h: self.attention(h, mask=mask, is_causal=is_causal, rotation=rotation, cache=cache, only=only),
            norm=self.attention_norm,
            only=only,
        )
        return add(x, self.feed_forward, norm=self.feed_forward_norm)


class EncoderBlock(nn.Module):
    """Self-attention over the whole sequence, then feed-forward (Vaswani et al. 2017, section 3.1).

    Args:
        d_model: width D.
        n_heads: heads.
        d_ff: inner width of the feed-forward layer.
        activation: gelu, gelu_tanh, relu, relu_squared, silu or swiglu.
        norm_order: pre or post.
        norm_epsilon: added to the variance.
        dropout: probability for attention weights and sublayer outputs while training.
        bias: whether projections and LayerNorms have a bias.
        fused: use torch's kernels; False uses the formulas written out in this room.

    Example:
        >>> from groundup.layers.masks import padding_mask
        >>> block = EncoderBlock(d_model=8, n_heads=2, d_ff=32)
        >>> block(torch.ones(2, 3, 8), mask=padding_mask(torch.tensor([3, 2]), 3)).shape
        torch.Size([2, 3, 8])
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        *,
        activation: FeedForwardKind = "gelu",
        norm_order: NormOrder = "post",
        norm_epsilon: float = 1e-5,
        dropout: float = 0.0,
        bias: bool = True,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.attention_norm = build_norm("layer", d_model, epsilon=norm_epsilon, bias=bias, fused=fused)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout, fused=fused)
        self.feed_forward_norm = build_norm("layer", d_model, epsilon=norm_epsilon, bias=bias, fused=fused)
        self.feed_forward = build_feed_forward(activation, d_model, d_ff, bias=bias, fused=fused)
        self.dropout = Dropout(dropout)
        self.norm_order = norm_order

    def forward(
        self, x: Tensor, *, mask: Tensor | None = None, rotation: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Return the block's output [B, T, D].

        Args:
            x: the sequence [B, T, D].
            mask: hides padding; broadcast to [B, H, T, T].
            rotation: turns queries and keys by their positions (`RotaryPositions`).
        """
        add = partial(residual, dropout=self.dropout, order=self.norm_order)
        x = add(x, lambda h: self.attention(h, mask=mask, rotation=rotation), norm=self.attention_norm)
        return add(x, self.feed_forward, norm=self.feed_forward_norm)


class DecoderBlock(nn.Module):
    """Causal self-attention, cross-attention to an encoded sequence, feed-forward (Vaswani et al. 2017, section 3.1).

    Args:
        d_model: width D.
        n_heads: heads.
        d_ff: inner width of the feed-forward layer.
        activation: gelu, gelu_tanh, relu, relu_squared, silu or swiglu.
        norm_order: pre or post.
        norm_epsilon: added to the variance.
        dropout: probability for attention weights and sublayer outputs while training.
        bias: whether projections and LayerNorms have a bias.
        fused: use torch's kernels; False uses the formulas written out in this room.

    Example:
        >>> block = DecoderBlock(d_model=8, n_heads=2, d_ff=32)
        >>> block(torch.ones(1, 3, 8), torch.ones(1, 5, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        *,
        activation: FeedForwardKind = "gelu",
        norm_order: NormOrder = "post",
        norm_epsilon: float = 1e-5,
        dropout: float = 0.0,
        bias: bool = True,
        fused: bool = True,
    ) -> None:
        super().__init__()
        self.attention_norm = build_norm("layer", d_model, epsilon=norm_epsilon, bias=bias, fused=fused)
        self.attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout, fused=fused)
        self.cross_attention_norm = build_norm("layer", d_model, epsilon=norm_epsilon, bias=bias, fused=fused)
        self.cross_attention = MultiHeadAttention(d_model, n_heads, bias=bias, dropout=dropout, fused=fused)
        self.feed_forward_norm = build_norm("layer", d_model, epsilon=norm_epsilon, bias=bias, fused=fused)
        self.feed_forward = build_feed_forward(activation, d_model, d_ff, bias=bias, fused=fused)
        self.dropout = Dropout(dropout)
        self.norm_order = norm_order

    def forward(
        self,
        x: Tensor,
        encoded: Tensor | KeysValues,
        *,
        mask: Tensor | None = None,
        is_causal: bool = True,
        encoded_mask: Tensor | None = None,
        rotation: Callable[[Tensor], Tensor] | None = None,
        cache: LayerStore | None = None,
        only: Tensor | None = None,
        watch: Callable[[Tensor], None] | None = None,
    ) -> Tensor:
        """Return the block's output [B, T, D], or [B, 1, D] with `only`.

        The encoded sequences may be fewer than the rows of x, B = N · W: then W rows that follow each other read the
        same one, and it lies in memory once (the beams of a search).

        Args:
            x: the sequence being written [B, T, D].
            encoded: what the encoder made of the other sequence [N, S, D], or what the `keys_and_values` of the
                cross-attention made of that, once for all steps.
            mask: hides padding of x; broadcast to [B, H, T, T].
            is_causal: hide the future, in addition to the mask.
            encoded_mask: hides padding of the encoded sequence; broadcast to [N, H, T, S].
            rotation: turns queries and keys of the self-attention by their positions (`RotaryPositions`).
            cache: keeps keys and values of the self-attention.
            only: the one position of each row that is wanted, as in `MultiHeadAttention`.
            watch: is given the weights of the cross-attention [N, H, W · T, S].
        """
        add = partial(residual, dropout=self.dropout, order=self.norm_order)
        x = add(
            x,
            lambda h: self.attention(h, mask=mask, is_causal=is_causal, rotation=rotation, cache=cache, only=only),
            norm=self.attention_norm,
            only=only,
        )
        n_encoded = len(encoded[0] if isinstance(encoded, tuple) else encoded)

        def read(h: Tensor) -> Tensor:  # queries do not know each other: those of one sequence may stand in a row
            together = h.reshape(n_encoded, -1, h.shape[-1])  # [N, W·T, D]
            out: Tensor = self.cross_attention(together, encoded, mask=encoded_mask, watch=watch)
            return out.view(h.shape)

        x = add(x, read, norm=self.cross_attention_norm)
        return add(x, self.feed_forward, norm=self.feed_forward_norm)
