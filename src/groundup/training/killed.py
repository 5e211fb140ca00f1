"""A session of a run, in a process of its own, that kills itself where it is told to.

    python -m groundup.training.killed RUN [step|save|evaluation NUMBER]

SIGKILL cannot be caught: nothing is flushed, closed or cleaned up. From inside, it can be sent at an exact instant.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from groundup.training import kinds, session
from groundup.training.step import Stepper
from groundup.training.tracking import Tracker


def die() -> None:
    """End this process at once."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def die_at(moment: str, step: int) -> None:
    """Let this process die in step number `step` (from 1), or in the save or the evaluation after it."""
    owner: Any
    owner, name = {
        "step": (Stepper, "update"),
        "save": (session, "save_state"),
        "evaluation": (Tracker, "record_evaluation"),
    }[moment]
    whole = getattr(owner, name)

    def cut_short(first: Any, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on as they are
        if moment == "save" and first.name == f"step-{step}":
            _die_at_second_sync()
        elif moment != "save" and given[0] + (moment == "step") == step:  # the loop counts its steps from 0
            die()
        return whole(first, *given, **named)

    setattr(owner, name, cut_short)


def _die_at_second_sync() -> None:
    """Die when one file of a checkpoint is on disk and the others are not, before there is a manifest."""
    n_files, fsync = 0, os.fsync
    system: Any = os

    def fsync_or_die(file: Any) -> None:  # noqa: ANN401 - passed on as it is
        nonlocal n_files
        n_files += 1
        if n_files == 2:
            die()
        fsync(file)

    system.fsync = fsync_or_die


if __name__ == "__main__":
    if len(sys.argv) > 2:
        die_at(sys.argv[2], int(sys.argv[3]))
    kinds.resume(Path(sys.argv[1]), console=Console(quiet=True))
