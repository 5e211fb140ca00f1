"""torch's own encoder–decoder as an outside reference: the modules, and their parameters under our names."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from groundup.configs.seq2seq import Seq2SeqConfig

PARTS = {  # torch's name -> ours; the in_proj matrices hold query, key and value
    "self_attn": "attention",
    "multihead_attn": "cross_attention",
    "linear1": "feed_forward.up",
    "linear2": "feed_forward.down",
}
NORMS = {
    "encoder": {"norm1": "attention_norm", "norm2": "feed_forward_norm"},
    "decoder": {"norm1": "attention_norm", "norm2": "cross_attention_norm", "norm3": "feed_forward_norm"},
}


class TorchSeq2Seq(nn.Module):
    """torch's Transformer between embeddings and an output matrix.

    It is the `Seq2Seq` of a config with learned positions, no sharing and no output_bias, without dropout. As in the
    paper, stacks of post-norm
    layers do not end in a norm of their own; torch adds one where none is said.
    """

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__()
        is_pre, D = config.norm_order == "pre", config.d_model
        assert config.source_vocab_size is not None
        assert config.target_vocab_size is not None
        self.source_embedding = nn.Embedding(config.source_vocab_size, D)
        self.target_embedding = nn.Embedding(config.target_vocab_size, D)
        self.positions = nn.ModuleDict({side: nn.Embedding(config.context_length, D) for side in ("source", "target")})
        layer: dict[str, Any] = {
            "dim_feedforward": config.feed_forward_width,
            "dropout": 0.0,
            "activation": config.activation,
            "batch_first": True,
            "norm_first": is_pre,
        }
        norms = [nn.LayerNorm(D) if is_pre else None for _ in range(2)]
        encoder = nn.TransformerEncoderLayer(D, config.n_heads, **layer)
        decoder = nn.TransformerDecoderLayer(D, config.n_heads, **layer)
        self.transformer = nn.Transformer(
            D,
            config.n_heads,
            custom_encoder=nn.TransformerEncoder(
                encoder, config.n_encoder_layers, norms[0], enable_nested_tensor=False
            ),
            custom_decoder=nn.TransformerDecoder(decoder, config.n_decoder_layers, norms[1]),
            batch_first=True,
        )
        self.output = nn.Linear(D, config.target_vocab_size, bias=False)

    def forward(self, source: Tensor, target: Tensor, source_is_token: Tensor, target_is_token: Tensor) -> Tensor:
        """Return logits [B, T, V]; what is no token is hidden from attention."""
        read, written = (
            table(tokens) + self.positions[side](torch.arange(tokens.shape[1]))
            for side, table, tokens in (
                ("source", self.source_embedding, source),
                ("target", self.target_embedding, target),
            )
        )
        T = target.shape[1]
        hidden = self.transformer(
            read,
            written,
            tgt_mask=torch.ones(T, T, dtype=torch.bool).triu(1),  # torch: True = may not attend
            src_key_padding_mask=~source_is_token,
            tgt_key_padding_mask=~target_is_token,
            memory_key_padding_mask=~source_is_token,
        )
        logits: Tensor = self.output(hidden)
        return logits


def by_our_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the parameters of `TorchSeq2Seq`, or their gradients, under the names that `Seq2Seq` has."""
    renamed = {}
    for name, tensor in tensors.items():
        if not name.startswith("transformer."):
            renamed[name] = tensor
            continue
        _, side, *rest = name.split(".")
        if rest[0] == "norm":  # of the whole stack
            renamed[f"{side}_norm.{rest[1]}"] = tensor
            continue
        _, number, part, *leaf = rest
        start = f"{side}.{number}.{(PARTS | NORMS[side])[part]}"
        if leaf[0].startswith("in_proj_"):
            kind = leaf[0].removeprefix("in_proj_")
            for one, chunk in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[f"{start}.{one}.{kind}"] = chunk
        else:
            renamed[f"{start}.{'.'.join(leaf).replace('out_proj', 'output')}"] = tensor
    return renamed
