"""A whole run: which text, which model, which training."""

from dataclasses import dataclass, field
from typing import Protocol

from groundup.configs.bands import Bands
from groundup.configs.checks import at_least, between
from groundup.configs.model import GPTConfig
from groundup.configs.training import TrainConfig
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which text a language model learns, and in which tokens."""

    corpus: str = "shakespeare"
    """A corpus by name (`groundup data`), or a text file or folder of yours."""
    tokenizer: str = "characters"
    """characters, bpe (trained on the corpus), gpt2, or a tokenizer.json of yours."""
    bpe_vocab_size: int = 1_024
    """Vocabulary of a bpe tokenizer trained for this run."""
    max_bytes: int | None = None
    """Use the first bytes of the corpus only. None: all of it (tales, which never ends, takes 4 MB)."""
    validation_fraction: float = 0.1
    """Part of the text that is never trained on."""
    separate_documents: bool = True
    """In a corpus of many documents, attention does not cross from one into the next. One text is one document."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        if not self.corpus or not self.tokenizer:
            raise InputError("DataConfig.corpus and DataConfig.tokenizer must be named, found an empty text")
        at_least(self, "bpe_vocab_size", 257)  # 256 bytes and the end-of-text token
        if self.max_bytes is not None:
            at_least(self, "max_bytes", 1)
        between(self, "validation_fraction", 0.0, 1.0, upper_open=True)
        if self.validation_fraction == 0:
            raise InputError("DataConfig.validation_fraction must be above 0: without it nothing is measured")


class Configured(Protocol):
    """What the config of any run has, whatever it learns: nothing inherits from this."""

    @property
    def training(self) -> TrainConfig:
        """How it is trained."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides a run: the same config and seed give the same weights."""

    data: DataConfig = field(default_factory=DataConfig)
    """Which text, in which tokens."""
    model: GPTConfig = field(default_factory=GPTConfig)
    """What is trained."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""
    bands: Bands = field(default_factory=Bands)
    """Validation losses to expect; the recipe's, not for the command line."""
