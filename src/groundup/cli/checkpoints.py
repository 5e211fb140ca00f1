"""`groundup checkpoints RUN`: which there are, and which are kept for good."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from groundup.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """List the checkpoints of a run, each read and compared with its checksums; mark those to keep for good."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    mark: tuple[int, ...] = ()
    """Steps whose checkpoints are kept for good from now on."""
    unmark: tuple[int, ...] = ()
    """Steps whose checkpoints may be removed again as others are."""


def command(arguments: list[str]) -> int:
    """Parse, mark, and list."""
    chosen = parse(Checkpoints, arguments, program="groundup checkpoints")
    from groundup.training.checkpoint_list import format_checkpoints, list_checkpoints
    from groundup.training.run_folder import Run
    from groundup.weights.marks import set_mark

    run = Run.open(chosen.run)
    for steps, marked in ((chosen.mark, True), (chosen.unmark, False)):
        for step in steps:
            set_mark(run.checkpoint(step), marked=marked)
    if listed := list_checkpoints(run):
        print(format_checkpoints(listed))
    else:
        print(f"no checkpoints yet in {run.path}: groundup resume {run.path}")
    return 0
