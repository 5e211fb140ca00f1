"""`fit`: the one training loop. A step, an evaluation now and then, a checkpoint now and then, until done."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from rich.console import Console
from torch import Tensor, nn

from groundup.configs.training import TrainConfig
from groundup.errors import InputError
from groundup.tasks.task import Task
from groundup.training.devices import autocast, choose_device
from groundup.training.early_stopping import EarlyStopping
from groundup.training.interruption import Interruption
from groundup.training.progress import say
from groundup.training.run_folder import Run
from groundup.training.state import TrainingState, load_weights, restore_state, save_state
from groundup.training.step import Stepper
from groundup.training.tracking import Tracker, check_finite
from groundup.weights.checkpoint import load_checkpoint, newest_checkpoint, prune_checkpoints, set_aside

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
    interrupted: bool = False
    """Ctrl-C ended it: a checkpoint of the last whole step was saved."""
    stopped_early: bool = False
    """Patience ended it: the model holds the best weights."""


def fit(model: M, task: Task[M, B], config: TrainConfig, run: Run, *, console: Console | None = None) -> Outcome:
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

    Returns:
        How it ended. The model then holds the last weights, or with config.evaluation.patience the best ones.

    Raises:
        InputError: a device that is not there, a checkpoint that is damaged or of another config, or a loss that is
            no longer finite.
    """
    device = choose_device(config.device)
    model.to(device).train()
    stepper = Stepper(model, task, config, device)
    state = _restore(run, model, stepper.optimizer, EarlyStopping(config.evaluation.patience), console)
    tracker = Tracker(
        run,
        config,
        console=console,
        step=state.step,
        evaluated_at=state.evaluated_at,
        seconds=state.seconds,
        floor=task.floor,
    )
    session = _Session(stepper, run, state, tracker)
    with _own_randomness(device), tracker, Interruption() as interruption:
        if session.is_finished and not session.is_evaluation_due:
            tracker.say(f"nothing is left to do: the run ended at step {state.step}")
        try:
            session.train(interruption)
        except KeyboardInterrupt:
            session.save()
            folder = run.checkpoint(state.step)
            where = f"; saved in {folder}" if folder.is_dir() else ""
            tracker.say(f"stopped after step {state.step} of {config.steps}{where}")
            tracker.say(f"go on with: groundup resume {run.path}")
            return session.outcome(interrupted=True)
    if config.evaluation.patience is not None:
        session.restore_best()
    return session.outcome(interrupted=False)


class _Session(Generic[M, B]):
    """One session of a run: from where it stood to its end, or to Ctrl-C."""

    def __init__(self, stepper: Stepper[M, B], run: Run, state: TrainingState, tracker: Tracker) -> None:
        self.stepper, self.run, self.state, self.tracker = stepper, run, state, tracker
        self.model, self.task, self.config, self.device = stepper.model, stepper.task, stepper.config, stepper.device
        self.is_saved = True  # nothing has happened yet that a checkpoint lacks
        self.last_figures: tuple[Tensor, Tensor] | None = None  # loss and gradient norm, still on the device

    def train(self, interruption: Interruption) -> None:
        """Train to the end. Each part asks what is due, so a session may begin between any two of them."""
        while True:
            if self.is_evaluation_due:
                self.evaluate(interruption)
            if self.is_checkpoint_due:
                self.save()
            if self.is_finished:
                return
            self.advance(interruption)

    @property
    def is_finished(self) -> bool:
        """Whether all steps are done, or patience is at its end."""
        return self.state.step >= self.config.steps or self.state.stopping.is_exhausted

    @property
    def is_evaluation_due(self) -> bool:
        """Whether to evaluate before the next step."""
        step = self.state.step
        is_time = step % self.config.evaluation.every_steps == 0 or step == self.config.steps
        return is_time and step > self.state.evaluated_at

    @property
    def is_checkpoint_due(self) -> bool:
        """Whether to save before the next step: at every new best too, so that its weights can come back."""
        step = self.state.step
        is_time = step % self.config.checkpoints.every_steps == 0 or self.state.stopping.best_step == step
        return not self.is_saved and (is_time or self.is_finished)

    def advance(self, interruption: Interruption) -> None:
        """Take one optimizer step. Until the update the weights are untouched, so it can be dropped at any point."""
        state, config = self.state, self.config
        gradient = self.stepper.gradient(state.step)
        with interruption.deferred():
            rate = self.stepper.update(state.step)
            state.step += 1
            state.tokens += gradient.n_targets
            self.is_saved, self.last_figures = False, (gradient.loss, gradient.norm)
            self.tracker.advance(state.step, gradient.n_targets)
            if state.step % config.log_every == 0 or state.step in (1, config.steps):
                found = self.finite_figures()
                self.tracker.record_step(state.step, **found, learning_rate=rate, tokens=state.tokens)

    def evaluate(self, interruption: Interruption) -> None:
        """Measure, sample, and see whether this is the best so far."""
        state = self.state
        self.finite_figures()
        with autocast(self.device, self.config.precision):
            metrics = self.task.evaluate(self.model)
        check_finite(state.step, **metrics)
        sample = self.task.sample(self.model, state.step)
        with interruption.deferred():
            is_best = state.stopping.update(state.step, metrics["loss"])
            state.evaluated_at, state.metrics, self.is_saved = state.step, metrics, False
            state.best_metrics = metrics if is_best else state.best_metrics
            self.tracker.record_evaluation(state.step, metrics, sample, best_step=state.stopping.best_step)
        self.tracker.restart_clock()

    def save(self) -> None:
        """Write a checkpoint, mark it if it is the best, and remove those that are no longer kept."""
        state, folder = self.state, self.run.checkpoint(self.state.step)
        if self.is_saved:
            return
        self.finite_figures()
        if not folder.exists():  # else this session began there, and has only evaluated since
            state.seconds = self.tracker.seconds
            save_state(folder, self.model, self.stepper.optimizer, state, config=self.run.config)
        best = state.stopping.best_step
        if best == state.step:
            self.run.mark_best(state.step, state.best_metrics)
        keep = () if best is None else (self.run.checkpoint(best).name,)
        prune_checkpoints(self.run.checkpoints, keep_last=self.config.checkpoints.keep_last, keep=keep)
        self.is_saved = True
        self.tracker.restart_clock()

    def restore_best(self) -> None:
        """Load the best weights back into the model, and the figures that go with them."""
        best, state = self.state.stopping.best_step, self.state
        if best is None or best == state.step:
            return
        folder = self.run.checkpoint(best)
        if not folder.is_dir():  # an older checkpoint was gone back to, after its best one had been replaced
            self.tracker.say(f"the best weights, of step {best}, are gone: the last ones are kept")
            return
        try:
            checkpoint = load_checkpoint(folder, only=("model",))
        except InputError as error:
            self.tracker.say(f"{error}\nthe best weights, of step {best}, are damaged: the last ones are kept")
            return
        load_weights(checkpoint, folder, self.model)
        state.metrics = state.best_metrics

    def outcome(self, *, interrupted: bool) -> Outcome:
        """Return how the session ended."""
        state, stopping = self.state, self.state.stopping
        return Outcome(
            run=self.run,
            step=state.step,
            n_steps=self.config.steps,
            metrics=state.metrics,
            best_step=stopping.best_step,
            best_loss=stopping.best_loss,
            seconds=self.tracker.seconds,
            interrupted=interrupted,
            stopped_early=not interrupted and state.step < self.config.steps,
        )

    def finite_figures(self) -> dict[str, float]:
        """Return the last step's loss and gradient norm, which waits for the device, or stop if they are not finite."""
        if self.last_figures is None:
            return {}
        loss, norm = (figure.item() for figure in self.last_figures)
        check_finite(self.state.step, loss=loss, gradient_norm=norm)
        return {"loss": loss, "gradient_norm": norm}


def _restore(
    run: Run,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    stopping: EarlyStopping,
    console: Console | None,
) -> TrainingState:
    """Load the newest intact checkpoint, if the run has any; damaged ones are named and set aside."""
    damaged: dict[Path, InputError] = {}
    folder = newest_checkpoint(run.checkpoints, on_damaged=damaged.__setitem__)
    if folder is None and damaged:
        path, error = next(iter(damaged.items()))
        raise InputError(
            f"expected an intact checkpoint in {run.checkpoints}, found only damaged ones; {path.name}: {error}"
        )
    if folder is None:
        return TrainingState(stopping=stopping)
    state = restore_state(folder, model, optimizer, stopping, config=run.config)
    for path, error in damaged.items():  # newer ones: the run will come by their steps again
        say(console, f"{error}\n{path.name} was set aside as {set_aside(path).name}")
    if stopping.best_step is not None:
        run.mark_best(stopping.best_step, state.best_metrics)
    say(console, f"going on from {folder}")
    return state


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Leave torch's global generators as they were found."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield
