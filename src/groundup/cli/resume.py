"""`groundup resume RUN`: goes on where an interrupted run stopped."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from groundup.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Resume:
    """Go on with a run from its newest intact checkpoint."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""


def command(arguments: list[str]) -> int:
    """Parse, resume, and say what to do next."""
    chosen = parse(Resume, arguments, program="groundup resume")
    from groundup.cli.outcome import finish
    from groundup.training.launch import resume

    return finish(resume(chosen.run))
