"""How many parameters a GPT has, part by part, from its config alone."""

from dataclasses import dataclass

from groundup.configs.model import GPTConfig
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Numbers that are learned, by the part that holds them."""

    embeddings: int
    """The token table, and the table of learned positions."""
    attention: int
    """Projections of all layers."""
    feed_forward: int
    """Projections of all layers."""
    norms: int
    """Scales and shifts, the final norm's and those of queries and keys included."""
    head: int
    """The output projection. 0 when it shares the token table."""

    @property
    def total(self) -> int:
        """All of them, tied ones once."""
        return self.embeddings + self.attention + self.feed_forward + self.norms + self.head


def vocabulary(config: GPTConfig) -> int:
    """Return config.vocab_size.

    Raises:
        InputError: it is None, so nothing can be counted.
    """
    if config.vocab_size is None:
        raise InputError("GPTConfig.vocab_size must be set to count with, found None: give the tokenizer's")
    return config.vocab_size


def count_parameters(config: GPTConfig) -> Parameters:
    """Count what `GPT(config)` learns; the total is `GPT.n_parameters()`.

    Raises:
        InputError: vocab_size is None.

    Example:
        >>> found = count_parameters(GPTConfig(vocab_size=50_257))  # GPT-2 small
        >>> found.embeddings, found.attention, found.feed_forward, found.norms, found.head, found.total
        (39383808, 28348416, 56669184, 38400, 0, 124439808)
    """
    D, V, F = config.d_model, vocabulary(config), config.feed_forward_width
    d_kv = config.d_head * config.kv_heads
    biases = int(config.bias)
    attention = 2 * D * D + 2 * D * d_kv + biases * D + int(config.has_qkv_bias) * (D + 2 * d_kv)
    into_inner = 2 if config.activation == "swiglu" else 1
    feed_forward = (into_inner + 1) * D * F + biases * (into_inner * F + D)
    norm = D * (2 if config.bias and config.norm == "layer" else 1)
    per_head = 2 * config.d_head if config.qk_norm else 0
    return Parameters(
        embeddings=V * D + (config.context_length * D if config.position == "learned" else 0),
        attention=config.n_layers * attention,
        feed_forward=config.n_layers * feed_forward,
        norms=norm * (2 * config.n_layers + int(config.norm_order == "pre")) + config.n_layers * per_head,
        head=0 if config.tie_embeddings else V * D,
    )
