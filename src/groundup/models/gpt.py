"""GPT: one decoder-only Transformer for GPT-2, the Llama family and the 2017 design, by config.

Shapes: B batch, T new tokens, S tokens seen (cached and new), P virtual tokens before them, D width, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.generation import CacheKind
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.layers.blocks import GPTBlock
from groundup.layers.cache import Cache
from groundup.layers.dropout import Dropout
from groundup.layers.embedding import TokenEmbedding
from groundup.layers.int8_kv_cache import Int8KVCache
from groundup.layers.kv_cache import KVCache
from groundup.layers.masks import mask_at, pass_mask
from groundup.layers.normalization import build_norm
from groundup.layers.positions import LearnedPositions, RotaryPositions, SinusoidalPositions
from groundup.layers.virtual_tokens import KeysValues, LayerStore, Prefixed, Recorded, VirtualTokens

INITIAL_DEVIATION = 0.02
"""Standard deviation of initial weights (Radford et al. 2018, section 4.1; GPT-2 kept it)."""


class GPT(nn.Module):
    """Tokens in, logits of the next token out (Radford et al. 2019).

    Initial weights are normal with deviation 0.02, the projections that write into the residual stream divided by
    √(2 · n_layers) because so many of them add up there (Radford et al. 2019, section 2.3), or zero with
    config.zero_init_outputs; biases are zero. They come from torch's default generator: seed it to get the same
    weights.

    With sinusoidal positions the embedding is multiplied by √D (Vaswani et al. 2017, section 3.4); else the fixed
    vectors, of size 1, would drown tokens of size 0.02. Rotary columns are paired as "halves" (Llama in transformers).

    Args:
        config: sizes and parts; `vocab_size` must be set.
        fused: use torch's kernels; False uses the formulas written out in layers/. Both give the same.

    Raises:
        InputError: if config.vocab_size is None.

    Example:
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=4))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 10])
    """

    def __init__(self, config: GPTConfig, *, fused: bool = True) -> None:
        super().__init__()
        if config.vocab_size is None:
            raise InputError("GPTConfig.vocab_size must be set to build a GPT, found None; use the tokenizer's")
        self.config = config
        sinusoidal = config.position == "sinusoidal"
        self.token_embedding = TokenEmbedding(
            config.vocab_size, config.d_model, scale=math.sqrt(config.d_model) if sinusoidal else 1.0, fused=fused
        )
        self.position_embedding: LearnedPositions | SinusoidalPositions | None = None
        self.rotary: RotaryPositions | None = None
        if config.position == "learned":
            self.position_embedding = LearnedPositions(config.context_length, config.d_model)
        elif sinusoidal:
            self.position_embedding = SinusoidalPositions(
                config.d_model, config.context_length, base=config.rotary_base
            )
        else:
            self.rotary = RotaryPositions(config.d_head, config.context_length, base=config.rotary_base)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(_block(config, fused) for _ in range(config.n_layers))
        self.final_norm: nn.Module = nn.Identity()  # post-norm blocks end normalized
        if config.norm_order == "pre":
            self.final_norm = build_norm(
                config.norm, config.d_model, epsilon=config.norm_epsilon, bias=config.bias, fused=fused
            )
        self.output = None if config.tie_embeddings else nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.prefix: VirtualTokens | None = None  # a module, called with this model: virtual tokens before every text
        self.step: Callable[[Tensor, Cache], Tensor | None] | None = None  # reads one token; None if it cannot
        self._initialize()

    def forward(self, tokens: Tensor, *, cache: Cache | None = None, mask: Tensor | None = None) -> Tensor:
        """Return logits of the token after each of `tokens`: int64 [B, T] -> [B, T, V].

        Args:
            tokens: ids; with a cache, those that follow the ones it holds.
            cache: keys and values of earlier tokens; it grows by T. See `new_cache`.
            mask: boolean, broadcast to [B, 1, T, S], True = may attend; causality is added to it.

        Raises:
            InputError: if the tokens held and given are more than context_length.
            ValueError: if the cache has no room for them.
        """
        return self.project(self.hidden_states(tokens, cache=cache, mask=mask))

    def hidden_states(
        self,
        tokens: Tensor,
        *,
        cache: Cache | None = None,
        mask: Tensor | None = None,
        only: Tensor | None = None,
    ) -> Tensor:
        """Return what `project` turns into logits, after the final norm: [B, T] -> [B, T, D]. See `forward`.

        With `only`, one position of each row (int64 [B], counted in `tokens`), the result is [B, 1, D]: of the last
        block the keys and values of all positions are computed, and the rest for these alone.
        """
        T = tokens.shape[1]
        held = 0 if cache is None else cache.longest
        if held + T > self.context_length:
            raise InputError(
                f"this model sees at most {self.context_length} tokens, found {held + T}; "
                "shorten the text or use a model with a larger context_length"
            )
        x = self.token_embedding(tokens)
        if self.step is not None and cache is not None and mask is None and self.prefix is None:
            read = self.step(x, cache)
            if read is not None:
                cache.advance(1)
                return read
        offset = 0 if cache is None else cache.offset
        stores: list[LayerStore | None] = [None if cache is None else cache.layer(i) for i in range(len(self.blocks))]
        if self.prefix is not None:
            before = self.prefix(self)
            stores = [Prefixed(pair, store) for pair, store in zip(before, stores, strict=True)]
            P = before[0][0].shape[2]
            if mask is not None:  # whatever the text may not see, it sees the virtual tokens
                mask = F.pad(mask.expand(*mask.shape[:-1], held + T), (P, 0), value=True)
            held, offset = P + held, P + offset
        x = self._through(x, stores, held=held, offset=offset, mask=mask, only=only)
        if cache is not None:
            cache.advance(T)
        hidden: Tensor = self.final_norm(x)
        return hidden

    def keys_and_values(self, embeddings: Tensor) -> list[KeysValues]:
        """Return what each layer keeps of embeddings [1, P, D] at the first positions, with a gradient.

        Example:
            >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=4))
            >>> layers = model.keys_and_values(torch.zeros(1, 3, 16))
            >>> len(layers), layers[0][0].shape
            (2, torch.Size([1, 4, 3, 4]))
        """
        recorded = [Recorded() for _ in self.blocks]
        last = torch.tensor([embeddings.shape[1] - 1], device=embeddings.device)
        self._through(embeddings, recorded, held=0, offset=0, mask=None, only=last)  # nobody reads what comes out
        return [layer.pair for layer in recorded]

    def enter(self, x: Tensor, offset: int | Tensor = 0) -> tuple[Tensor, Callable[[Tensor], Tensor] | None]:
        """Return what the first block gets of embeddings [B, T, D], and what turns queries and keys by their positions.

        Args:
            x: of tokens that follow each other.
            offset: position of the first one, or of the first one of each row [B].
        """
        if self.position_embedding is not None:
            x = self.position_embedding(x, offset)
        return self.dropout(x), None if self.rotary is None else self.rotary(x.shape[1], offset)

    def _through(
        self,
        x: Tensor,
        stores: Sequence[LayerStore | None],
        *,
        held: int,
        offset: int | Tensor,
        mask: Tensor | None,
        only: Tensor | None,
    ) -> Tensor:
        """Pass embeddings [B, T, D] through positions and blocks; `mask` counts the `held` keys of the stores."""
        T = x.shape[1]
        x, rotation = self.enter(x, offset)
        mask, is_causal = pass_mask(T, held + T, offset, mask, x.device)
        for i, (block, store) in enumerate(zip(self.blocks, stores, strict=True)):
            here = only if i == len(self.blocks) - 1 else None
            if here is not None:
                mask, is_causal = mask_at(here, held + T, offset, mask, is_causal=is_causal), False
            x = block(x, mask=mask, is_causal=is_causal, rotation=rotation, cache=store, only=here)
        return x

    def project(self, hidden: Tensor) -> Tensor:
        """Return the logits for hidden states: [..., D] -> [..., V]; give it the last position only to save work."""
        if self.output is None:
            return self.token_embedding.project(hidden)
        logits: Tensor = self.output(hidden)
        return logits

    @property
    def context_length(self) -> int:
        """Most tokens of a text that it sees at once: the config's, without the virtual tokens before it."""
        return self.config.context_length - (0 if self.prefix is None else self.prefix.n_vectors)

    @property
    def output_weight(self) -> Tensor:
        """The matrix [V, D] that `project` multiplies by: the token embedding's own when the two are tied.

        Of a layer that is quantized it is a copy in floating point, made for this call.
        """
        head: Any = self.token_embedding if self.output is None else self.output
        weight: Tensor = head.weight if hasattr(head, "weight") else head.dequantized()
        return weight

    @property
    def vocab_size(self) -> int:
        """Tokens that it knows."""
        assert self.config.vocab_size is not None
        return self.config.vocab_size

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def select_rows(self, places: Sequence[int]) -> "GPT":
        """Return what goes on with the rows at `places`: itself, who knows of no rows; see `Conditioned`."""
        return self

    def new_cache(
        self,
        batch_size: int,
        capacity: int | None = None,
        dtype: torch.dtype | None = None,
        *,
        kind: CacheKind = "float",
    ) -> Cache:
        """Return an empty cache for `batch_size` rows on the model's device.

        Args:
            batch_size: rows.
            capacity: most tokens of a text that a row can hold. None: context_length.
            dtype: number format of keys and values. None: the model's.
            kind: how they are kept: float, in that format; int8, rounded.
        """
        like = next(self.parameters())
        make = KVCache if kind == "float" else Int8KVCache
        return make(
            n_layers=self.config.n_layers,
            batch_size=batch_size,
            n_kv_heads=self.config.kv_heads,
            capacity=self.context_length if capacity is None else capacity,
            d_head=self.config.d_head,
            dtype=like.dtype if dtype is None else dtype,
            device=like.device,
        )

    def n_parameters(self, *, embeddings: bool = True) -> int:
        """Count the parameters, tied ones once and quantized ones as what their buffers stand for (`n_quantized`).

        `embeddings=False` leaves out the token and position tables. Without them it is the N of the scaling laws
        (Kaplan et al. 2020, section 2.1), up to biases and norms.

        Example:
            >>> with torch.device("meta"):  # shapes only, no memory
            ...     model = GPT(GPTConfig(vocab_size=50_257))
            >>> model.n_parameters(), model.n_parameters(embeddings=False)
            (124439808, 85056000)
        """
        learned = {name: parameter.numel() for name, parameter in self.named_parameters()}
        quantized = {f"{name}.": getattr(module, "n_quantized", 0) for name, module in self.named_modules()}
        return sum(
            count
            for name, count in (learned | quantized).items()
            if embeddings or not name.startswith(("token_embedding.", "position_embedding."))
        )

    def _initialize(self) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith(".bias"):
                nn.init.zeros_(parameter)
            elif name.endswith(("attention.output.weight", "feed_forward.down.weight")):
                zero = self.config.zero_init_outputs
                deviation = 0.0 if zero else INITIAL_DEVIATION / math.sqrt(2 * self.config.n_layers)
                nn.init.normal_(parameter, std=deviation)
            elif not name.endswith("norm.weight"):  # norms start at one
                nn.init.normal_(parameter, std=INITIAL_DEVIATION)


def _block(config: GPTConfig, fused: bool) -> GPTBlock:
    return GPTBlock(
        config.d_model,
        config.n_heads,
        config.feed_forward_width,
        n_kv_heads=config.kv_heads,
        activation=config.activation,
        norm=config.norm,
        norm_order=config.norm_order,
        norm_epsilon=config.norm_epsilon,
        dropout=config.dropout,
        qk_norm=config.qk_norm,
        bias=config.bias,
        qkv_bias=config.qkv_bias,
        fused=fused,
    )
