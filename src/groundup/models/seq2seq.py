"""Seq2Seq: the encoder–decoder Transformer, from the blocks of layers/, by config.

Shapes: B batch, S source positions, T target positions, D width, V target vocabulary, H heads.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.errors import InputError
from groundup.layers.blocks import DecoderBlock, EncoderBlock
from groundup.layers.cache import Cache
from groundup.layers.dropout import Dropout
from groundup.layers.embedding import TokenEmbedding
from groundup.layers.masks import mask_at, pass_mask
from groundup.layers.normalization import build_norm
from groundup.layers.positions import LearnedPositions, RotaryPositions, Rotation, SinusoidalPositions
from groundup.layers.sources import Sources
from groundup.models.conditioned import Conditioned
from groundup.models.encoded import Encoded as Encoded

Watches = Mapping[int, Callable[[Tensor], None]]
"""By layer of the decoder: what is given the weights of its cross-attention; see `DecoderBlock`."""
Side = Literal["source", "target"]
"""What is read, and what is written."""


class Seq2Seq(nn.Module):
    """A source and the beginning of its target in, logits of the target's next token out (Vaswani et al. 2017).

    Initial weights are the paper's, as its authors' code (tensor2tensor) has them: matrices uniform with variance
    2 / (in + out) (Glorot and Bengio 2010), embeddings normal with deviation 1/√D, biases zero. GPT's rule learns
    later: of 64-wide models that reversed words for 300 steps, with these weights they reached a loss of 0.47
    (post-norm) and 0.44 (pre-norm), with GPT's 3.14 and 2.93. They come from torch's default generator: seed it to get
    the same weights.

    With sinusoidal positions the embedding is multiplied by √D (section 3.4), so that tokens are as large as the
    vectors of their positions.

    Args:
        config: sizes and parts; both vocabularies must be set.
        fused: use torch's kernels; False uses the formulas written out in layers/. Both give the same.

    Raises:
        InputError: if a vocabulary of the config is None.

    Example:
        >>> sizes = dict(source_vocab_size=10, target_vocab_size=10, d_model=16, n_heads=2, context_length=8)
        >>> model = Seq2Seq(Seq2SeqConfig(**sizes, n_encoder_layers=1, n_decoder_layers=1))
        >>> model(torch.tensor([[1, 2, 3]]), torch.tensor([[0, 4]])).shape
        torch.Size([1, 2, 10])
    """

    def __init__(self, config: Seq2SeqConfig, *, fused: bool = True) -> None:
        super().__init__()
        source_size, target_size = config.source_vocab_size, config.target_vocab_size
        if source_size is None or target_size is None:
            raise InputError(
                f"Seq2SeqConfig.source_vocab_size and target_vocab_size must be set to build a Seq2Seq, found "
                f"{source_size} and {target_size}; use the tokenizers'"
            )
        self.config = config
        D = config.d_model
        scale = math.sqrt(D) if config.position == "sinusoidal" else 1.0
        self.target_embedding = TokenEmbedding(target_size, D, scale=scale, fused=fused)
        self.source_embedding = None  # it is the target's
        if config.share_embeddings != "all":
            self.source_embedding = TokenEmbedding(source_size, D, scale=scale, fused=fused)
        self.positions = nn.ModuleDict(_positions(config))
        self.rotary = None
        if config.position == "rotary":
            self.rotary = RotaryPositions(config.d_head, config.context_length, base=config.rotary_base)
        self.dropout = Dropout(config.dropout)
        self.encoder = nn.ModuleList(
            EncoderBlock(**_parts(config), fused=fused) for _ in range(config.n_encoder_layers)
        )
        self.decoder = nn.ModuleList(
            DecoderBlock(**_parts(config), fused=fused) for _ in range(config.n_decoder_layers)
        )
        self.encoder_norm, self.decoder_norm = _final_norm(config, fused), _final_norm(config, fused)
        self.output = nn.Linear(D, target_size, bias=False) if config.share_embeddings == "none" else None
        self.output_bias = nn.Parameter(torch.zeros(target_size)) if config.output_bias else None
        self._initialize()

    def forward(
        self,
        source: Tensor,
        target: Tensor,
        *,
        source_is_token: Tensor | None = None,
        target_is_token: Tensor | None = None,
    ) -> Tensor:
        """Return logits of the token after each of `target`: int64 [B, S] and [B, T] -> [B, T, V].

        Args:
            source: what is read.
            target: what was written so far, the begin id first; no position sees a later one.
            source_is_token: which of the source are real tokens and not padding, bool [B, S]. None: all.
            target_is_token: the same of the target, bool [B, T]. Leave it out where padding stands behind the real
                tokens, which cannot see it: without a mask attention is faster.

        Raises:
            InputError: a source or target of more than context_length tokens.
        """
        mask = None if target_is_token is None else target_is_token[:, None, None]
        return self.project(self.hidden_states(self.encode(source, source_is_token), target, mask=mask))

    def encode(self, source: Tensor, is_token: Tensor | None = None) -> Encoded:
        """Return what the encoder makes of sources, int64 [B, S]; `is_token` (bool [B, S]) says what is not padding."""
        self._check_length(source.shape[1], "source")
        embedding = self.target_embedding if self.source_embedding is None else self.source_embedding
        x, rotation = self._enter(embedding(source), "source", 0)
        mask = None if is_token is None else is_token[:, None, None]  # [B, 1, 1, S]
        for block in self.encoder:
            x = block(x, mask=mask, rotation=rotation)
        return Encoded(self.encoder_norm(x), mask)

    def hidden_states(
        self,
        encoded: Encoded | Sources,
        target: Tensor,
        *,
        cache: Cache | None = None,
        mask: Tensor | None = None,
        only: Tensor | None = None,
        watch: Watches | None = None,
    ) -> Tensor:
        """Return what `project` turns into logits, after the final norm: [B, T] -> [B, T, D], or [B, 1, D] with `only`.

        Args:
            encoded: of the sources; or keys and values of it, made once for all steps (`Conditioned`).
            target: ids; with a cache, those that follow the ones it holds.
            cache: keys and values of earlier tokens; it grows by T.
            mask: boolean, broadcast to [B, 1, T, T] (with a cache [B, 1, T, all]), True = may attend; causality is
                added to it.
            only: the one position of each row that is wanted, int64 [B]: the last block computes the others' keys and
                values alone.
            watch: is given weights of the cross-attention, by layer.
        """
        T = target.shape[1]
        held, offset = (0, 0) if cache is None else (cache.longest, cache.offset)
        self._check_length(held + T, "target")
        x, rotation = self._enter(self.target_embedding(target), "target", offset)
        mask, is_causal = pass_mask(T, held + T, offset, mask, x.device)
        for i, block in enumerate(self.decoder):
            here = only if i == len(self.decoder) - 1 else None
            if here is not None:
                mask, is_causal = mask_at(here, held + T, offset, mask, is_causal=is_causal), False
            x = block(
                x,
                encoded.layer(i) if isinstance(encoded, Sources) else encoded.hidden,
                mask=mask,
                is_causal=is_causal,
                encoded_mask=encoded.mask,
                rotation=rotation,
                cache=None if cache is None else cache.layer(i),
                only=here,
                watch=None if watch is None else watch.get(i),
            )
        if cache is not None:
            cache.advance(T)
        hidden: Tensor = self.decoder_norm(x)
        return hidden

    def project(self, hidden: Tensor) -> Tensor:
        """Return the logits for hidden states: [..., D] -> [..., V]; give it the last position only to save work."""
        return nn.functional.linear(hidden, self.output_weight, self.output_bias)

    def conditioned(self, encoded: Encoded) -> Conditioned:
        """Return the decoder with its sources, which draws text as a GPT does."""
        return Conditioned(self, self.sources(encoded))

    @torch.no_grad()
    def sources(self, encoded: Encoded) -> Sources:
        """Return the keys and values that the decoder's layers look at, computed once; no gradient flows through."""
        blocks = [block for block in self.decoder if isinstance(block, DecoderBlock)]  # all, for the type checker
        pairs = [block.cross_attention.keys_and_values(encoded.hidden) for block in blocks]
        mask = encoded.mask
        if mask is not None and bool(mask.all()):  # a batch without padding: attention without a mask is faster
            mask = None
        return Sources(torch.stack([k for k, _ in pairs]), torch.stack([v for _, v in pairs]), mask)

    @torch.no_grad()
    def cross_attention(self, source: Tensor, target: Tensor, *, source_is_token: Tensor | None = None) -> Tensor:
        """Return how much each target position takes from each source position, [B, n_layers, H, T, S].

        Position t is where `target`[t] is read and the token behind it predicted: its row says what that token was
        written from. Rows sum to 1, and padding has 0. Dropout is as the model's mode says; use `eval()`.

        Example:
            >>> sizes = dict(source_vocab_size=10, target_vocab_size=10, d_model=16, n_heads=2, context_length=8)
            >>> model = Seq2Seq(Seq2SeqConfig(**sizes, n_encoder_layers=1, n_decoder_layers=3))
            >>> weights = model.cross_attention(torch.tensor([[1, 2, 3, 4]]), torch.tensor([[0, 4]]))
            >>> weights.shape, round(weights[0, 2, 1, 1].sum().item(), 4)
            (torch.Size([1, 3, 2, 2, 4]), 1.0)
        """
        seen: list[Tensor] = []
        watch = dict.fromkeys(range(len(self.decoder)), seen.append)
        self.hidden_states(self.encode(source, source_is_token), target, watch=watch)
        return torch.stack(seen, dim=1)

    @property
    def context_length(self) -> int:
        """Most tokens of a source, and of a target."""
        return self.config.context_length

    @property
    def output_weight(self) -> Tensor:
        """The matrix [V, D] that `project` multiplies by: the target embedding's own where the two are one."""
        return self.target_embedding.weight if self.output is None else self.output.weight

    @property
    def source_vocab_size(self) -> int:
        """Tokens that it reads."""
        assert self.config.source_vocab_size is not None
        return self.config.source_vocab_size

    @property
    def target_vocab_size(self) -> int:
        """Tokens that it writes."""
        assert self.config.target_vocab_size is not None
        return self.config.target_vocab_size

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.target_embedding.weight.device

    def n_parameters(self, *, embeddings: bool = True) -> int:
        """Count the parameters, shared ones once; `embeddings=False` leaves out the token and position tables.

        Example:
            >>> from dataclasses import replace
            >>> from groundup.configs.seq2seq import seq2seq_preset
            >>> sizes = dict(source_vocab_size=37_000, target_vocab_size=37_000)
            >>> with torch.device("meta"):  # shapes only, no memory
            ...     model = Seq2Seq(replace(seq2seq_preset("transformer-base"), **sizes))
            >>> round(model.n_parameters() / 1e6)  # the paper says 65, in table 3
            63
        """
        return sum(
            parameter.numel()
            for name, parameter in self.named_parameters()
            if embeddings or not name.startswith(("source_embedding.", "target_embedding.", "positions."))
        )

    def _enter(self, x: Tensor, side: Side, offset: int | Tensor) -> tuple[Tensor, Rotation | None]:
        """Return what the first block gets of embeddings [B, T, D], and what turns queries and keys."""
        if self.rotary is not None:
            return self.dropout(x), self.rotary(x.shape[1], offset)
        return self.dropout(self.positions["both" if "both" in self.positions else side](x, offset)), None

    def _check_length(self, n_tokens: int, side: Side) -> None:
        if n_tokens > self.context_length:
            raise InputError(
                f"this model sees at most {self.context_length} tokens of a {side}, found {n_tokens}; "
                "shorten the text or use a model with a larger context_length"
            )

    def _initialize(self) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith("embedding.weight") or name == "output.weight" or name.startswith("positions."):
                nn.init.normal_(parameter, std=self.config.d_model**-0.5)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
            elif parameter.ndim == 2:  # norms start at one
                nn.init.xavier_uniform_(parameter)


def _positions(config: Seq2SeqConfig) -> dict[str, nn.Module]:
    C, D = config.context_length, config.d_model
    if config.position == "learned":  # the two sides need not count alike
        return {"source": LearnedPositions(C, D), "target": LearnedPositions(C, D)}
    if config.position == "sinusoidal":
        return {"both": SinusoidalPositions(D, C, base=config.rotary_base, pairing=config.sinusoidal_pairing)}
    return {}


def _parts(config: Seq2SeqConfig) -> dict[str, Any]:
    """Return the arguments of every block, whichever side it is on."""
    return {
        "d_model": config.d_model,
        "n_heads": config.n_heads,
        "d_ff": config.feed_forward_width,
        "activation": config.activation,
        "norm_order": config.norm_order,
        "norm_epsilon": config.norm_epsilon,
        "dropout": config.dropout,
        "bias": config.bias,
    }


def _final_norm(config: Seq2SeqConfig, fused: bool) -> nn.Module:
    if config.norm_order == "post":  # its blocks end normalized
        return nn.Identity()
    return build_norm("layer", config.d_model, epsilon=config.norm_epsilon, bias=config.bias, fused=fused)
