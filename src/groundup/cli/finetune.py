"""`groundup finetune classify|text|chat|prefer`: tune a pretrained model, or an adapter beside it, on your data."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, get_args

import tyro

from groundup.cli.parse import naming_options, parse, value_of
from groundup.configs.checks import positive
from groundup.configs.finetune_defaults import finetune_training
from groundup.configs.finetune_runs import (
    ChatConfig,
    ChatDataConfig,
    ClassifyConfig,
    HeadConfig,
    LabelledConfig,
    PreferConfig,
    TextConfig,
)
from groundup.configs.finetuning import Method, TuningConfig
from groundup.configs.run import DataConfig
from groundup.configs.training import TrainConfig
from groundup.download import local_path
from groundup.errors import InputError
from groundup.weights.catalog import PUBLISHED

BATCHES = {"classify": 16, "text": 4, "chat": 4, "prefer": 8}
"""Texts, rows or pairs of a step, where nothing else is said."""
STEPS = {"classify": 200, "text": 200, "chat": 200, "prefer": 100}
"""Steps, where neither they nor epochs are given."""


@dataclass(frozen=True, kw_only=True)
class FinetuneClassify:
    """Teach a model to label texts. Splits are made once; the test part is measured at the end, with intervals."""

    model: str = "smollm2"
    """The pretrained model: whatever groundup generate opens."""
    data: Annotated[LabelledConfig, tyro.conf.arg(name="")] = field(default_factory=LabelledConfig)
    """Which texts and labels."""
    head: HeadConfig = field(default_factory=HeadConfig)
    """What turns hidden states into labels."""
    epochs: float | None = None
    """Times that the texts are learned, in place of --training.steps. None: 3, where --training.steps is not given."""
    out: Path | None = None
    """Folder of the run. None: runs/finetune-classify."""
    tuning: Annotated[TuningConfig, tyro.conf.arg(name="")] = field(default_factory=TuningConfig)
    """What learns."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        if self.epochs is not None:
            positive(self, "epochs")

    def config(self) -> ClassifyConfig:
        """Return the config of the run."""
        return ClassifyConfig(
            base=from_anywhere(self.model), data=self.data, head=self.head, tuning=self.tuning, training=self.training
        )


@dataclass(frozen=True, kw_only=True)
class FinetuneText:
    """Let a model go on learning to write, on a text or folder of texts of yours; in its own tokens."""

    model: str = "smollm2"
    """The pretrained model: whatever groundup generate opens."""
    corpus: str = "shakespeare"
    """A corpus by name (groundup data), or a text file or folder of yours."""
    max_bytes: int | None = None
    """Use the first bytes of the corpus only. None: all of it."""
    validation_fraction: float = 0.1
    """Part of the text that is never trained on."""
    context_length: int = 256
    """Tokens of a window."""
    out: Path | None = None
    """Folder of the run. None: runs/finetune-text."""
    tuning: Annotated[TuningConfig, tyro.conf.arg(name="")] = field(default_factory=TuningConfig)
    """What learns."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""

    def config(self) -> TextConfig:
        """Return the config of the run."""
        data = DataConfig(corpus=self.corpus, max_bytes=self.max_bytes, validation_fraction=self.validation_fraction)
        return TextConfig(
            base=from_anywhere(self.model),
            data=data,
            context_length=self.context_length,
            tuning=self.tuning,
            training=self.training,
        )


@dataclass(frozen=True, kw_only=True)
class FinetuneChat:
    """Teach a model to reply as in given conversations; only the replies are learned."""

    model: str = "smollm2"
    """The pretrained model; it must have a chat template."""
    data: Annotated[ChatDataConfig, tyro.conf.arg(name="")] = field(default_factory=ChatDataConfig)
    """Which conversations."""
    context_length: int = 512
    """Tokens of a row, into which conversations are packed."""
    out: Path | None = None
    """Folder of the run. None: runs/finetune-chat."""
    tuning: Annotated[TuningConfig, tyro.conf.arg(name="")] = field(default_factory=TuningConfig)
    """What learns."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""

    def config(self) -> ChatConfig:
        """Return the config of the run."""
        return ChatConfig(
            base=from_anywhere(self.model), data=self.data, context_length=self.context_length, tuning=self.tuning,
            training=self.training,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FinetunePrefer:
    """Teach a model to prefer the chosen reply of each pair to the rejected one (DPO)."""

    model: str = "smollm2"
    """The pretrained model; it is the reference, too."""
    data: Annotated[ChatDataConfig, tyro.conf.arg(name="")] = field(default_factory=ChatDataConfig)
    """Which pairs of replies."""
    beta: float = 0.1
    """How far the model may move from the reference: the larger, the less."""
    out: Path | None = None
    """Folder of the run. None: runs/finetune-prefer."""
    tuning: Annotated[TuningConfig, tyro.conf.arg(name="")] = field(default_factory=TuningConfig)
    """What learns."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""

    def config(self) -> PreferConfig:
        """Return the config of the run."""
        return PreferConfig(
            base=from_anywhere(self.model), data=self.data, beta=self.beta, tuning=self.tuning, training=self.training
        )


GOALS: dict[str, Any] = {
    "classify": FinetuneClassify,
    "text": FinetuneText,
    "chat": FinetuneChat,
    "prefer": FinetunePrefer,
}
HELP = """usage: groundup finetune GOAL [OPTIONS]     groundup finetune GOAL --help

  classify       label texts: --data FILE.tsv --text-column text --label-column label
  text           write as a text or folder of yours: --corpus FILE
  chat           reply as in conversations: --data FILE.jsonl
  prefer         prefer chosen replies to rejected ones (DPO): --data FILE.jsonl

what learns: --method lora (small matrices beside frozen weights), full, last (the last blocks), prompt, prefix"""


def command(arguments: list[str]) -> int:
    """Parse, tune, measure, and say what to do next."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP)
        return 0
    goal = arguments[0]
    if goal not in GOALS:
        raise InputError(f"expected what to learn, {', '.join(GOALS)}, found {goal!r}: groundup finetune --help")
    rest = [_renamed(argument, goal) for argument in arguments[1:]]
    method = _method(rest)
    default = GOALS[goal](
        tuning=TuningConfig(method=method),
        training=finetune_training(method, steps=STEPS[goal], batch_size=BATCHES[goal]),
    )
    chosen = parse(GOALS[goal], rest, program=f"groundup finetune {goal}", default=default)
    if goal in ("chat", "prefer") and not chosen.data.file:
        raise InputError(f"expected a .jsonl file to learn from, found none: groundup finetune {goal} --data FILE")
    with naming_options(GOALS[goal]):
        chosen = _scheduled(goal, chosen, rest)
        config = chosen.config()
    from groundup.cli.outcome import finish_tuned  # torch: not for --help
    from groundup.finetuning.launch import finetune
    from groundup.resolve import open_model

    with naming_options(GOALS[goal], type(config)):
        outcome = finetune(config, chosen.out or Path(f"runs/finetune-{goal}"), open_base=open_model)
    return finish_tuned(outcome)


def _renamed(argument: str, goal: str) -> str:
    """Return for the name that another goal has for its data the one of this goal."""
    other, name = ("--data", "--corpus") if goal == "text" else ("--file", "--data")
    return argument.replace(other, name, 1) if argument.partition("=")[0] == other else argument


def from_anywhere(model: str) -> str:
    """Return a model's name as it is found from any folder: a path whole."""
    path = local_path(model)
    return str(path.absolute()) if model not in PUBLISHED and path.exists() else model


def _method(arguments: list[str]) -> Method:
    """Return the method that is asked for: rates and schedules depend on it."""
    asked, known = value_of(arguments, "--method"), get_args(Method)
    return next((method for method in known if method == asked), "lora")


def _scheduled(goal: str, chosen: Any, arguments: list[str]) -> Any:  # noqa: ANN401 - one of GOALS
    """Return `chosen` with its steps, and with the warmup, evaluations and checkpoints that follow from their number.

    Raises:
        InputError: both epochs and steps, or texts that cannot be used.
    """
    given = {argument.partition("=")[0].replace("_", "-") for argument in arguments}
    training, steps = chosen.training, chosen.training.steps
    if goal == "classify" and "--training.steps" not in given:
        from groundup.data.labelled import load_labelled

        epochs = 3.0 if chosen.epochs is None else chosen.epochs
        n_texts = len(load_labelled(chosen.data).train.texts)
        steps = max(1, round(epochs * n_texts / training.sequences_per_step))
    elif goal == "classify" and chosen.epochs is not None:
        raise InputError("expected --epochs or --training.steps, found both: leave one out")
    made = finetune_training(chosen.tuning.method, steps=steps, batch_size=training.batch_size)
    training = replace(training, steps=steps)
    for part, name in (("schedule", "warmup_steps"), ("evaluation", "every_steps"), ("checkpoints", "every_steps")):
        if f"--training.{part}.{name.replace('_', '-')}" not in given:
            of_steps = replace(getattr(training, part), **{name: getattr(getattr(made, part), name)})
            training = replace(training, **{part: of_steps})
    return replace(chosen, training=training)
