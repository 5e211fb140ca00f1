"""How any run begins and goes on, whatever it learns: its folder, its lock, stated changes, then the one loop."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import torch
from rich.console import Console
from torch import nn

from groundup.configs.bands import Band
from groundup.configs.run import Configured
from groundup.configs.training import TrainConfig
from groundup.errors import InputError
from groundup.tasks.task import Task
from groundup.training.changes import (
    check_changes,
    describe_changes,
    find_changes,
    record_changes,
    reopens,
)
from groundup.training.compute import RECORD, cpu_threads, settle
from groundup.training.devices import choose_device
from groundup.training.loop import Outcome, fit
from groundup.training.lost_record import by_reference, lacks_record
from groundup.training.metrics import set_damaged_lines_aside
from groundup.training.one_report import one_report
from groundup.training.progress import say
from groundup.training.run_folder import Run
from groundup.training.run_lock import locked
from groundup.training.session import Expected
from groundup.training.standing import check_place

C = TypeVar("C", bound=Configured)
C_in = TypeVar("C_in", bound=Configured, contravariant=True)
M = TypeVar("M", bound=nn.Module)
B = TypeVar("B")


@dataclass(frozen=True, kw_only=True)
class Ready(Generic[M, B]):
    """What `fit` needs, made from a config."""

    model: M
    """With its initial weights, on the CPU."""
    task: Task[M, B]
    """What it is to learn."""
    page: Sequence[str]
    """What is about to be trained, in a few lines."""
    expects: Callable[[TrainConfig], tuple[Expected, Sequence[Band]]] | None = None
    """From the settled training to what the recipe expects of it, and the bands of the picture. None: nothing."""


class Prepare(Protocol[C_in, M, B]):
    """Makes what a run needs, from its config and what earlier sessions left in its folder."""

    def __call__(self, run: Run, config: C_in, device: torch.device, report: Callable[[str], None]) -> Ready[M, B]:
        """Return it; `report` is told what takes a while."""


def begin(config: C, folder: Path, prepare: Prepare[C, M, B], *, console: Console | None = None) -> Outcome:
    """Begin a run in a new folder and train it to its end, or to Ctrl-C.

    A run that cannot begin (a corpus that is not there, a text that is too short) leaves no folder behind.

    Args:
        config: everything that decides the run.
        folder: must not exist.
        prepare: makes model and task.
        console: where progress is shown. None: standard output.

    Raises:
        InputError: what was asked for cannot be done, or `folder` exists.
    """
    console = Console() if console is None else console
    run = Run.create(folder, config)
    with locked(folder, report=lambda line: say(console, line)):
        try:
            return _train(run, config, config, prepare, console)
        except BaseException:
            if not run.checkpoint_steps() and not run.metrics.exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise


def go_on(
    folder: Path, kind: type[C], prepare: Prepare[C, M, B], *, config: C | None = None, console: Console | None = None
) -> Outcome:
    """Go on with a run from its newest intact checkpoint, or from the beginning if it has none.

    A run that has ended, all of whose files are there, is left as it is (`Outcome.was_over`).

    Args:
        folder: the run.
        kind: of its config.
        prepare: makes model and task.
        config: how to go on. Where it differs from the run's own, the change is shown, recorded in history.jsonl, and
            kept for later sessions. None: as before.
        console: where progress is shown. None: standard output.

    Raises:
        InputError: not a run, a run that another process trains, checkpoints that are all damaged or of another
            config, a change that a run cannot make, or a disk that cannot be written.
    """
    console = Console() if console is None else console
    Run.open(folder)  # what is no run gets no lock file
    with locked(folder, report=lambda line: say(console, line)):
        run = Run.open(folder)
        before = run.read_config(kind)
        after = before if config is None else config
        check_changes(find_changes(before, after), after)
        lost = set_damaged_lines_aside(run.metrics)
        if lost:
            say(console, lost)
        return _train(run, before, after, prepare, console)


def _train(run: Run, before: C, after: C, prepare: Prepare[C, M, B], console: Console) -> Outcome:
    try:
        with one_report():
            return _prepare_and_fit(run, before, after, prepare, console)
    except OSError as error:
        raise InputError(
            f"expected to read and write in {run.path}, found: {error.strerror or error}; earlier checkpoints are as "
            "they were: make room or make it writable, then try again"
        ) from None


def _prepare_and_fit(run: Run, before: C, config: C, prepare: Prepare[C, M, B], console: Console) -> Outcome:
    page: list[str] = []  # shown when nothing refuses any more: what a resume may still find is its checkpoints damaged

    def report(line: str) -> None:
        page.append(line) if run.checkpoint_steps() else say(console, line)

    changes = find_changes(before, config)
    step = check_place(run, changes, config)
    device = choose_device(config.training.device)  # a wrong one is known before any text is read
    ready = prepare(run, config, device, lambda line: say(console, line))
    for line in ready.page:
        report(line)
    training = config.training
    if lacks_record(run) and not reopens(changes):
        training = by_reference(run, training, device, report)
    if changes and step is not None:
        report(describe_changes(changes, before, config, step=step))
        run = record_changes(run, changes, step=step)
        if reopens(changes):
            (run.path / RECORD).unlink(missing_ok=True)  # history.jsonl has what it said
    training = settle(training, ready.model, ready.task, device=device, run=run.path, report=report)
    expected, bands = (None, ()) if ready.expects is None else ready.expects(training)
    with cpu_threads(training.compute.threads):  # around all of it: checkpoints tell the number of threads
        return fit(ready.model, ready.task, training, run, console=console, expected=expected, bands=bands, page=page)
