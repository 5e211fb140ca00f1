"""Causal attention for training in bfloat16 on a CPU: a block of queries at a time, against no keys of the future.

Shapes: B batch, T positions, H heads, K head width; N = B · H, t queries of a block, s keys up to its end.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from groundup.layers.masks import causal_mask

BLOCK = 64
"""Queries in a block. Smaller ones skip more of the future but make products too small: of 32, 64, 128 and 256 this was
the fastest or within 5 % of it for (N, T, K) = (48, 64, 32), (32, 256, 16), (96, 256, 64), (24, 256, 64)."""


def blocked_attention(q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None = None, dropout: float = 0.0) -> Tensor:
    """Return causal softmax(QKᵀ/√d_head)V: [B, H, T, K] three times -> [B, H, T, K], with a gradient.

    Only matrix products, softmax and its gradient, each a kernel of torch that is fast in bfloat16; forward and
    backward take a half to a fifth of the time of torch's one bfloat16 kernel for all of it at up to 256 positions
    (torch 2.13). The weights are kept for the backward pass, half of a [N, T, T] in the format of q: for long contexts
    take the kernel, whose memory grows with T alone.

    Args:
        q: queries.
        k: keys.
        v: values.
        mask: boolean, broadcast to [B, H, T, T], True = may attend. A row without any True gives zeros, never NaN.
        dropout: probability of zeroing an attention weight.

    Example:
        >>> q = k = torch.zeros(1, 1, 2, 1)
        >>> v = torch.tensor([[[[2.0], [4.0]]]])
        >>> blocked_attention(q, k, v).flatten().tolist()  # equal scores: the mean of the values
        [2.0, 3.0]
    """
    hidden = None if mask is None else ~mask
    heads: Tensor = _BlockedAttention.apply(q, k, v, hidden, dropout)  # type: ignore[no-untyped-call]
    if mask is None:
        return heads
    seen = mask & causal_mask(q.shape[2], q.shape[2], device=q.device)
    return heads.masked_fill(~seen.any(-1, keepdim=True), 0.0)


class _BlockedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - autograd's context
        q: Tensor,
        k: Tensor,
        v: Tensor,
        hidden: Tensor | None,
        dropout: float,
    ) -> Tensor:
        (B, H, T, K), shape = q.shape, q.shape
        q, k, v = ((x.reshape(B * H, T, K)) for x in (q / math.sqrt(K), k, v))
        hidden = None if hidden is None else hidden.expand(B, H, T, T)
        future = torch.full((min(BLOCK, T),) * 2, -math.inf, dtype=q.dtype, device=q.device).triu_(1)
        out, weights, kept = torch.empty_like(q), [], []
        with torch.autocast(q.device.type, enabled=False):  # it would make softmax give float32
            for start, end in _blocks(T):
                scores = q[:, start:end] @ k[:, :end].transpose(1, 2)  # [N, t, s]
                if hidden is not None:  # the lowest finite number: a row of -inf alone would become NaN
                    by_head = scores.view(B, H, end - start, end)
                    by_head.masked_fill_(hidden[:, :, start:end, :end], torch.finfo(q.dtype).min)
                scores[:, :, start:] += future[: end - start, : end - start]
                weights.append(scores.softmax(-1))
                used = weights[-1]
                if dropout:
                    used, drawn = torch.native_dropout(used, dropout, train=True)
                    kept.append(drawn)
                out[:, start:end] = used @ v[:, :end]
        ctx.save_for_backward(q, k, v, *weights, *kept)
        ctx.shape, ctx.dropout = shape, dropout
        return out.view(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - autograd's context
        (q, k, v, *saved), T = ctx.saved_tensors, ctx.shape[2]
        blocks = _blocks(T)
        weights, kept = saved[: len(blocks)], saved[len(blocks) :]
        grad, scale = grad.reshape(q.shape), 1 / (1 - ctx.dropout)
        # Keys and values collect from every block of queries behind them: the sums need more digits than bfloat16 has.
        precise = q.dtype if len(blocks) == 1 else torch.promote_types(q.dtype, torch.float32)
        d_q, d_k, d_v = torch.empty_like(q), k.new_zeros(k.shape, dtype=precise), v.new_zeros(v.shape, dtype=precise)
        for i, (start, end) in enumerate(blocks):
            g, used = grad[:, start:end], weights[i]
            d_weights = g @ v[:, :end].transpose(1, 2)  # [N, t, s]
            if kept:
                used = used * kept[i] * scale
                d_weights = torch.ops.aten.native_dropout_backward(d_weights, kept[i], scale)
            d_scores = torch._softmax_backward_data(d_weights, weights[i], -1, weights[i].dtype)
            d_q[:, start:end] = d_scores @ k[:, :end]
            d_k[:, :end] += d_scores.transpose(1, 2) @ q[:, start:end]
            d_v[:, :end] += used.transpose(1, 2) @ g
        d_q /= math.sqrt(q.shape[-1])  # q was divided in the forward pass
        return *(d.to(q.dtype).view(ctx.shape) for d in (d_q, d_k, d_v)), None, None


def _blocks(T: int) -> list[tuple[int, int]]:
    """Return the first query of each block, and the first behind it.

    Example:
        >>> _blocks(150)
        [(0, 64), (64, 128), (128, 150)]
    """
    return [(start, min(start + BLOCK, T)) for start in range(0, T, BLOCK)]
