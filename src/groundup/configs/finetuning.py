"""Which part of a pretrained model learns: everything, its last blocks, low-rank adapters, or a prompt of vectors."""

from dataclasses import dataclass, field
from typing import Literal

from groundup.configs.checks import at_least, between, positive
from groundup.errors import InputError

Method = Literal["full", "last", "lora", "prompt", "prefix"]
"""full: every weight. last: the last blocks. lora: low-rank adapters beside frozen weights. prompt: vectors before the
text. prefix: keys and values before the text, in every layer. A task's own head learns with each of them."""


@dataclass(frozen=True, kw_only=True)
class LoRAConfig:
    """Low-rank adapters (Hu et al. 2021, LoRA): W x becomes W x + scale · B A x, and only A and B learn.

    Example:
        >>> LoRAConfig(rank=8, alpha=16.0).scale
        2.0
        >>> LoRAConfig(rank=16, alpha=16.0, rank_stabilized=True).scale
        4.0
    """

    rank: int = 8
    """Rows of A, columns of B."""
    alpha: float = 16.0
    """The update is scaled by alpha / rank, so that a good learning rate stays one when the rank changes."""
    dropout: float = 0.0
    """Probability of zeroing an entry of what A reads, while training."""
    targets: tuple[str, ...] = ("query", "key", "value", "output")
    """Linear layers that get an adapter, by the last part of their names: query, key, value, output; gate, up, down.
    all: every one inside the blocks. A longer name (blocks.0.attention.query) picks one layer."""
    rank_stabilized: bool = False
    """Scale by alpha / √rank instead (Kalajdzievski 2023, rsLoRA): the update does not fade as the rank grows."""
    dora: bool = False
    """Learn each output's length apart from its direction (Liu et al. 2024, DoRA)."""
    b_rate: float = 1.0
    """Learning rate of B as a multiple of A's (Hayou et al. 2024, LoRA+, which advises about 16). 1: plain LoRA."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "rank", 1)
        positive(self, "alpha")
        between(self, "dropout", 0.0, 1.0, upper_open=True)
        positive(self, "b_rate")
        if not self.targets or not all(self.targets):
            raise InputError("LoRAConfig.targets must name at least one layer, as query or all, found an empty name")

    @property
    def scale(self) -> float:
        """What B A x is multiplied by."""
        return self.alpha / (self.rank**0.5 if self.rank_stabilized else self.rank)


@dataclass(frozen=True, kw_only=True)
class PromptConfig:
    """Vectors that are learned in place of words (Lester et al. 2021; in every layer: Li and Liang 2021)."""

    n_vectors: int = 20
    """Positions before the text."""
    text: str = ""
    """prompt only: the vectors begin as the embeddings of this text, repeated or cut. Empty: of random tokens."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "n_vectors", 1)


@dataclass(frozen=True, kw_only=True)
class FreezingConfig:
    """For methods full and last: which weights learn, when they begin to, and how fast."""

    last_blocks: int = 1
    """last only: blocks that learn, counted from the top, with the final norm. 0: the head alone."""
    unfreeze_every: int | None = None
    """Steps until one more block learns, from the top down (Howard and Ruder 2018, ULMFiT). None: all at once."""
    layer_decay: float = 1.0
    """Each block below the top learns at this fraction of the rate above it (discriminative rates). 1: alike."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "last_blocks", 0)
        if self.unfreeze_every is not None:
            at_least(self, "unfreeze_every", 1)
        between(self, "layer_decay", 0.0, 1.0)
        positive(self, "layer_decay")


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """How a pretrained model is tuned."""

    method: Method = "lora"
    """What learns: full, last, lora, prompt or prefix."""
    lora: LoRAConfig = field(default_factory=LoRAConfig)
    """For method lora."""
    prompt: PromptConfig = field(default_factory=PromptConfig)
    """For methods prompt and prefix."""
    freezing: FreezingConfig = field(default_factory=FreezingConfig)
    """For methods full and last."""
