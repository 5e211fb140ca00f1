"""What a run leaves behind while it trains: metrics.jsonl, TensorBoard events, samples, loss.png, and what it shows."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from types import TracebackType

import numpy as np
import numpy.typing as npt
from rich.console import Console

from groundup.configs.bands import Band
from groundup.configs.run_tasks import run_task
from groundup.configs.training import TrainConfig
from groundup.errors import InputError
from groundup.training.advice_log import AdviceLog
from groundup.training.loss_curve import draw_loss_curve
from groundup.training.metrics import MetricsLog
from groundup.training.monitor import Advice
from groundup.training.progress import Meter, TrainingDisplay
from groundup.training.run_folder import Run, write_atomically

SECONDS_BETWEEN_PICTURES = 60.0
"""loss.png is drawn at most this often during a run, and at its end."""


class Tracker:
    """Records and shows one session of a run; what it writes is opened on entering it as a context.

    Args:
        run: where to record.
        config: how long the run is.
        console: where to show. None: nowhere.
        step: steps done before this session; later records of an interrupted one are dropped.
        evaluated_at: step of the last evaluation before this session.
        seconds: time spent before this session.
        floor: the lowest loss possible, if known.
        bands: validation losses to expect, for the picture.
    """

    def __init__(
        self,
        run: Run,
        config: TrainConfig,
        *,
        console: Console | None,
        step: int,
        evaluated_at: int,
        seconds: float,
        floor: float | None,
        bands: Sequence[Band] = (),
    ) -> None:
        self._run, self._floor, self._bands = run, floor, bands
        self._step, self._evaluated_at = step, evaluated_at
        self._task = run_task(run.config.get("task"))
        self._display = TrainingDisplay(console, n_steps=config.steps, step=step, counts=self._task.counts)
        self._meter = Meter()
        self._started = time.perf_counter() - seconds
        self._last_picture = time.perf_counter()

    def __enter__(self) -> "Tracker":
        from torch.utils.tensorboard import SummaryWriter  # only a run that trains needs it

        self._advice = AdviceLog(self._run.health, step=self._step)
        self._log = MetricsLog(self._run.metrics, step=self._step, evaluated_at=self._evaluated_at)
        try:
            self._events = SummaryWriter(log_dir=str(self._run.path), purge_step=self._step + 1, flush_secs=30)
        except OSError:
            self._log.close()  # the disk is full
            raise
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as closing:  # on a full disk each of them may fail: the others are closed all the same
            closing.callback(self.draw)
            closing.callback(self._events.close)
            closing.callback(self._log.close)
            self._display.__exit__(kind, error, trace)

    @property
    def seconds(self) -> float:
        """Time spent on the run, earlier sessions included."""
        return time.perf_counter() - self._started

    @property
    def width(self) -> int:
        """Columns of the display."""
        return self._display.width

    def say(self, text: str, style: str | None = None) -> None:
        """Show one line."""
        self._display.say(text, style=style)

    def advance(self, step: int, n_tokens: int) -> None:
        """Count a finished step."""
        self._step = step
        self._meter.add(n_tokens)
        self._display.advance(step)

    def restart_clock(self) -> None:
        """Leave what was done since the last record out of the tokens per second."""
        self._meter.restart()

    def record_step(
        self, step: int, *, loss: float, gradient_norm: float, learning_rate: float, tokens: int, skipped: int = 0
    ) -> None:
        """Record figures of a training step; `tokens` learned from and steps `skipped` count from the run's begin."""
        rate = self._meter.rate()
        figures = {
            "loss": loss,
            "learning_rate": learning_rate,
            "gradient_norm": gradient_norm,
            "tokens": tokens,
            "tokens_per_second": round(rate, 1),
            "seconds": round(self.seconds, 3),
            **({"skipped": skipped} if skipped else {}),
        }
        self._log.write("train", step, figures)
        for name in ("loss", "learning_rate", "gradient_norm"):
            self._events.add_scalar(f"train/{name}", figures[name], step)
        self._events.add_scalar(f"train/{self._task.counts}_per_second", rate, step)
        self._display.show_step(step, loss=loss, per_second=rate)

    def record_health(self, advice: Sequence[Advice], figures: dict[str, float]) -> None:
        """Record what the monitor has to say, in health.jsonl and on the display, and what it measured."""
        for one in advice:
            self._advice.write(asdict(one))
            self._display.say(f"step {one.step}: {one.text}", style="yellow")
        for name, value in figures.items():
            self._events.add_scalar(f"health/{name}", value, self._step)

    def record_evaluation(self, step: int, metrics: dict[str, float], sample: str, *, best_step: int | None) -> None:
        """Record figures on validation data, and what the model wrote."""
        check_finite(step, **metrics)
        self._log.write("validation", step, {**metrics, "seconds": round(self.seconds, 3)})
        for name, value in metrics.items():
            self._events.add_scalar(f"validation/{name}", value, step)
        if sample:
            self._run.samples.mkdir(exist_ok=True)
            write_atomically(self._run.samples / f"step-{step}.txt", sample + "\n")
            self._events.add_text("sample", sample, step)
        self._display.show_evaluation(step, metrics, sample, best_step=best_step)
        if time.perf_counter() - self._last_picture >= SECONDS_BETWEEN_PICTURES:
            self.draw()

    def record_pictures(self, step: int, pictures: Mapping[str, npt.NDArray[np.uint8]]) -> None:
        """Record pictures of an evaluation, by name: uint8 [H, W, 3]."""
        for name, pixels in pictures.items():
            self._events.add_image(f"validation/{name}", pixels, step, dataformats="HWC")

    def sync(self) -> None:
        """Force metrics.jsonl to disk."""
        self._log.sync()

    def draw(self) -> None:
        """Draw loss.png from metrics.jsonl."""
        draw_loss_curve(
            self._run.metrics,
            self._run.loss_curve,
            title=self._run.path.resolve().name,
            floor=self._floor,
            bands=self._bands,
            per=self._task.per,
        )
        self._last_picture = time.perf_counter()


def check_finite(step: int, **figures: float) -> None:
    """Stop a run whose numbers have left the range of floats: every later weight would be NaN.

    Raises:
        InputError: naming the step, the figure and what helps.

    Example:
        >>> check_finite(7, loss=1.5, gradient_norm=math.inf)
        Traceback (most recent call last):
        groundup.errors.InputError: expected finite numbers, found gradient_norm inf at step 7: start a new run, with a lower learning_rate or a longer warmup and another --out
    """  # noqa: E501 - the message is shown whole
    for name, value in figures.items():
        if not math.isfinite(value):
            raise InputError(
                f"expected finite numbers, found {name} {value} at step {step}: "
                "start a new run, with a lower learning_rate or a longer warmup and another --out"
            )
