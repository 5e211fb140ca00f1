"""GPT on this engine: the model of groundup.models.gpt once more, by hand, with the same names and the same numbers.

Shapes: B batch, T new tokens, S tokens seen (cached and new), D width, V vocabulary.
"""

import math
from typing import Literal

import numpy as np

from groundup.engine import functional
from groundup.engine.autograd import no_grad
from groundup.engine.errors import DTypeError, ShapeError, not_tensors
from groundup.engine.nn import Dropout, Embedding, Linear, Module, ModuleList, init
from groundup.engine.ops.rules import Array
from groundup.engine.random import Generator, multinomial
from groundup.engine.tensor import Tensor
from groundup.engine.transformer import (
    ACTIVATIONS,
    Activation,
    Attention,
    Block,
    FeedForward,
    LayerCache,
    Rotation,
    angles,
    build_norm,
)

INITIAL_DEVIATION = 0.02
"""Standard deviation of initial weights (Radford et al. 2018, section 4.1; GPT-2 kept it)."""
CHOICES = {
    "position": ("learned", "sinusoidal", "rotary"),
    "norm": ("layer", "rms"),
    "norm_order": ("pre", "post"),
    "activation": (*ACTIVATIONS, "swiglu"),
}
"""What each part can be."""


def _refuse_other_biases(bias: bool, qkv_bias: bool | None) -> None:
    if qkv_bias not in (None, bias):
        raise ValueError(f"GPT: this engine's queries have a bias where all have one; found qkv_bias={qkv_bias}")


class GPT(Module):
    """Tokens in, logits of the next token out (Radford et al. 2019).

    The arguments are the fields of `GPTConfig` in groundup.configs, so `GPT(**dataclasses.asdict(config))` builds the
    model of a config, and `load_state_dict(torch_gpt.state_dict())` gives it the weights of the torch model.

    Initial weights are normal with deviation 0.02, the projections that write into the residual stream divided by
    √(2 · n_layers), because so many of them add up there (Radford et al. 2019, section 2.3), or zero with
    zero_init_outputs; biases are zero. They come from the engine's default generator (`manual_seed`).

    Args:
        vocab_size: tokens V.
        context_length: most tokens of a pass.
        d_model: width D.
        n_layers: blocks.
        n_heads: query heads of a block.
        n_kv_heads: heads of keys and values. None: n_heads.
        d_ff: inner width of the feed-forward layers. None: 4 · d_model, for swiglu 8/3 · d_model rounded up to 64.
        position: learned, sinusoidal or rotary.
        rotary_base: base of the rotary and sinusoidal wavelengths.
        norm: layer or rms.
        norm_order: pre or post.
        norm_epsilon: added to the variance.
        activation: gelu, gelu_tanh, relu, relu_squared or swiglu.
        dropout: probability of zeroing an entry of embeddings, attention weights and layers' outputs while training.
        qk_norm: RMSNorm of each head's queries and keys.
        zero_init_outputs: every block begins as the identity.
        bias: whether linear maps and LayerNorms have a bias.
        qkv_bias: None, or what `bias` is: other biases for queries, keys and values are not built here.
        tie_embeddings: whether the output multiplies by the token embedding's matrix.

    Raises:
        ValueError: no vocab_size, a size below 1, a part that is not in CHOICES, heads that do not divide the width, or
            a qkv_bias other than bias.

    Example:
        >>> model = GPT(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=4)
        >>> model(Tensor([[1, 2, 3]])).shape
        (1, 3, 10)
    """

    def __init__(
        self,
        *,
        vocab_size: int | None,
        context_length: int = 1024,
        d_model: int = 768,
        n_layers: int = 12,
        n_heads: int = 12,
        n_kv_heads: int | None = None,
        d_ff: int | None = None,
        position: Literal["learned", "sinusoidal", "rotary"] = "learned",
        rotary_base: float = 10_000.0,
        norm: Literal["layer", "rms"] = "layer",
        norm_order: Literal["pre", "post"] = "pre",
        norm_epsilon: float = 1e-5,
        activation: Activation = "gelu_tanh",
        dropout: float = 0.0,
        qk_norm: bool = False,
        zero_init_outputs: bool = False,
        bias: bool = True,
        qkv_bias: bool | None = None,
        tie_embeddings: bool = True,
    ) -> None:
        super().__init__()
        _refuse_other_biases(bias, qkv_bias)
        for name, choice in zip(CHOICES, (position, norm, norm_order, activation), strict=True):
            if choice not in CHOICES[name]:
                raise ValueError(f"GPT: {name} must be one of {', '.join(CHOICES[name])}; found {choice!r}")
        if min(sizes := (context_length, d_model, n_layers, n_heads)) < 1:
            found = "{}, {}, {} and {}".format(*sizes)
            raise ValueError(f"GPT: context_length, d_model, n_layers and n_heads must be at least 1; found {found}")
        if vocab_size is None:
            raise ValueError("GPT: vocab_size must be set, found None; use the tokenizer's")
        self.context_length, self.n_layers, self.d_head = context_length, n_layers, d_model // n_heads
        self.n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        if d_ff is None:
            d_ff = -(-8 * d_model // 192) * 64 if activation == "swiglu" else 4 * d_model
        self.token_embedding = Embedding(vocab_size, d_model)
        self.position_embedding = Embedding(context_length, d_model) if position == "learned" else None
        self.sinusoids = sinusoids(d_model, context_length, rotary_base) if position == "sinusoidal" else None
        self.rotation = Rotation(self.d_head, context_length, rotary_base) if position == "rotary" else None
        self.dropout = Dropout(dropout)
        self.blocks = ModuleList(
            Block(
                Attention(
                    d_model, n_heads, n_kv_heads=self.n_kv_heads, bias=bias, dropout=dropout, qk_norm=qk_norm,
                    norm_epsilon=norm_epsilon,
                ),
                FeedForward(d_model, d_ff, activation=activation, bias=bias),
                (build_norm(norm, d_model, norm_epsilon, bias), build_norm(norm, d_model, norm_epsilon, bias)),
                norm_order=norm_order,
                dropout=dropout,
            )
            for _ in range(n_layers)
        )  # fmt: skip
        # Post-norm blocks end normalized.
        self.final_norm = build_norm(norm, d_model, norm_epsilon, bias) if norm_order == "pre" else None
        self.output = None if tie_embeddings else Linear(d_model, vocab_size, bias=False)
        self._initialize(0.0 if zero_init_outputs else INITIAL_DEVIATION / math.sqrt(2 * n_layers))

    def forward(self, tokens: Tensor, *, cache: list[LayerCache] | None = None, mask: Tensor | None = None) -> Tensor:
        """Return logits of the token after each of `tokens`: int64 [B, T] -> [B, T, V].

        Args:
            tokens: ids; with a cache, those that follow the ones it holds.
            cache: keys and values of earlier tokens; it grows by T. See `new_cache`.
            mask: boolean, broadcast to [B, 1, T, S], True = may attend; causality is added to it.

        Raises:
            DTypeError: tokens that are no tensor, or a mask that is not boolean.
            ShapeError: tokens that are not [B, T], or more tokens held and given than context_length.
        """
        if not isinstance(tokens, Tensor):
            raise DTypeError(not_tensors("GPT", tokens))
        if mask is not None and mask.dtype != bool:
            raise DTypeError(f"GPT: the mask is {mask.dtype}; it must be bool, True where a query may attend")
        if tokens.ndim != 2:
            raise ShapeError(f"GPT: tokens must be [B, T], found {list(tokens.shape)}; x[None] makes a batch of one")
        T, offset = tokens.shape[1], cache[0].length if cache else 0
        if offset + T > self.context_length:
            raise ShapeError(
                f"GPT: this model sees at most {self.context_length} tokens, found {offset + T}; shorten the text or "
                "use a model with a larger context_length"
            )
        x: Tensor = self.token_embedding(tokens)  # [B, T, D]
        if self.position_embedding is not None:
            x = x + self.position_embedding.weight[offset : offset + T]
        elif self.sinusoids is not None:  # of size 1, beside which tokens of size 0.02 would drown (2017, section 3.4)
            x = x * math.sqrt(x.shape[-1]) + Tensor(self.sinusoids[offset : offset + T].astype(x.dtype))
        x = self.dropout(x)
        turn = None if self.rotation is None else self.rotation.at(offset, T)
        allowed = _causal(T, offset) if mask is None else mask.data & np.tri(T, offset + T, offset, dtype=bool)
        for i, block in enumerate(self.blocks):
            x = block(x, allowed, turn, cache[i] if cache else None)
        if self.final_norm is not None:
            x = self.final_norm(x)
        logits: Tensor = functional.linear(x, self.token_embedding.weight) if self.output is None else self.output(x)
        return logits

    def new_cache(self, batch_size: int) -> list[LayerCache]:
        """Return an empty cache for `batch_size` rows of up to context_length tokens."""
        shape = (batch_size, self.n_kv_heads, self.context_length, self.d_head)
        return [LayerCache(shape, self.token_embedding.weight.dtype) for _ in range(self.n_layers)]

    @no_grad()
    def generate(
        self,
        tokens: Tensor,
        max_new_tokens: int,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: Generator | None = None,
    ) -> Tensor:
        """Return `tokens` and the ones that the model wrote behind them: int64 [B, T] -> [B, T + max_new_tokens].

        Token for token: the logits z of the last position become probabilities softmax(z / temperature), of which one
        is drawn. A temperature below 1 makes likely tokens likelier; 0 always takes the likeliest. Dropout is off.

        Args:
            tokens: the beginning.
            max_new_tokens: how many to write.
            temperature: 0 or above.
            top_k: draw from the k likeliest only (Fan et al. 2018). None: from all.
            generator: where random numbers come from. None: the engine's default.

        Raises:
            ValueError: a negative temperature or count, or a top_k below 1.
            ShapeError: no tokens to begin with, or more in the end than the model can see.

        Example:
            >>> model = GPT(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=4)
            >>> model.generate(Tensor([[1, 2, 3]]), 4, temperature=0.0).shape
            (1, 7)
        """
        if not temperature >= 0 or max_new_tokens < 0 or (top_k is not None and top_k < 1):
            raise ValueError(
                "generate: temperature and max_new_tokens must be at least 0 and top_k at least 1; "
                f"found {temperature}, {max_new_tokens} and {top_k}"
            )
        if not isinstance(tokens, Tensor):
            raise DTypeError(not_tensors("generate", tokens))
        if tokens.ndim != 2 or tokens.shape[1] == 0:
            raise ShapeError(f"generate: tokens must be [B, T] with T at least 1, found {list(tokens.shape)}")
        was_training = self.training
        self.eval()
        try:
            cache, new, written = self.new_cache(tokens.shape[0]), tokens, [tokens.data]
            for _ in range(max_new_tokens):
                logits = self(new, cache=cache).data[:, -1]  # [B, V]
                new = Tensor(_next(logits, temperature, top_k, generator))  # [B, 1]
                written.append(new.data)
        finally:
            self.train(was_training)
        return Tensor(np.concatenate(written, axis=1))

    def _initialize(self, output_deviation: float) -> None:
        for name, parameter in self.named_parameters():
            if name.endswith(".bias"):
                init.zeros_(parameter)
            elif name.endswith(("attention.output.weight", "feed_forward.down.weight")):
                init.normal_(parameter, std=output_deviation)
            elif not name.endswith("norm.weight"):  # norms start at one
                init.normal_(parameter, std=INITIAL_DEVIATION)


def sinusoids(d_model: int, context_length: int, base: float) -> Array:
    """Return sin and cos of each position at falling frequencies [C, D] (Vaswani et al. 2017, section 3.5)."""
    turned = angles(d_model, context_length, base)  # [C, ceil(D/2)]
    return np.stack((np.sin(turned), np.cos(turned)), axis=-1).reshape(context_length, -1)[:, :d_model]


def _causal(T: int, offset: int) -> Array | None:
    """Return the mask [T, S] that hides the future; a single new token sees everything."""
    return None if T == 1 else np.tri(T, offset + T, offset, dtype=bool)


def _next(logits: Array, temperature: float, top_k: int | None, generator: Generator | None) -> Array:
    """Return the next token of each row: [B, V] -> [B, 1]."""
    if temperature == 0:
        return np.asarray(logits.argmax(-1))[:, None]
    z = logits.astype(np.float64) / temperature
    if top_k is not None and top_k < z.shape[-1]:
        z[z < np.partition(z, -top_k, axis=-1)[:, -top_k, None]] = -np.inf
    probabilities = np.exp(z - z.max(-1, keepdims=True))
    probabilities /= probabilities.sum(-1, keepdims=True)
    return multinomial(Tensor(probabilities), 1, generator=generator).data
