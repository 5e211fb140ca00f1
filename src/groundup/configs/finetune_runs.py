"""Whole fine-tuning runs: a pretrained model, what it is to learn, from which files, and how."""

from dataclasses import dataclass, field
from typing import Literal

from groundup.configs.checks import at_least, between, positive
from groundup.configs.finetuning import TuningConfig
from groundup.configs.run import DataConfig
from groundup.configs.training import TrainConfig
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class LabelledConfig:
    """Labelled texts, and how they are split. The split is made once, by the seed, with each label's share kept."""

    file: str = "moods"
    """A labelled corpus by name (sms-spam, sst2, moods), or a .csv, .tsv or .jsonl file of yours."""
    text_column: str = "text"
    """Column of the texts; a number counts columns from 0 in a file without a header."""
    label_column: str = "label"
    """Column of the labels."""
    validation_file: str | None = None
    """Labelled texts to choose the best weights by. None: a part of the others."""
    test_file: str | None = None
    """Labelled texts that are measured once, at the end. None: a part of the others."""
    validation_fraction: float = 0.1
    """Part of the texts for validation, unless they have a file of their own."""
    test_fraction: float = 0.2
    """Part of the texts for the test, unless they have a file of their own."""
    balanced: bool = False
    """Take as many texts of each label as the rarest one has."""
    max_examples: int | None = None
    """Take this many texts, drawn with each label's share kept. None: all."""
    max_tokens: int = 256
    """Longer texts are cut to their first tokens, and counted."""
    seed: int = 0
    """Decides the split."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        for name in ("file", "text_column", "label_column"):
            if not getattr(self, name):
                raise InputError(f"LabelledConfig.{name} must be named, found an empty text")
        between(self, "validation_fraction", 0.0, 0.5)
        between(self, "test_fraction", 0.0, 0.5)
        at_least(self, "max_tokens", 1)
        at_least(self, "seed", 0)
        if self.max_examples is not None:
            at_least(self, "max_examples", 2)


Pooling = Literal["last", "mean", "attention"]
"""What of a text's hidden states a classifier reads."""


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The classifier on top of a GPT."""

    pooling: Pooling = "last"
    """What of a text's hidden states is read: the last token's, their mean, or a learned weighted mean."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: an example counts n / (labels · examples of its label), so rare labels weigh as much as common ones."""
    label_smoothing: float = 0.0
    """Part of the target that is spread over all labels (Szegedy et al. 2016, section 7)."""
    dropout: float = 0.0
    """Probability of zeroing an entry of what the head reads, while training."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        between(self, "label_smoothing", 0.0, 1.0, upper_open=True)
        between(self, "dropout", 0.0, 1.0, upper_open=True)


@dataclass(frozen=True, kw_only=True)
class ChatDataConfig:
    """Conversations, or pairs of a better and a worse reply, and how they are laid out."""

    file: str = ""
    """A .jsonl file: {"messages": [{"role", "content"}, …]} a line; for preferences with "chosen" and "rejected"."""
    validation_fraction: float = 0.1
    """Part that is never trained on."""
    max_tokens: int = 512
    """Longer conversations are cut at the end, and counted."""
    seed: int = 0
    """Decides the split."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        between(self, "validation_fraction", 0.0, 0.5)
        positive(self, "validation_fraction")
        at_least(self, "max_tokens", 8)
        at_least(self, "seed", 0)


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig:
    """Teach a model to label texts: groundup finetune classify."""

    task: Literal["classify"] = "classify"
    """What the run learns."""
    base: str = "smollm2"
    """The pretrained model: whatever groundup generate opens."""
    data: LabelledConfig = field(default_factory=LabelledConfig)
    """Which texts and labels."""
    head: HeadConfig = field(default_factory=HeadConfig)
    """What turns hidden states into labels."""
    tuning: TuningConfig = field(default_factory=TuningConfig)
    """What learns."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""


@dataclass(frozen=True, kw_only=True)
class TextConfig:
    """Go on learning to write, on a text of one's own: groundup finetune text."""

    task: Literal["text"] = "text"
    """What the run learns."""
    base: str = "smollm2"
    """The pretrained model: whatever groundup generate opens."""
    data: DataConfig = field(default_factory=DataConfig)
    """Which text. The tokens are the base's own."""
    context_length: int = 256
    """Tokens of a window."""
    tuning: TuningConfig = field(default_factory=TuningConfig)
    """What learns."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "context_length", 2)


@dataclass(frozen=True, kw_only=True)
class ChatConfig:
    """Teach a model to reply as in given conversations; only replies are learned: groundup finetune chat."""

    task: Literal["chat"] = "chat"
    """What the run learns."""
    base: str = "smollm2"
    """The pretrained model; it must have a chat template."""
    data: ChatDataConfig = field(default_factory=ChatDataConfig)
    """Which conversations."""
    context_length: int = 512
    """Tokens of a row, into which conversations are packed."""
    tuning: TuningConfig = field(default_factory=TuningConfig)
    """What learns."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "context_length", 8)


@dataclass(frozen=True, kw_only=True)
class PreferConfig:
    """Teach a model to prefer chosen replies to rejected ones (Rafailov et al. 2023, DPO): groundup finetune prefer."""

    task: Literal["prefer"] = "prefer"
    """What the run learns."""
    base: str = "smollm2"
    """The pretrained model; it is the reference, too."""
    data: ChatDataConfig = field(default_factory=ChatDataConfig)
    """Which pairs of replies."""
    beta: float = 0.1
    """How far the model may move from the reference: the larger, the less."""
    tuning: TuningConfig = field(default_factory=TuningConfig)
    """What learns."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        positive(self, "beta")
