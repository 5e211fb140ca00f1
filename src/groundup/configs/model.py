"""What a GPT is made of: one frozen dataclass for the GPT-2 and Llama families, and presets by name."""

from dataclasses import dataclass
from typing import Literal

from groundup.configs.checks import at_least, between, positive
from groundup.errors import InputError

Activation = Literal["gelu", "gelu_tanh", "relu", "relu_squared", "swiglu"]


@dataclass(frozen=True, kw_only=True)
class GPTConfig:
    """The shape and the parts of one decoder-only Transformer.

    The defaults are GPT-2 small (Radford et al. 2019). A field that is ``None`` is worked out from the others, so
    changing `d_model` alone stays consistent.

    Example:
        >>> GPTConfig(d_model=256, n_heads=4).feed_forward_width
        1024
        >>> GPTConfig(d_model=256, n_heads=4, activation="swiglu").feed_forward_width
        704
    """

    vocab_size: int | None = None
    """Tokens in the vocabulary. None: the tokenizer's, when a run starts."""
    context_length: int = 1024
    """Longest sequence, in tokens, that one forward pass can see."""
    d_model: int = 768
    """Width of the residual stream."""
    n_layers: int = 12
    """Number of blocks."""
    n_heads: int = 12
    """Query heads in each attention layer; d_model must be a multiple."""
    n_kv_heads: int | None = None
    """Key/value heads shared by groups of query heads (grouped-query attention). None: as many as n_heads."""
    d_ff: int | None = None
    """Width inside the feed-forward layer. None: 4 * d_model, or for swiglu 8/3 * d_model rounded up to 64."""
    position: Literal["learned", "sinusoidal", "rotary"] = "learned"
    """How order enters: a learned or sinusoidal vector added to the embedding, or rotated queries and keys."""
    rotary_base: float = 10_000.0
    """Base of the rotary (and sinusoidal) wavelengths."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm (mean and deviation) or RMSNorm (root mean square only)."""
    norm_order: Literal["pre", "post"] = "pre"
    """Normalize before each sublayer (GPT-2) or after the residual sum (the 2017 Transformer)."""
    norm_epsilon: float = 1e-5
    """Added to the variance before the square root."""
    activation: Activation = "gelu_tanh"
    """Non-linearity of the feed-forward layer. relu_squared: So et al. 2021. swiglu is gated and has three matrices."""
    dropout: float = 0.0
    """Probability of zeroing an entry of embeddings, attention weights and sublayer outputs while training."""
    qk_norm: bool = False
    """RMSNorm of each head's queries and keys, before any rotation: attention scores cannot grow without bound
    (Henry et al. 2020; with a learned scale, as in Qwen3)."""
    zero_init_outputs: bool = False
    """The projections that write into the residual stream start at zero, so each block begins as the identity
    (Zhang et al. 2019, "Fixup"; Yang et al. 2022, "Tensor Programs V", appendix D.2)."""
    bias: bool = True
    """Linear layers (and LayerNorm) have a bias."""
    qkv_bias: bool | None = None
    """Those of queries, keys and values have one (True in Qwen2, which has no other). None: as `bias` says."""
    tie_embeddings: bool = True
    """The output projection shares the token embedding's matrix."""

    def __post_init__(self) -> None:
        """Refuse impossible combinations.

        Raises:
            InputError: naming the field, what it must be and what was found.
        """
        for name in ("vocab_size", "n_kv_heads", "d_ff"):
            if getattr(self, name) is not None:
                at_least(self, name, 1)
        for name in ("context_length", "d_model", "n_layers", "n_heads"):
            at_least(self, name, 1)
        positive(self, "rotary_base")
        positive(self, "norm_epsilon")
        between(self, "dropout", 0.0, 1.0, upper_open=True)
        if self.d_model % self.n_heads:
            raise InputError(f"GPTConfig.d_model must be a multiple of n_heads={self.n_heads}, found {self.d_model}")
        if self.n_heads % self.kv_heads:
            raise InputError(
                f"GPTConfig.n_heads must be a multiple of n_kv_heads={self.kv_heads}, found {self.n_heads}"
            )
        if self.position == "rotary" and self.d_head % 2:
            raise InputError(f"rotary positions need an even d_head = d_model / n_heads, found {self.d_head}")

    @property
    def d_head(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Key/value heads, with ``None`` worked out."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def has_qkv_bias(self) -> bool:
        """Whether queries, keys and values have a bias, with ``None`` worked out."""
        return self.bias if self.qkv_bias is None else self.qkv_bias

    @property
    def feed_forward_width(self) -> int:
        """Width inside the feed-forward layer, with ``None`` worked out."""
        if self.d_ff is not None:
            return self.d_ff
        if self.activation == "swiglu":  # three matrices of 8/3 cost what two of 4 do (Shazeer 2020, section 2)
            return -(-8 * self.d_model // (3 * 64)) * 64
        return 4 * self.d_model


def _gpt2(d_model: int, n_layers: int, n_heads: int) -> GPTConfig:
    return GPTConfig(vocab_size=50_257, d_model=d_model, n_layers=n_layers, n_heads=n_heads)


def _smollm2(d_model: int, n_layers: int, n_heads: int, n_kv_heads: int, d_ff: int, rotary_base: float) -> GPTConfig:
    return GPTConfig(
        vocab_size=49_152,
        context_length=8192,
        d_model=d_model,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_ff=d_ff,
        position="rotary",
        rotary_base=rotary_base,
        norm="rms",
        activation="swiglu",
        bias=False,
    )


GPT2_PRESETS: dict[str, GPTConfig] = {  # Radford et al. 2019, table 2
    "gpt2": _gpt2(768, 12, 12),
    "gpt2-medium": _gpt2(1024, 24, 16),
    "gpt2-large": _gpt2(1280, 36, 20),
    "gpt2-xl": _gpt2(1600, 48, 25),
}
"""The four sizes of GPT-2."""
PRESETS: dict[str, GPTConfig] = {
    **GPT2_PRESETS,
    "smollm2-135m": _smollm2(576, 30, 9, 3, 1536, 100_000.0),  # Allal et al. 2025, and the published configs
    "smollm2-360m": _smollm2(960, 32, 15, 5, 2560, 100_000.0),
    "smollm2-1.7b": _smollm2(2048, 24, 32, 32, 8192, 130_000.0),
}
"""Published models by name."""


def preset(name: str) -> GPTConfig:
    """Return the published configuration called `name`.

    Raises:
        InputError: listing the known names.

    Example:
        >>> preset("gpt2-medium").n_layers
        24
    """
    if name not in PRESETS:
        raise InputError(f"unknown preset {name!r}: known are {', '.join(PRESETS)}")
    return PRESETS[name]
