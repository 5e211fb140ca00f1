"""A session of a run in a process of its own, which kills itself where it is told to: python -m groundup.training.killed.

SIGKILL cannot be caught: nothing is flushed, closed or cleaned up. From inside, it can be sent at an exact instant.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from groundup.training import launch, session
from groundup.training.step import Stepper
from groundup.training.tracking import Tracker


def die(*_: object) -> None:
    """End this process at once."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


def die_at(moment: str, step: int) -> None:
    """Let this process die at a moment (step, save, evaluation) of step number `step`, counted from 1."""
    update, save_state, record_evaluation, fsync = (
        Stepper.update,
        session.save_state,
        Tracker.record_evaluation,
        os.fsync,
    )

    def update_or_die(self: Stepper[Any, Any], number: int) -> float:
        if number + 1 == step:
            die()
        return update(self, number)

    def save_or_die(folder: Path, *given: Any, **named: Any) -> None:  # noqa: ANN401 - passed on as they are
        n_files = 0

        def fsync_or_die(descriptor: int) -> None:
            nonlocal n_files
            n_files += 1
            if n_files == 2:  # one file is on disk, the others are not, there is no manifest
                die()
            fsync(descriptor)

        if folder.name == f"step-{step}":
            os.fsync = fsync_or_die
        save_state(folder, *given, **named)

    def record_or_die(self: Tracker, number: int, *given: Any, **named: Any) -> None:  # noqa: ANN401 - passed on
        if number == step:
            die()
        record_evaluation(self, number, *given, **named)

    if moment == "step":
        Stepper.update = update_or_die  # type: ignore[method-assign]
    elif moment == "save":
        session.save_state = save_or_die
    else:
        Tracker.record_evaluation = record_or_die  # type: ignore[method-assign]


if __name__ == "__main__":
    if len(sys.argv) > 2:
        die_at(sys.argv[2], int(sys.argv[3]))
    launch.resume(Path(sys.argv[1]), console=Console(quiet=True))
