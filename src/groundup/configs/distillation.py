"""A whole distillation run: the teacher, the student, what of the teacher it learns, and from which text."""

from dataclasses import dataclass, field
from typing import Literal

from groundup.configs.checks import at_least, between, positive
from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig
from groundup.configs.training import TrainConfig
from groundup.errors import InputError

SAME_TOKENIZER = "teacher"
"""DataConfig.tokenizer of a distillation run: the teacher's own, whatever that is."""


@dataclass(frozen=True, kw_only=True)
class SoftTargetConfig:
    """Learn the teacher's probabilities of every next token (Hinton et al. 2015), beside the token that really came."""

    weight: float = 0.9
    """Share of the soft targets in the loss; the rest is the text's own next token. 0: the text alone."""
    temperature: float = 1.0
    """Logits of both are divided by it: above 1, what the teacher thinks unlikely counts more. The soft part of the
    loss is multiplied by its square, so that its gradient keeps its size."""
    top_k: int | None = None
    """Probabilities that are kept of each position; the others are one sum. None: 32, or all where there are fewer."""
    precision: Literal["float16", "float32"] = "float16"
    """How logarithms of probabilities are kept on disk. float16 changes none of these by more than 0.0002."""
    folder: str | None = None
    """Where what the teacher said is kept, for every run that wants the same. None: groundup's cache folder."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        between(self, "weight", 0.0, 1.0)
        positive(self, "temperature")
        if self.top_k is not None:
            at_least(self, "top_k", 1)


@dataclass(frozen=True, kw_only=True)
class HiddenMatchConfig:
    """Learn to hand on from block to block what the teacher does (Romero et al. 2014; Jiao et al. 2019)."""

    weight: float = 0.0
    """What the squared difference, relative to the teacher's, counts beside the loss for each block. 0: not matched."""
    blocks: tuple[int, ...] | None = None
    """The student's blocks that match, counted from 1; each has the teacher's block of the same depth. None: all."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        if self.weight != 0:
            positive(self, "weight")


@dataclass(frozen=True, kw_only=True)
class WrittenConfig:
    """Learn from texts that the teacher wrote, in place of the text it learned from (Kim and Rush 2016)."""

    n_texts: int = 0
    """Texts that the teacher writes before training. 0: the text itself is learned."""
    prompt_tokens: int = 0
    """First tokens of each of them that are taken from a document of the text. 0: only what opens one."""
    max_tokens: int = 256
    """Longest of them; one that does not end sooner is cut there."""
    temperature: float = 1.0
    """How it is drawn. 1: as the teacher believes; lower, nearer to the likeliest text."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "n_texts", 0)
        at_least(self, "prompt_tokens", 0)
        at_least(self, "max_tokens", 1)
        positive(self, "temperature")
        if self.prompt_tokens >= self.max_tokens:
            raise InputError(
                f"WrittenConfig.max_tokens must be above prompt_tokens={self.prompt_tokens}, found {self.max_tokens}"
            )


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """Teach a small model what a large one knows: groundup distill.

    Example:
        >>> DistillConfig(teacher="runs/tales").data.tokenizer
        'teacher'
    """

    task: Literal["distill"] = "distill"
    """What the run learns."""
    teacher: str = ""
    """The model that is learned from: whatever groundup generate opens."""
    data: DataConfig = field(default_factory=lambda: DataConfig(tokenizer=SAME_TOKENIZER))
    """Which text. Its tokens are the teacher's."""
    model: GPTConfig = field(default_factory=GPTConfig)
    """The student."""
    soft: SoftTargetConfig = field(default_factory=SoftTargetConfig)
    """What the teacher thinks comes next."""
    hidden: HiddenMatchConfig = field(default_factory=HiddenMatchConfig)
    """What the teacher's blocks hand on."""
    written: WrittenConfig = field(default_factory=WrittenConfig)
    """What the teacher writes."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        if not self.teacher:
            raise InputError("DistillConfig.teacher must be named, found an empty text")
