"""What an encoder–decoder is made of: one frozen dataclass, and the 2017 Transformer by name."""

from dataclasses import dataclass
from typing import Literal

from groundup.configs.checks import at_least, between, positive
from groundup.errors import InputError

FeedForwardKind = Literal["gelu", "gelu_tanh", "relu", "relu_squared", "silu", "swiglu"]
"""Non-linearities of a feed-forward layer; the last one is gated and has three matrices."""


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig:
    """The shape and the parts of one encoder–decoder Transformer.

    The defaults are the base model of Vaswani et al. 2017 (table 3). A field that is ``None`` is worked out from the
    others, so changing `d_model` alone stays consistent.

    Example:
        >>> Seq2SeqConfig(d_model=256).feed_forward_width
        1024
        >>> Seq2SeqConfig(source_vocab_size=9, target_vocab_size=8)
        Traceback (most recent call last):
        groundup.errors.InputError: Seq2SeqConfig.share_embeddings must be target or none for vocabularies of 9 and 8 tokens, found all
    """  # noqa: E501 - the message is shown whole

    source_vocab_size: int | None = None
    """Tokens in the vocabulary of what is read. None: the tokenizer's, when a run starts."""
    target_vocab_size: int | None = None
    """Tokens in the vocabulary of what is written. None: the tokenizer's, when a run starts."""
    context_length: int = 512
    """Longest source, and longest target, in tokens."""
    d_model: int = 512
    """Width of the residual streams."""
    n_encoder_layers: int = 6
    """Number of blocks that read."""
    n_decoder_layers: int = 6
    """Number of blocks that write."""
    n_heads: int = 8
    """Heads in each attention layer; d_model must be a multiple."""
    d_ff: int | None = None
    """Width inside the feed-forward layers. None: 4 * d_model, or for swiglu 8/3 * d_model rounded up to 64."""
    position: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    """How order enters: a sinusoidal or learned vector added to the embedding, or rotated queries and keys of the
    self-attention. Cross-attention is never rotated: positions of two texts have no distance."""
    sinusoidal_pairing: Literal["interleaved", "halves"] = "interleaved"
    """Which columns of the sinusoidal vector hold sine and cosine of one frequency: 2i and 2i + 1 (the paper), or i and
    i + d_model / 2 (Marian). Nothing but weights that were trained with one of them can tell."""
    rotary_base: float = 10_000.0
    """Base of the rotary (and sinusoidal) wavelengths."""
    norm_order: Literal["pre", "post"] = "post"
    """Normalize after the residual sum (the paper), or before each sublayer and once at the end of both stacks."""
    norm_epsilon: float = 1e-5
    """Added to the variance before the square root."""
    activation: FeedForwardKind = "relu"
    """Non-linearity of the feed-forward layers."""
    dropout: float = 0.1
    """Probability of zeroing an entry of embeddings, attention weights and sublayer outputs while training."""
    bias: bool = True
    """Linear layers and LayerNorm have a bias."""
    output_bias: bool = False
    """Each token's logit has a bias of its own (Marian)."""
    share_embeddings: Literal["all", "target", "none"] = "all"
    """Which matrices are one. all: source embedding, target embedding and output projection (the paper, section 3.4;
    one vocabulary for both languages). target: the latter two (Press and Wolf 2017). none: each its own."""
    begin_id: int | None = None
    """The id that every target begins with, before anything is written. None: the end-of-text token of the target's
    tokenizer, as in GPT; Marian begins with its padding token."""

    def __post_init__(self) -> None:
        """Refuse impossible combinations.

        Raises:
            InputError: naming the field, what it must be and what was found.
        """
        for name in ("source_vocab_size", "target_vocab_size", "d_ff"):
            if getattr(self, name) is not None:
                at_least(self, name, 1)
        for name in ("context_length", "d_model", "n_encoder_layers", "n_decoder_layers", "n_heads"):
            at_least(self, name, 1)
        positive(self, "rotary_base")
        positive(self, "norm_epsilon")
        between(self, "dropout", 0.0, 1.0, upper_open=True)
        if self.d_model % self.n_heads:
            raise InputError(
                f"Seq2SeqConfig.d_model must be a multiple of n_heads={self.n_heads}, found {self.d_model}"
            )
        if self.position == "rotary" and self.d_head % 2:
            raise InputError(f"rotary positions need an even d_head = d_model / n_heads, found {self.d_head}")
        if self.position == "sinusoidal" and self.sinusoidal_pairing == "halves" and self.d_model % 2:
            raise InputError(f'Seq2SeqConfig.sinusoidal_pairing "halves" needs an even d_model, found {self.d_model}')
        sizes = self.source_vocab_size, self.target_vocab_size
        if self.share_embeddings == "all" and None not in sizes and sizes[0] != sizes[1]:
            raise InputError(
                f"Seq2SeqConfig.share_embeddings must be target or none for vocabularies of {sizes[0]} and {sizes[1]} "
                "tokens, found all"
            )
        if self.begin_id is not None:
            at_least(self, "begin_id", 0)
            if self.target_vocab_size is not None and self.begin_id >= self.target_vocab_size:
                raise InputError(
                    f"Seq2SeqConfig.begin_id must be below target_vocab_size={self.target_vocab_size}, "
                    f"found {self.begin_id}"
                )

    @property
    def d_head(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_heads

    @property
    def feed_forward_width(self) -> int:
        """Width inside the feed-forward layers, with ``None`` worked out."""
        if self.d_ff is not None:
            return self.d_ff
        if self.activation == "swiglu":  # three matrices of 8/3 cost what two of 4 do (Shazeer 2020, section 2)
            return -(-8 * self.d_model // (3 * 64)) * 64
        return 4 * self.d_model


SEQ2SEQ_PRESETS: dict[str, Seq2SeqConfig] = {
    "transformer-base": Seq2SeqConfig(d_ff=2048),  # Vaswani et al. 2017, table 3
    "transformer-big": Seq2SeqConfig(d_model=1024, n_heads=16, d_ff=4096, dropout=0.3),
}
"""Published configurations by name; vocabularies are the tokenizer's."""


def seq2seq_preset(name: str) -> Seq2SeqConfig:
    """Return the published configuration called `name`.

    Raises:
        InputError: listing the known names.

    Example:
        >>> seq2seq_preset("transformer-base").n_decoder_layers
        6
    """
    if name not in SEQ2SEQ_PRESETS:
        raise InputError(f"unknown preset {name!r}: known are {', '.join(SEQ2SEQ_PRESETS)}")
    return SEQ2SEQ_PRESETS[name]
