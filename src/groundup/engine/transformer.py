"""The parts of a GPT on this engine: attention with heads and a cache, feed-forward, rotary positions, the block.

Shapes: B batch, T new positions, S positions seen (cached and new), D width, H query heads, G key/value heads, K head
width, F inner width. The names of parts are those of groundup.models, so that weights fit both.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from groundup.engine import functional
from groundup.engine.nn import Dropout, LayerNorm, Linear, Module, RMSNorm
from groundup.engine.ops.rules import Array
from groundup.engine.shaping import cat
from groundup.engine.tensor import Tensor

Activation = Literal["gelu", "gelu_tanh", "relu", "relu_squared", "swiglu"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "relu_squared": lambda x: functional.relu(x).square(),
}
"""The plain non-linearities by name; swiglu is a layer of its own."""


def angles(width: int, n_positions: int, base: float) -> Array:
    """Return position · base^(-2i/width) for each pair i of columns: [n_positions, width / 2], in radians.

    Example:
        >>> angles(4, 3, base=100.0).round(4).tolist() == np.array([[0, 0], [1, 0.1], [2, 0.2]], np.float32).tolist()
        True
    """
    pairs = np.arange(0, width, 2, dtype=np.float32) / np.float32(width)
    frequencies = np.float32(1) / np.float32(base) ** pairs
    return np.arange(n_positions, dtype=np.float32)[:, None] * frequencies


class Rotation:
    """Turns queries and keys by angles proportional to their positions (Su et al. 2021, eq. 34).

    Columns i and i + K/2 of a head are the coordinates of a point in a plane, turned by position · base^(-2i/K):

        (a, b) → (a cos - b sin, b cos + a sin)

    Turning q by an angle α and k by β changes their dot product as turning q alone by α - β does. So attention sees
    only the distance between two positions.

    Args:
        d_head: head width K, even.
        context_length: positions.
        base: the longest wavelength is about base · 2π positions.

    Raises:
        ValueError: an odd d_head.

    Example:
        >>> turn = Rotation(2, 8, base=10_000.0).at(offset=1, T=1)  # by one radian
        >>> [round(number, 4) for number in turn(Tensor([[[[1.0, 0.0]]]])).data.ravel().tolist()]
        [0.5403, 0.8415]
    """

    def __init__(self, d_head: int, context_length: int, base: float) -> None:
        if d_head % 2:
            raise ValueError(f"rotary positions need an even d_head = d_model / n_heads, found {d_head}")
        turned = angles(d_head, context_length, base)  # [C, K/2]
        self.cos, self.sin = np.cos(turned), np.sin(turned)

    def at(self, offset: int, T: int) -> Callable[[Tensor], Tensor]:
        """Return the function that turns [B, H, T, K] at the positions offset … offset + T - 1."""
        cos, sin = self.cos[offset : offset + T], self.sin[offset : offset + T]  # [T, K/2]

        def turn(x: Tensor) -> Tensor:
            half = x.shape[-1] // 2
            a, b = x[..., :half], x[..., half:]  # [B, H, T, K/2]
            c, s = (Tensor(table.astype(x.dtype, copy=False)) for table in (cos, sin))
            return cat((a * c - b * s, b * c + a * s), dim=-1)

        return turn


class LayerCache:
    """Room for the keys and values [B, G, capacity, K] of one layer, so that a new token costs a pass of length one.

    Gradients do not flow through it: it is for generation.
    """

    def __init__(self, shape: tuple[int, int, int, int], dtype: "np.dtype[np.floating]") -> None:
        self.keys, self.values = np.empty(shape, dtype), np.empty(shape, dtype)
        self.length = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write [B, G, T, K] behind what is held; return all that is held, [B, G, S, K]."""
        first, self.length = self.length, self.length + k.shape[2]
        self.keys[:, :, first : self.length] = k.data
        self.values[:, :, first : self.length] = v.data
        return Tensor(self.keys[:, :, : self.length]), Tensor(self.values[:, :, : self.length])


class Attention(Module):
    """Project to heads, attend in each, project back (Vaswani et al. 2017, section 3.2.2).

    Args:
        d_model: width D.
        n_heads: query heads H; d_model must be a multiple.
        n_kv_heads: heads G of keys and values; n_heads must be a multiple.
        bias: whether the four projections have a bias.
        dropout: probability of dropping an attention weight while training.
        qk_norm: RMSNorm of each head's queries and keys (Henry et al. 2020).
        norm_epsilon: of these norms.

    Raises:
        ValueError: the heads do not divide the width, or each other.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        n_kv_heads: int,
        bias: bool = True,
        dropout: float = 0.0,
        qk_norm: bool = False,
        norm_epsilon: float = 1e-5,
    ) -> None:
        super().__init__()
        if d_model % n_heads or n_heads % n_kv_heads:
            raise ValueError(
                "d_model must be a multiple of n_heads, and n_heads of n_kv_heads; "
                f"found {d_model}, {n_heads} and {n_kv_heads}"
            )
        self.n_heads, self.n_kv_heads, self.d_head, self.p = n_heads, n_kv_heads, d_model // n_heads, dropout
        self.query = Linear(d_model, d_model, bias)
        self.key = Linear(d_model, n_kv_heads * self.d_head, bias)
        self.value = Linear(d_model, n_kv_heads * self.d_head, bias)
        self.output = Linear(d_model, d_model, bias)
        self.query_norm = RMSNorm(self.d_head, norm_epsilon) if qk_norm else None
        self.key_norm = RMSNorm(self.d_head, norm_epsilon) if qk_norm else None

    def forward(
        self,
        x: Tensor,
        mask: Array | None = None,
        turn: Callable[[Tensor], Tensor] | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Return what each position gathered: [B, T, D] -> [B, T, D].

        Args:
            x: where queries, keys and values come from.
            mask: boolean, broadcast to [B, H, T, S], True = may attend.
            turn: the rotation of queries and keys.
            cache: holds earlier keys and values; the new ones are appended.
        """
        B, T, D = x.shape
        q = self.query(x).view(B, T, self.n_heads, self.d_head).transpose(1, 2)  # [B, H, T, K]
        k = self.key(x).view(B, T, self.n_kv_heads, self.d_head).transpose(1, 2)  # [B, G, T, K]
        v = self.value(x).view(B, T, self.n_kv_heads, self.d_head).transpose(1, 2)
        if self.query_norm is not None and self.key_norm is not None:
            q, k = self.query_norm(q), self.key_norm(k)
        if turn is not None:
            q, k = turn(q), turn(k)
        if cache is not None:
            k, v = cache.append(k, v)  # [B, G, S, K]
        p = self.p if self.training else 0.0
        heads = functional.scaled_dot_product_attention(q, k, v, mask, p)  # [B, H, T, K]
        out: Tensor = self.output(heads.transpose(1, 2).reshape(B, T, D))
        return out


class FeedForward(Module):
    """Widen, bend, narrow, at each position: down(activation(up(x))) (Vaswani et al. 2017, eq. 2).

    For swiglu two widened copies are multiplied: down(silu(gate(x)) · up(x)) (Shazeer 2020, eq. 6).

    Args:
        d_model: width D.
        d_ff: inner width F.
        activation: a key of ACTIVATIONS, or swiglu.
        bias: whether the projections have a bias.
    """

    def __init__(self, d_model: int, d_ff: int, *, activation: str = "gelu_tanh", bias: bool = True) -> None:
        super().__init__()
        self.gate = Linear(d_model, d_ff, bias) if activation == "swiglu" else None
        self.up = Linear(d_model, d_ff, bias)
        self.down = Linear(d_ff, d_model, bias)
        self.activation = functional.silu if activation == "swiglu" else ACTIVATIONS[activation]

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output: [B, T, D] -> [B, T, D]."""
        wide: Tensor = self.activation(self.up(x)) if self.gate is None else self.activation(self.gate(x)) * self.up(x)
        out: Tensor = self.down(wide)  # F -> D
        return out


def build_norm(kind: str, d_model: int, epsilon: float, bias: bool) -> LayerNorm | RMSNorm:
    """Return the norm called `kind`, layer or rms; an RMSNorm has no bias to switch off."""
    return RMSNorm(d_model, epsilon) if kind == "rms" else LayerNorm(d_model, epsilon, bias=bias)


class Block(Module):
    """Attention, then feed-forward, each with a norm and a residual sum.

    pre: x + f(norm(x)), as GPT-2: the sum is never normalized, so gradients pass it unchanged.
    post: norm(x + f(x)), as the 2017 Transformer.
    """

    def __init__(
        self,
        attention: Attention,
        feed_forward: FeedForward,
        norms: "tuple[LayerNorm | RMSNorm, LayerNorm | RMSNorm]",
        *,
        norm_order: str = "pre",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm, self.feed_forward_norm = norms
        self.attention, self.feed_forward = attention, feed_forward
        self.dropout = Dropout(dropout)
        self.norm_order = norm_order

    def forward(
        self,
        x: Tensor,
        mask: Array | None = None,
        turn: Callable[[Tensor], Tensor] | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Return the block's output: [B, T, D] -> [B, T, D]; the arguments are those of `Attention`."""
        if self.norm_order == "pre":
            x = x + self.dropout(self.attention(self.attention_norm(x), mask, turn, cache))
            x = x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        else:
            x = self.attention_norm(x + self.dropout(self.attention(x, mask, turn, cache)))
            x = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return x
