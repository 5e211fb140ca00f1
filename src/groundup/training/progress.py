"""What a run shows while it trains: a bar on a terminal, a plain line now and then elsewhere."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

SECONDS_BETWEEN_LINES = 30.0
"""How often a line is written where no bar can be shown."""


def say(console: Console | None, text: str, *, style: str | None = None) -> None:
    """Print text as it is: no markup, no colours of rich's own choice, no line breaks added."""
    if console is not None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


class TrainingDisplay:
    """Progress of one run on a console.

    Args:
        console: where to write. None: nowhere.
        n_steps: steps of the whole run.
        step: steps done before this session.
        counts: what is learned from, for the speed.
    """

    def __init__(self, console: Console | None, *, n_steps: int, step: int, counts: str = "tokens") -> None:
        self._console = Console(quiet=True) if console is None else console
        self._n_steps, self._counts = n_steps, counts
        self._first_step = step
        self._started = self._last_line = time.perf_counter()
        self._validation = ""
        self._bar: Progress | None = None
        if self._console.is_terminal and not self._console.quiet:
            columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
            # Four redraws a second: each takes the interpreter away from training for a moment.
            self._bar = Progress(*columns, console=self._console, transient=True, refresh_per_second=4)
            self._task = self._bar.add_task("", total=n_steps, completed=step)

    def __enter__(self) -> "TrainingDisplay":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    @property
    def width(self) -> int:
        """Columns to print in."""
        return min(self._console.width, 120)

    def say(self, text: str, *, style: str | None = None) -> None:
        """Print text above the bar, as it is."""
        say(self._console, text, style=style)

    def advance(self, step: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def show_step(self, step: int, *, loss: float, per_second: float) -> None:
        """Show the newest training loss and speed."""
        speed = f"{_short(per_second)} {self._counts}/s"
        text = f"loss {loss:.3f}{self._validation}  {speed}  {self.time_left(step)} left"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=text)
        elif time.perf_counter() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.perf_counter()
            self.say(f"step {step}/{self._n_steps}  {text}")

    def show_evaluation(self, step: int, metrics: dict[str, float], sample: str, *, best_step: int | None) -> None:
        """Print one line of figures that stays, and the beginning of a sample."""
        self._last_line = time.perf_counter()
        self._validation = f"  validation {metrics['loss']:.3f}"
        figures = "  ".join(f"{name.replace('_', ' ')} {_figure(value)}" for name, value in metrics.items())
        best = "" if best_step in (step, None) else f"  (best: step {best_step})"
        left = f"  {self.time_left(step)} left" if step < self._n_steps else ""
        self.say(f"step {step}/{self._n_steps}  validation {figures}{best}{left}")
        if excerpt := _excerpt(sample, width=min(self._console.width, 100) - 4):
            self.say("    " + excerpt.replace("\n", "\n    "), style="dim")

    def time_left(self, step: int) -> str:
        """Return the time the other steps will take at this session's pace, evaluations and checkpoints included."""
        done = step - self._first_step
        if done < 1:
            return "?"
        return _clock((time.perf_counter() - self._started) / done * (self._n_steps - step))


class Meter:
    """Tokens per second of training alone; `restart` after anything else."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin to measure now."""
        self._tokens, self._started = 0, time.perf_counter()

    def add(self, n_tokens: int) -> None:
        """Count what a step learned from."""
        self._tokens += n_tokens

    def rate(self) -> float:
        """Return the tokens per second since the last restart, 0 when there were none, and restart."""
        seconds = time.perf_counter() - self._started
        rate = self._tokens / seconds if seconds > 0 else 0.0
        self.restart()
        return rate


def _clock(seconds: float) -> str:
    """Write a duration.

    Example:
        >>> _clock(75.2), _clock(3_723)
        ('1:15', '1:02:03')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _figure(value: float) -> str:
    """Write a measurement with about five digits.

    Example:
        >>> _figure(1.23456), _figure(192.3341), _figure(45_678.9)
        ('1.2346', '192.33', '45679')
    """
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}" if abs(value) < 1_000 else f"{value:.0f}"


def _short(number: float) -> str:
    """Write a count in three digits or so.

    Example:
        >>> _short(812.3), _short(14_120), _short(2_345_678)
        ('812', '14.1k', '2.3M')
    """
    if number < 1_000:
        return f"{number:.0f}"
    return f"{number / 1_000:.1f}k" if number < 1e6 else f"{number / 1e6:.1f}M"


def _excerpt(text: str, *, width: int, n_lines: int = 3) -> str:
    r"""Return the first lines of a text that hold anything, each cut at `width` characters.

    Example:
        >>> _excerpt("\nOnce upon a time\n\nthere was", width=8)
        'Once up…\nthere w…'
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()][:n_lines]
    return "\n".join(line if len(line) <= width else line[: width - 1] + "…" for line in lines)
