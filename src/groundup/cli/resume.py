"""`groundup resume RUN`: goes on where an interrupted run stopped, as it was or with stated changes."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from groundup.cli.parse import parse
from groundup.configs import DataConfig, GPTConfig, RunConfig, TrainConfig
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Go on with a run from its newest intact checkpoint; what is set here is changed from there on, and recorded."""

    run: tyro.conf.Positional[Path]
    """Folder of the run. Name it before --help to see its own values."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How to go on."""
    # Understood, so that whoever tries is told why these cannot change.
    data: tyro.conf.Suppress[DataConfig] = field(default_factory=DataConfig)
    model: tyro.conf.Suppress[GPTConfig] = field(default_factory=GPTConfig)


def command(arguments: list[str]) -> int:
    """Parse, resume, and say what to do next."""
    default = None
    if arguments and not arguments[0].startswith("-"):
        from groundup.training.run_folder import Run  # reads the config, without torch

        run = Run.open(Path(arguments[0]))
        config = run.read_config(RunConfig)
        default = Resume(run=run.path, training=config.training, data=config.data, model=config.model)
    chosen = parse(Resume, arguments, program="groundup resume", default=default)
    if default is None:
        raise InputError(f"expected the run first: groundup resume {chosen.run} [OPTIONS]")
    from groundup.cli.outcome import finish
    from groundup.training.launch import resume

    wanted = RunConfig(data=chosen.data, model=chosen.model, training=chosen.training)
    return finish(resume(chosen.run, config=wanted))
