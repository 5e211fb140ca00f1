"""`groundup distill TEACHER --student RECIPE`: a small model learns what a large one knows."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import tyro

from groundup.cli.finetune import from_anywhere
from groundup.cli.parse import naming_options, parse, value_of
from groundup.configs.distillation import (
    SAME_TOKENIZER,
    DistillConfig,
    HiddenMatchConfig,
    SoftTargetConfig,
    WrittenConfig,
)
from groundup.configs.model import GPTConfig
from groundup.configs.run import RunConfig
from groundup.configs.training import TrainConfig
from groundup.errors import InputError
from groundup.recipes import language


@dataclass(frozen=True, kw_only=True)
class Distill:
    """Train a student on a text and on what a teacher thinks of it; it writes in the teacher's tokens.

    What the teacher says of the text is computed once and kept on disk, for every run that asks for the same.
    """

    teacher: tyro.conf.Positional[str]
    """The model that is learned from: whatever groundup generate opens."""
    student: str
    """A recipe: its model, text and training are what the options below begin with."""
    data: str
    """A corpus by name (groundup data), or a text file or folder of yours."""
    max_bytes: int | None = None
    """Use the first bytes of the corpus only. None: all of it."""
    validation_fraction: float = 0.1
    """Part of the text that is never trained on."""
    out: Path | None = None
    """Folder of the run. None: runs/distill-RECIPE."""
    model: GPTConfig = field(default_factory=GPTConfig)
    """The student."""
    soft: SoftTargetConfig = field(default_factory=SoftTargetConfig)
    """What the teacher thinks comes next."""
    hidden: HiddenMatchConfig = field(default_factory=HiddenMatchConfig)
    """What the teacher's blocks hand on."""
    written: WrittenConfig = field(default_factory=WrittenConfig)
    """What the teacher writes, to be learned in place of the text."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""


def command(arguments: list[str]) -> int:
    """Parse, let the teacher read, train the student, and say what to do next."""
    asks_for_help = "--help" in arguments or "-h" in arguments
    told = _recipe(value_of(arguments, "--student") or ("tales" if asks_for_help else "none"))
    chosen = parse(Distill, arguments, program="groundup distill", default=_default(told, arguments))
    with naming_options(Distill):
        config = _config(chosen, told)
    from groundup.cli.outcome import finish  # torch: not for --help
    from groundup.resolve import open_model
    from groundup.training.kinds import start

    with naming_options(Distill, DistillConfig):
        return finish(start(config, chosen.out or Path("runs") / f"distill-{chosen.student}", open_model=open_model))


def _recipe(name: str) -> RunConfig:
    """Return the recipe called `name`.

    Raises:
        InputError: no such recipe, or one of a model that does not write.
    """
    if name not in language.RECIPES:
        raise InputError(
            f"expected --student to be a recipe of a model that writes, {', '.join(language.RECIPES)}, found {name}: "
            "groundup distill TEACHER --student RECIPE"
        )
    return language.RECIPES[name]()


def _default(told: RunConfig, arguments: list[str]) -> Distill:
    """Return the options as the recipe has them; of another text nothing but the text is known."""
    corpus = value_of(arguments, "--data") or told.data.corpus
    return Distill(
        teacher="",
        student="",
        data=told.data.corpus,
        max_bytes=told.data.max_bytes if corpus == told.data.corpus else None,
        validation_fraction=told.data.validation_fraction,
        model=told.model,
        training=told.training,
    )


def _config(chosen: Distill, told: RunConfig) -> DistillConfig:
    data = replace(
        told.data,
        corpus=chosen.data,
        max_bytes=chosen.max_bytes,
        validation_fraction=chosen.validation_fraction,
        tokenizer=SAME_TOKENIZER,
    )
    return DistillConfig(
        teacher=from_anywhere(chosen.teacher) if chosen.teacher else "",
        data=data,
        model=chosen.model,
        soft=chosen.soft,
        hidden=chosen.hidden,
        written=chosen.written,
        training=chosen.training,
    )
