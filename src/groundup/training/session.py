"""One session of a run: steps, evaluations and checkpoints as they fall due, from where it stood to its end."""

import math
import time
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from torch import nn

from groundup.errors import InputError
from groundup.tasks.task import Pictured
from groundup.training.advice_log import read_advice
from groundup.training.devices import autocast
from groundup.training.fault import diagnose, report_fault
from groundup.training.going_back import broken_weights, way_back
from groundup.training.interruption import Interruption
from groundup.training.monitor import Monitor
from groundup.training.run_folder import Run
from groundup.training.state import TrainingState, load_weights, save_state
from groundup.training.step import Gradient, Stepper
from groundup.training.tracking import Tracker, check_finite
from groundup.weights.checkpoint import load_checkpoint, prune_checkpoints

M = TypeVar("M", bound=nn.Module)
B = TypeVar("B")


class Expected(Protocol):
    """Says how an evaluation compares with what a recipe expects (`training.bands.BandWatch`)."""

    def __call__(self, step: int, metrics: Mapping[str, float], *, n_spikes: int) -> str | None:
        """Return one line, or None where nothing is expected."""


class Session(Generic[M, B]):
    """One session of a run: from where it stood to its end, or to Ctrl-C."""

    def __init__(
        self,
        stepper: Stepper[M, B],
        run: Run,
        state: TrainingState,
        tracker: Tracker,
        expected: Expected | None = None,
    ) -> None:
        self.stepper, self.run, self.state, self.tracker = stepper, run, state, tracker
        self.model, self.task, self.config, self.device = stepper.model, stepper.task, stepper.config, stepper.device
        self.expected = expected
        self.is_saved = True  # nothing has happened yet that a checkpoint lacks
        self.saved_at = time.monotonic()
        self.monitor = Monitor(self.model, self.config)
        if state.monitor is not None:
            self.monitor.restore(state.monitor)

    def train(self, interruption: Interruption) -> None:
        """Train to the end. Each part asks what is due, so a session may begin between any two of them."""
        self.prune()
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
        step, told = self.state.step, self.config.checkpoints
        is_time = step % told.every_steps == 0 or self.state.stopping.best_step == step or self.is_marked_step
        if told.every_minutes is not None:
            is_time = is_time or time.monotonic() - self.saved_at >= told.every_minutes * 60
        return not self.is_saved and (is_time or self.is_finished)

    @property
    def is_marked_step(self) -> bool:
        """Whether the config asks for a checkpoint here that is kept for good."""
        every = self.config.checkpoints.mark_every_steps
        return every is not None and self.state.step % every == 0

    def advance(self, interruption: Interruption) -> None:
        """Take one optimizer step. Until the update the weights are untouched, so it can be dropped at any point."""
        state, config = self.state, self.config
        gradient = self.stepper.gradient(state.step)
        # Waits for the device at every step: a step that would ruin the weights must be known before it is taken.
        loss, norm = gradient.loss.item(), gradient.norm.item()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.refuse(gradient, interruption)
            return
        with interruption.deferred():
            number = state.step + 1  # as metrics.jsonl counts
            advice = [*self.monitor.observe(number, loss, norm), *self.monitor.before_update(number)]
            rate = self.stepper.update(state.step)
            advice += self.monitor.after_update(number, rate)
            state.step, state.tokens, self.is_saved = number, state.tokens + gradient.n_tokens, False
            self.tracker.advance(number, gradient.n_tokens)
            if number % config.log_every == 0 or number in (1, config.steps):
                self.tracker.record_step(
                    number,
                    loss=loss,
                    gradient_norm=norm,
                    learning_rate=rate,
                    tokens=state.tokens,
                    skipped=state.skipped,
                )
            is_watched = self.monitor.is_watched(number)
            self.tracker.record_health(advice, self.monitor.figures() if is_watched else {})

    def refuse(self, gradient: Gradient, interruption: Interruption) -> None:
        """Report on a step whose loss or gradient is not finite; then stop before it is taken, or leave it out."""
        state, health = self.state, self.config.health
        report = diagnose(self.stepper, state.step, seen=gradient, run=self.run)
        tell = self.tracker.say if state.skipped == 0 else _quiet  # the page once; faults/ has one for each
        stopped = report_fault(self.run, report, tell, width=self.tracker.width)
        is_hopeless = report.cause is not None and bool(report.cause.weights)  # no other step comes out otherwise
        if health.on_non_finite == "stop" or state.skipped >= health.max_skips or is_hopeless:
            if not is_hopeless:
                self.save()  # so that replay, and a resume with other settings, begin right here
            raise InputError(stopped)
        with interruption.deferred():
            state.step, state.skipped, self.is_saved = state.step + 1, state.skipped + 1, False
            self.tracker.advance(state.step, 0)
            self.tracker.say(
                f"step {state.step} was left out: {state.skipped} of at most {health.max_skips}", "bold red"
            )

    def evaluate(self, interruption: Interruption) -> None:
        """Measure, sample, and see whether this is the best so far."""
        state = self.state
        with autocast(self.device, self.config.precision):
            metrics = self.task.evaluate(self.model)
        if not math.isfinite(metrics["loss"]) and (weights := broken_weights(self.model)):
            raise InputError(
                f"expected finite numbers, found loss {metrics['loss']} on validation text after step {state.step}: "
                f"the weights are not finite ({weights}); {way_back(self.run, state.step + 1)}"
            )
        check_finite(state.step, **metrics)
        sample = self.task.sample(self.model, state.step)
        pictures = self.task.pictures(self.model, state.step) if isinstance(self.task, Pictured) else {}
        with interruption.deferred():
            is_best = state.stopping.update(state.step, metrics["loss"])
            state.evaluated_at, state.metrics, self.is_saved = state.step, metrics, False
            state.best_metrics = metrics if is_best else state.best_metrics
            self.tracker.record_evaluation(state.step, metrics, sample, best_step=state.stopping.best_step)
            self.tracker.record_pictures(state.step, pictures)
            if self.expected is not None:
                n_spikes = sum(advice.get("kind") == "spike" for advice in read_advice(self.run.health))
                if judged := self.expected(state.step, metrics, n_spikes=n_spikes):
                    self.tracker.say(judged)
        self.tracker.restart_clock()

    def save(self) -> None:
        """Write a checkpoint, mark it if it is the best, and remove those that are no longer kept."""
        state, folder = self.state, self.run.checkpoint(self.state.step)
        if self.is_saved:
            return
        if not folder.exists():  # else this session began there, and has only evaluated since
            self.tracker.sync()  # a checkpoint that survives a power cut finds the records of its steps
            state.seconds, state.monitor = self.tracker.seconds, self.monitor.state()
            save_state(
                folder,
                self.model,
                self.stepper.optimizer,
                state,
                config=self.run.config,
                marked=self.is_marked_step,
            )
        if state.stopping.best_step == state.step:
            self.run.mark_best(state.step, state.best_metrics)
        self.prune()
        self.is_saved, self.saved_at = True, time.monotonic()
        self.tracker.restart_clock()

    def prune(self) -> None:
        """Remove the checkpoints that are no longer kept, and what a process that was killed in a save has left."""
        best = self.state.stopping.best_step
        keep = () if best is None else (self.run.checkpoint(best).name,)
        prune_checkpoints(self.run.checkpoints, keep_last=self.config.checkpoints.keep_last, keep=keep)

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


def _quiet(text: str, style: str | None = None) -> None:
    """Show nothing."""
