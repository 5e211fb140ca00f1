"""Proofs of layers/: every layer against its counterpart in torch, values and gradients."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.layers.activations import gelu, gelu_tanh
from groundup.layers.attention import MultiHeadAttention, fused_attention, scaled_dot_product_attention
from groundup.layers.blocks import DecoderBlock, EncoderBlock
from groundup.layers.embedding import TokenEmbedding
from groundup.layers.masks import causal_mask
from groundup.layers.normalization import LayerNorm, RMSNorm
from groundup.proofs.compare import copy_parameters, gradient_pairs, largest, randomized, values_and_gradients_apart
from groundup.proofs.table import Proof

ROUNDING = "float32 rounding, 1.2e-7 of values up to about 30, summed in another order"
B, T, S, D, H = 2, 7, 5, 32, 4
Gradients = list[tuple[Tensor | None, Tensor | None]]


def _random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _attention(masked: bool, ours: Callable[..., Tensor]) -> Callable[[], float]:
    def difference() -> float:
        q, k, v = _random(B, H, T, 8), _random(B, H, T, 8, seed=2), _random(B, H, T, 8, seed=3)
        mask = causal_mask(T) if masked else None
        return values_and_gradients_apart(
            lambda q, k, v: ours(q, k, v, mask=mask),
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
            [q, k, v],
        )

    return difference


def _blind_row() -> float:
    """Return the largest value and gradient of a query that may attend to nothing: zero, and not NaN."""
    mask = causal_mask(T).clone()
    mask[..., 3, :] = False
    parts = []
    for attend in (scaled_dot_product_attention, fused_attention):
        q = _random(B, H, T, 8).requires_grad_()
        out = attend(q, _random(B, H, T, 8, seed=2), _random(B, H, T, 8, seed=3), mask=mask)
        (gradient,) = torch.autograd.grad(out.sum(), q)
        if not (out.isfinite().all() and gradient.isfinite().all()):
            return float("nan")
        parts += [out.detach()[:, :, 3], gradient[:, :, 3]]
    return largest(float(part.abs().max()) for part in parts)


def _copy_attention(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> None:
    mine = (ours.query, ours.key, ours.value)
    for part in ("weight", "bias"):  # torch packs query, key and value into one matrix
        packed = getattr(theirs, f"in_proj_{part}").chunk(3)
        copy_parameters([(getattr(layer, part), other) for layer, other in zip(mine, packed, strict=True)])
    copy_parameters([(ours.output.weight, theirs.out_proj.weight), (ours.output.bias, theirs.out_proj.bias)])


def _attention_gradients(ours: MultiHeadAttention, theirs: nn.MultiheadAttention) -> Gradients:
    mine = (ours.query, ours.key, ours.value)
    pairs = gradient_pairs([(ours.output.weight, theirs.out_proj.weight), (ours.output.bias, theirs.out_proj.bias)])
    for part in ("weight", "bias"):
        packed = getattr(theirs, f"in_proj_{part}").grad.chunk(3)
        pairs += [(getattr(layer, part).grad, other) for layer, other in zip(mine, packed, strict=True)]
    return pairs


def _multi_head() -> float:
    theirs = nn.MultiheadAttention(D, H, batch_first=True)
    randomized(theirs)
    ours = MultiHeadAttention(D, H)
    _copy_attention(ours, theirs)
    hidden = ~causal_mask(T)  # torch: True = may not attend
    return values_and_gradients_apart(
        lambda x: ours(x, is_causal=True),
        lambda x: theirs(x, x, x, attn_mask=hidden, need_weights=False)[0],
        [_random(B, T, D)],
        lambda: _attention_gradients(ours, theirs),
    )


def _layer_norm() -> float:
    theirs = randomized(nn.LayerNorm(D))
    ours = LayerNorm(D, fused=False)
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    copy_parameters(pairs)
    return values_and_gradients_apart(ours, theirs, [_random(B, T, D)], lambda: gradient_pairs(pairs))


def _rms_norm() -> float:
    theirs = randomized(nn.RMSNorm(D, eps=1e-5))
    ours = RMSNorm(D, fused=False)
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    copy_parameters(pairs)
    return values_and_gradients_apart(ours, theirs, [_random(B, T, D)], lambda: gradient_pairs(pairs))


def _layer_pairs(ours: nn.Module, theirs: nn.Module, names: dict[str, str]) -> list[tuple[Tensor, Tensor]]:
    mine, other = dict(ours.named_parameters()), dict(theirs.named_parameters())
    return [
        (mine[f"{name}.{part}"], other[f"{torch_name}.{part}"])
        for name, torch_name in names.items()
        for part in ("weight", "bias")
    ]


def _encoder_block() -> float:
    theirs = nn.TransformerEncoderLayer(D, H, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
    randomized(theirs)
    ours = EncoderBlock(D, H, 64, norm_order="pre")
    names = {"attention_norm": "norm1", "feed_forward_norm": "norm2"}
    names |= {"feed_forward.up": "linear1", "feed_forward.down": "linear2"}
    pairs = _layer_pairs(ours, theirs, names)
    copy_parameters(pairs)
    _copy_attention(ours.attention, theirs.self_attn)
    return values_and_gradients_apart(
        ours,
        theirs,
        [_random(B, T, D)],
        lambda: gradient_pairs(pairs) + _attention_gradients(ours.attention, theirs.self_attn),
    )


def _decoder_block() -> float:
    theirs = nn.TransformerDecoderLayer(D, H, 64, dropout=0.0, activation="relu", batch_first=True)
    randomized(theirs)
    ours = DecoderBlock(D, H, 64, activation="relu", norm_order="post")
    names = {"attention_norm": "norm1", "cross_attention_norm": "norm2", "feed_forward_norm": "norm3"}
    names |= {"feed_forward.up": "linear1", "feed_forward.down": "linear2"}
    pairs = _layer_pairs(ours, theirs, names)
    copy_parameters(pairs)
    _copy_attention(ours.attention, theirs.self_attn)
    _copy_attention(ours.cross_attention, theirs.multihead_attn)
    causal = nn.Transformer.generate_square_subsequent_mask(T)
    return values_and_gradients_apart(
        lambda x, m: ours(x, m),
        lambda x, m: theirs(x, m, tgt_mask=causal, tgt_is_causal=True),
        [_random(B, T, D), _random(B, S, D, seed=2)],
        lambda: (
            gradient_pairs(pairs)
            + _attention_gradients(ours.attention, theirs.self_attn)
            + _attention_gradients(ours.cross_attention, theirs.multihead_attn)
        ),
    )


def _embedding(sparse: bool) -> Callable[[], float]:
    def difference() -> float:
        ours, theirs = TokenEmbedding(D, H, fused=False, sparse=sparse), nn.Embedding(D, H, sparse=sparse)
        randomized(theirs)
        pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
        copy_parameters(pairs)
        tokens = torch.arange(B * T).reshape(B, T).remainder(5)  # some occur three times, most of the table never
        return values_and_gradients_apart(ours, theirs, [tokens], lambda: _alike_in_layout(gradient_pairs(pairs)))

    return difference


def _alike_in_layout(pairs: Gradients) -> Gradients:
    """Return the pairs as dense tensors; of one that is sparse on one side only, nothing."""
    return [
        (None, None) if a is None or b is None or a.layout != b.layout else (a.to_dense(), b.to_dense())
        for a, b in pairs
    ]


def _activation(ours: Callable[[Tensor], Tensor], approximate: str) -> Callable[[], float]:
    return lambda: values_and_gradients_apart(
        ours, lambda x: F.gelu(x, approximate=approximate), [torch.linspace(-12.0, 12.0, 4_001)]
    )


def _proof(part: str, reference: str, difference: Callable[[], float], bound: float = 1e-5) -> Proof:
    why = ROUNDING if bound else "exactly zero"
    return Proof(room="layers", part=part, reference=reference, bound=bound, why=why, difference=difference)


PROOFS = (
    _proof("embedding by hand", "torch Embedding", _embedding(sparse=False)),
    _proof("embedding by hand, sparse gradient", "torch Embedding(sparse=True)", _embedding(sparse=True)),
    _proof("attention by hand", "torch fused kernel", _attention(False, scaled_dot_product_attention)),
    _proof("attention by hand, causal mask", "torch fused kernel", _attention(True, scaled_dot_product_attention)),
    _proof("attention fused, causal mask", "torch fused kernel", _attention(True, fused_attention)),
    _proof("a query that sees nothing, both paths", "zero, and not NaN", _blind_row, bound=0.0),
    _proof("MultiHeadAttention, causal", "torch MultiheadAttention", _multi_head),
    _proof("LayerNorm by hand", "torch LayerNorm", _layer_norm),
    _proof("RMSNorm by hand", "torch RMSNorm", _rms_norm),
    _proof("GELU by hand", "torch gelu", _activation(gelu, "none")),
    _proof("GELU, tanh form, by hand", "torch gelu(tanh)", _activation(gelu_tanh, "tanh")),
    _proof("EncoderBlock, pre-norm, GELU", "torch TransformerEncoderLayer", _encoder_block, bound=1e-4),
    _proof("DecoderBlock, post-norm, ReLU", "torch TransformerDecoderLayer", _decoder_block, bound=1e-4),
)
