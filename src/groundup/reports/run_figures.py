"""What one run reached and what it cost, as its folder says; what the folder does not say is None."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from groundup.errors import InputError
from groundup.training.metrics import read_metrics
from groundup.training.run_folder import Run


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the test said about the finished model."""

    n: int | None = None
    """Examples in it."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Figures by name."""
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """95 % confidence intervals by name."""


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """One run."""

    path: Path
    """Its folder."""
    task: str
    """What it learned: classify, text, chat, prefer; train for a model of its own."""
    base: str | None
    """The model it began with. None: random weights."""
    method: str | None
    """What of it learned."""
    test: Measured | None
    """None: there was no test, or it has not come yet."""
    test_step: int | None
    """The step after which the test was made, and the costs counted. None: not said."""
    evaluations: tuple[dict[str, float], ...]
    """Validation figures, by step."""
    trainable: int | None
    """Parameters that learned."""
    parameters: int | None
    """All of them."""
    peak_bytes: int | None
    """Most memory that was taken."""
    seconds: float | None
    """From the first step to the last, evaluations included."""
    tokens_per_second: float | None
    """Of the training steps alone."""
    checkpoint_bytes: int | None
    """The weights in one checkpoint: those that learned."""
    step: int | None
    """Last step on record."""
    n_steps: int | None
    """Steps that were asked for."""
    data: dict[str, Any]
    """What the config says about its texts."""

    @property
    def share(self) -> float | None:
        """Parameters that learned, of all."""
        return None if self.trainable is None or not self.parameters else self.trainable / self.parameters

    @property
    def best(self) -> dict[str, float] | None:
        """The evaluation with the lowest loss. None: there was none."""
        return min(self.evaluations, key=lambda one: one["loss"], default=None)


def read_figures(folder: Path) -> RunFigures:
    """Read what the folder of a run says: config.json, metrics.jsonl, test.json and resources.json.

    Of a run of groundup train, which has no resources.json, parameters and size are those of its newest weights.

    Raises:
        InputError: not a run, or a file that is damaged.

    Example:
        >>> import tempfile
        >>> from groundup.configs import RunConfig
        >>> run = Run.create(Path(tempfile.mkdtemp()) / "mine", RunConfig())
        >>> _ = run.metrics.write_text('{"kind": "validation", "step": 5, "loss": 2.0}')
        >>> figures = read_figures(run.path)
        >>> figures.task, figures.best, figures.peak_bytes
        ('train', {'step': 5, 'loss': 2.0}, None)
    """
    run = Run.open(folder)
    config = run.config
    records = _records(run)
    steps = [record for record in records if record["kind"] == "train"]
    told = _object(folder / "resources.json")
    costs = {name: _figure(told, name, folder / "resources.json") for name in _COSTS}
    weights = _newest_weights(run)
    if told is None and weights is not None:
        costs["checkpoint_bytes"] = weights.stat().st_size
        costs["trainable"] = costs["parameters"] = _count(weights) if _is_own(config) else None
    seconds = costs["seconds"] if costs["seconds"] is not None else records[-1].get("seconds") if records else None
    return RunFigures(
        path=folder,
        task=_text(config.get("task")) or "train",
        base=_text((told or {}).get("base")) or _text(config.get("base")),
        method=_text((told or {}).get("method")) or _text(_at(config, "tuning", "method")),
        test=_test(folder / "test.json"),
        test_step=_whole(costs["steps"]),
        evaluations=tuple(
            {name: value for name, value in record.items() if name != "kind"}
            for record in records
            if record["kind"] == "validation"
        ),
        trainable=_whole(costs["trainable"]),
        parameters=_whole(costs["parameters"]),
        peak_bytes=_whole(costs["peak_bytes"]),
        seconds=seconds,
        tokens_per_second=_rate(steps, tokens=costs["tokens"], seconds=costs["seconds"]),
        checkpoint_bytes=_whole(costs["checkpoint_bytes"]),
        step=max((record["step"] for record in records), default=None),
        n_steps=_whole(_at(config, "training", "steps")),
        data=found if isinstance(found := config.get("data"), dict) else {},
    )


_COSTS = ("trainable", "parameters", "peak_bytes", "seconds", "tokens", "checkpoint_bytes", "steps")


def _records(run: Run) -> list[dict[str, Any]]:
    try:
        return read_metrics(run.metrics)
    except OSError as error:
        raise InputError(f"expected to read {run.metrics}, found: {error.strerror or error}") from None


def _rate(steps: list[dict[str, Any]], *, tokens: float | None, seconds: float | None) -> float | None:
    """Return tokens a second over all steps: each record tells its rate since the one before."""
    learned = time = 0.0
    before = 0
    for record in steps:
        if (rate := record.get("tokens_per_second", 0)) > 0 and (n := record.get("tokens", 0) - before) > 0:
            learned, time, before = learned + n, time + n / rate, record["tokens"]
    if time:
        return learned / time
    return tokens / seconds if tokens and seconds else None


def _test(path: Path) -> Measured | None:
    told = _object(path)
    if told is None:
        return None
    metrics, intervals = told.get("metrics", {}), told.get("intervals", {})
    try:
        return Measured(
            n=None if told.get("n") is None else int(told["n"]),
            metrics={str(name): _finite(value) for name, value in metrics.items() if value is not None},
            intervals={
                str(name): (_finite(ends[0]), _finite(ends[1])) for name, ends in intervals.items() if ends is not None
            },
        )
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise _damaged(path, str(error)) from None


def _object(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file, or None where there is no file."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, (error.strerror or "") if isinstance(error, OSError) else "no JSON") from None
    if not isinstance(told, dict):
        raise _damaged(path, "no object")
    return told


def _figure(told: dict[str, Any] | None, name: str, path: Path) -> float | None:
    value = None if told is None else told.get(name)
    if value is None:
        return None
    try:
        return _finite(value)
    except (TypeError, ValueError):
        raise _damaged(path, f"{name} {value!r}") from None


def _finite(value: object) -> float:
    """Return a number as a float.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} where a number belongs")
    return float(value)


def _damaged(path: Path, found: str) -> InputError:
    return InputError(f"expected {path} as it was written, found {found}: remove it to leave its figures out")


def _newest_weights(run: Run) -> Path | None:
    weights = (run.checkpoint(step) / "model.safetensors" for step in reversed(run.checkpoint_steps()))
    return next((path for path in weights if path.is_file()), None)


def _count(weights: Path) -> int | None:
    """Return the numbers in a safetensors file, by its header alone; None if it is damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as file:
            count: int = sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
            return count
    except (OSError, SafetensorError):
        return None


def _is_own(config: dict[str, Any]) -> bool:
    """Tell whether a run trains a model of its own, all of which is in its checkpoints."""
    return "base" not in config and "model" in config


def _at(config: dict[str, Any], part: str, name: str) -> object:
    inner = config.get(part)
    return inner.get(name) if isinstance(inner, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None
