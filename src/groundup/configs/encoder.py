"""What an encoder is made of: one frozen dataclass for BERT and its relatives, and presets by name."""

from dataclasses import dataclass
from typing import Literal

from groundup.configs.checks import at_least, between, positive
from groundup.configs.model import Activation
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The shape and the parts of one encoder that reads a text both ways and predicts hidden tokens.

    The defaults are BERT base (Devlin et al. 2018). A field that is ``None`` is worked out from the others.

    Example:
        >>> EncoderConfig(d_model=256, n_heads=4).feed_forward_width
        1024
    """

    vocab_size: int | None = None
    """Tokens in the vocabulary. None: the tokenizer's, when a run starts."""
    context_length: int = 512
    """Longest text, in tokens."""
    n_segments: int = 2
    """Kinds of text that are told apart by a learned vector (BERT: the first and the second sentence). 0: none are."""
    d_model: int = 768
    """Width of the residual stream."""
    n_layers: int = 12
    """Number of blocks."""
    n_heads: int = 12
    """Heads in each attention layer; d_model must be a multiple."""
    d_ff: int | None = None
    """Width inside the feed-forward layer. None: 4 * d_model, or for swiglu 8/3 * d_model rounded up to 64."""
    position: Literal["learned", "sinusoidal", "rotary"] = "learned"
    """How order enters: a learned or sinusoidal vector added to the embedding, or rotated queries and keys."""
    norm_order: Literal["pre", "post"] = "post"
    """Normalize before each sublayer, or after the residual sum (BERT, as the 2017 Transformer)."""
    norm_epsilon: float = 1e-12
    """Added to the variance before the square root."""
    embedding_norm: bool = True
    """The sum of token, segment and position is normalized before the first block."""
    activation: Activation = "gelu"
    """Non-linearity of the feed-forward layers, and of the prediction head, which takes gelu where this is swiglu."""
    dropout: float = 0.1
    """Probability of zeroing an entry of embeddings, attention weights and sublayer outputs while training."""
    head_transform: bool = True
    """Hidden states pass a linear layer, the activation and a norm before they are held against the vocabulary."""
    tie_embeddings: bool = True
    """The output projection shares the token embedding's matrix. It has a bias of its own in either case."""

    def __post_init__(self) -> None:
        """Refuse impossible combinations.

        Raises:
            InputError: naming the field, what it must be and what was found.
        """
        for name in ("vocab_size", "d_ff"):
            if getattr(self, name) is not None:
                at_least(self, name, 1)
        for name in ("context_length", "d_model", "n_layers", "n_heads"):
            at_least(self, name, 1)
        at_least(self, "n_segments", 0)
        positive(self, "norm_epsilon")
        between(self, "dropout", 0.0, 1.0, upper_open=True)
        if self.d_model % self.n_heads:
            raise InputError(
                f"EncoderConfig.d_model must be a multiple of n_heads={self.n_heads}, found {self.d_model}"
            )
        if self.position == "rotary" and self.d_head % 2:
            raise InputError(f"rotary positions need an even d_head = d_model / n_heads, found {self.d_head}")

    @property
    def d_head(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_heads

    @property
    def feed_forward_width(self) -> int:
        """Width inside the feed-forward layer, with ``None`` worked out."""
        if self.d_ff is not None:
            return self.d_ff
        if self.activation == "swiglu":  # three matrices of 8/3 cost what two of 4 do (Shazeer 2020, section 2)
            return -(-8 * self.d_model // (3 * 64)) * 64
        return 4 * self.d_model


ENCODER_PRESETS: dict[str, EncoderConfig] = {  # Devlin et al. 2018, section 3
    "bert-base": EncoderConfig(vocab_size=30_522),
    "bert-large": EncoderConfig(vocab_size=30_522, d_model=1024, n_layers=24, n_heads=16),
}
"""Published encoders by name; the vocabulary is that of the lower-cased English ones."""


def encoder_preset(name: str) -> EncoderConfig:
    """Return the published configuration called `name`.

    Raises:
        InputError: listing the known names.

    Example:
        >>> encoder_preset("bert-large").n_layers
        24
    """
    if name not in ENCODER_PRESETS:
        raise InputError(f"unknown preset {name!r}: known are {', '.join(ENCODER_PRESETS)}")
    return ENCODER_PRESETS[name]
