"""A run that learns to translate: which pairs of texts, in which tokens, and what they are worth."""

from dataclasses import dataclass, field
from typing import Literal

from groundup.configs.checks import at_least, between
from groundup.configs.seq2seq import Seq2SeqConfig
from groundup.configs.training import TrainConfig
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class PairsConfig:
    """Which pairs of a source and a target text are learned, in which tokens, and how they share batches.

    Example:
        >>> PairsConfig(corpus="multi30k", source="de", target="de")
        Traceback (most recent call last):
        groundup.errors.InputError: PairsConfig.target must be another language than source, found 'de' for both
    """

    corpus: str = "dates"
    """Pairs by name (groundup data): dates, reverse, sort, multi30k. Or what the names of two line-aligned files of
    yours begin with: my/train, with source en and target de, is my/train.en and my/train.de, .gz behind them or not."""
    source: str | None = None
    """Mark of the language to translate from. None: the corpus's own."""
    target: str | None = None
    """Mark of the language to translate into. None: the corpus's own."""
    validation: str | None = None
    """What the names of two more files begin with, which are only measured. None: the corpus's own, or a part."""
    validation_fraction: float = 0.05
    """Part of the pairs that is only measured, where the corpus has no such part and none is given."""
    max_pairs: int | None = None
    """Learn from the first so many pairs. None: all, and 100,000 of those that are made as they are asked for."""
    max_tokens: int | None = None
    """A pair with a longer side, its end token counted, is left out and counted. None: the model's context_length."""
    tokenizer: str = "bpe"
    """bpe (trained on the pairs), bytes, or a tokenizer.json of yours with an end-of-text token."""
    bpe_vocab_size: int = 8_000
    """Vocabulary of a bpe tokenizer trained for this run."""
    shared_vocabulary: bool = True
    """Both languages have one vocabulary, trained on both. False: one each."""
    batch_tokens: int | None = None
    """Most tokens of a step, both sides and their padding counted; a step ends there or at batch_size *
    accumulation_steps pairs, whichever comes first. None: only the pairs count."""
    seed: int = 0
    """Decides which pairs are made, and which are held out."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        for name in ("corpus", "tokenizer"):
            if not getattr(self, name):
                raise InputError(f"PairsConfig.{name} must be named, found an empty text")
        if self.source is not None and self.source == self.target:
            raise InputError(f"PairsConfig.target must be another language than source, found {self.source!r} for both")
        between(self, "validation_fraction", 0.0, 0.5)
        for name, least in (("max_pairs", 2), ("max_tokens", 2), ("batch_tokens", 4)):
            if getattr(self, name) is not None:
                at_least(self, name, least)
        at_least(self, "bpe_vocab_size", 257)  # 256 bytes and the end-of-text token
        at_least(self, "seed", 0)


@dataclass(frozen=True, kw_only=True)
class TranslationConfig:
    """Everything that decides a run that learns to translate: the same config and seed give the same weights."""

    task: Literal["translate"] = "translate"
    """What the run learns."""
    data: PairsConfig = field(default_factory=PairsConfig)
    """Which pairs, in which tokens."""
    model: Seq2SeqConfig = field(default_factory=Seq2SeqConfig)
    """What is trained."""
    label_smoothing: float = 0.0
    """Part of each target that is spread over all tokens (Szegedy et al. 2016, section 7)."""
    decoded_pairs: int = 200
    """Validation pairs that each evaluation translates greedily, for the figures that compare texts. 0: none."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        between(self, "label_smoothing", 0.0, 1.0, upper_open=True)
        at_least(self, "decoded_pairs", 0)
