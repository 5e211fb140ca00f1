"""`fit`: the one training loop. A step, an evaluation now and then, a checkpoint now and then, until done."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from torch import nn

from groundup.configs.bands import Band
from groundup.configs.training import TrainConfig
from groundup.errors import InputError
from groundup.tasks.task import Task
from groundup.training.changes import earlier_configs
from groundup.training.compute import cpu_threads
from groundup.training.devices import choose_device, deterministic
from groundup.training.early_stopping import EarlyStopping
from groundup.training.environment import differences, environment
from groundup.training.interruption import Interruption
from groundup.training.progress import say
from groundup.training.run_folder import Run
from groundup.training.session import Expected, Session
from groundup.training.standing import is_all_there, is_best_marked
from groundup.training.state import PARTS, TrainingState, restore_state
from groundup.training.step import Stepper
from groundup.training.tracking import Tracker
from groundup.weights.checkpoint import newest_checkpoint, set_aside

M = TypeVar("M", bound=nn.Module)
B = TypeVar("B")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run, or a session of it, ended."""

    run: Run
    """The folder."""
    step: int
    """Optimizer steps done."""
    n_steps: int
    """Optimizer steps that the config asks for."""
    metrics: dict[str, float]
    """Figures of the last evaluation."""
    best_step: int | None
    """Step of the evaluation with the lowest loss; its checkpoint is kept. None before the first evaluation."""
    best_loss: float | None
    """Its validation loss."""
    seconds: float
    """Time spent, earlier sessions included."""
    tokens: int
    """Tokens learned from, in earlier sessions too."""
    interrupted: bool = False
    """Ctrl-C ended it: a checkpoint of the last whole step was saved."""
    skipped: int = 0
    """Steps that were left out because their loss or gradient was not finite."""
    stopped_early: bool = False
    """Patience ended it: the model holds the best weights."""
    was_over: bool = False
    """Nothing was left to do: the run had ended before, and is as it was."""


def fit(
    model: M,
    task: Task[M, B],
    config: TrainConfig,
    run: Run,
    *,
    console: Console | None = None,
    expected: Expected | None = None,
    bands: Sequence[Band] = (),
    page: Sequence[str] = (),
) -> Outcome:
    """Train `model` on `task`, in `run`, from its newest checkpoint if it has one.

    The loss of a step is summed over its micro-batches and divided by all of their targets, so accumulation changes
    nothing but memory. A run that is stopped and goes on takes the same steps as one that is not: bit for bit on the
    same machine and number of threads.

    Args:
        model: what learns; moved to the device that `config` chooses.
        task: what is learned.
        config: how.
        run: where checkpoints and records go.
        console: where progress is shown. None: nowhere.
        expected: what the recipe expects of each evaluation. None: nothing.
        bands: those that loss.png shows.
        page: lines to show first, once nothing stands in the way of training.

    Returns:
        How it ended. The model then holds the last weights, or with config.evaluation.patience the best ones.

    Raises:
        InputError: a device that is not there, a checkpoint that is damaged or of another config, or a loss that is
            no longer finite.
    """
    device = choose_device(config.device)
    model.to(device).train()
    stepper = Stepper(model, task, config, device)
    state, found = _restore(run, model, stepper.optimizer, EarlyStopping(config.evaluation.patience))
    tracker = Tracker(
        run,
        config,
        console=console,
        step=state.step,
        evaluated_at=state.evaluated_at,
        seconds=state.seconds,
        floor=task.floor,
        bands=bands,
    )
    session = Session(stepper, run, state, tracker, expected)
    was_over = session.is_finished and not session.is_evaluation_due and is_all_there(run, state)
    if was_over:
        session.prune()  # what a process has left that was killed after its last save
    else:
        for line in (*page, *found):
            say(console, line)
        if _train(session):
            return _outcome(session, interrupted=True)
    if config.evaluation.patience is not None:
        session.restore_best()
    return _outcome(session, interrupted=False, was_over=was_over)


def _train(session: Session[Any, Any]) -> bool:
    """Train to the end; return whether Ctrl-C came before it. Then a checkpoint was saved."""
    run, state, tracker, config = session.run, session.state, session.tracker, session.config
    with _conditions(config, session.device), tracker, Interruption() as interruption:
        try:
            session.train(interruption)
        except KeyboardInterrupt:
            try:
                session.save()
                folder = run.checkpoint(state.step)
                where = f"; saved in {folder}" if folder.is_dir() else ""
            except KeyboardInterrupt:  # pressed twice: not to be kept waiting
                where = "; not saved, Ctrl-C came again meanwhile"
            tracker.say(f"stopped after step {state.step} of {config.steps}{where}")
            tracker.say(f"go on with: groundup resume {run.path}")
            return True
    return False


def _restore(
    run: Run,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    stopping: EarlyStopping,
) -> tuple[TrainingState, list[str]]:
    """Load the newest intact checkpoint, if the run has any; return what was found too. Damaged ones are set aside."""
    damaged: dict[Path, InputError] = {}
    folder = newest_checkpoint(run.checkpoints, only=PARTS, on_damaged=damaged.__setitem__)
    if folder is None and damaged:
        path, error = next(iter(damaged.items()))
        raise InputError(
            f"expected an intact checkpoint in {run.checkpoints}, found only damaged ones; {path.name}: {error}"
        )
    if folder is None:
        return TrainingState(stopping=stopping), []
    state = restore_state(folder, model, optimizer, stopping, config=run.config, earlier=lambda: earlier_configs(run))
    # Newer ones: the run will come by their steps again.
    found = [f"{error}\n{path.name} was set aside as {set_aside(path).name}" for path, error in damaged.items()]
    if stopping.best_step is not None and not is_best_marked(run, state):
        run.mark_best(stopping.best_step, state.best_metrics)
    found.append(f"going on from {folder}")
    if differs := differences(state.environment, environment(next(model.parameters()).device)):
        found.append(differs)
    return state, found


@contextmanager
def _conditions(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Set what decides a run's bits besides its config; leave torch's generators, threads and kernels as they were."""
    with (
        cpu_threads(config.compute.threads),
        deterministic(device),
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
    ):
        yield


def _outcome(session: Session[Any, Any], *, interrupted: bool, was_over: bool = False) -> Outcome:
    state, stopping = session.state, session.state.stopping
    return Outcome(
        run=session.run,
        step=state.step,
        n_steps=session.config.steps,
        metrics=state.metrics,
        best_step=stopping.best_step,
        best_loss=stopping.best_loss,
        seconds=session.tracker.seconds,
        tokens=state.tokens,
        interrupted=interrupted,
        skipped=state.skipped,
        stopped_early=not interrupted and state.step < session.config.steps,
        was_over=was_over,
    )
