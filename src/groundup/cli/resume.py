"""`groundup resume RUN`: goes on where an interrupted run stopped, as it was or with stated changes."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tyro

from groundup.cli.parse import parse
from groundup.configs import TrainConfig
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Go on with a run from its newest intact checkpoint; what is set here is changed from there on, and recorded."""

    run: tyro.conf.Positional[Path]
    """Folder of the run. Name it before --help to see its own values."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How to go on."""


def command(arguments: list[str]) -> int:
    """Parse, resume, and say what to do next."""
    from groundup.training.changes import check_options  # these read the config, without torch
    from groundup.training.kinds import kind_of
    from groundup.training.run_folder import Run

    config: Any = None
    default, is_tuned = None, False
    if arguments and not arguments[0].startswith("-"):
        run = Run.open(Path(arguments[0]))
        kind: Any = kind_of(run.config)
        is_tuned = kind is None
        config = _tuning_config(run) if is_tuned else run.read_config(kind.config)
        default = Resume(run=Path(arguments[0]), training=config.training)
    check_options(arguments)
    chosen = parse(Resume, arguments, program="groundup resume", default=default)
    if config is None:
        raise InputError(f"expected the run first: groundup resume {chosen.run} [OPTIONS]")
    from groundup.cli.outcome import finish, finish_tuned
    from groundup.resolve import open_model

    config = replace(config, training=chosen.training)
    if is_tuned:
        from groundup.finetuning.launch import resume_finetune

        return finish_tuned(resume_finetune(chosen.run, open_base=open_model, config=config))
    from groundup.training.kinds import resume

    return finish(resume(chosen.run, config=config, open_model=open_model))


def _tuning_config(run: Any) -> Any:  # noqa: ANN401 - of one of four kinds
    from groundup.finetuning.runs import kind_of

    kind: Any = kind_of(run)
    return run.read_config(kind)
