"""Expected validation losses of a recipe at some of its steps, and the settings they were measured with."""

import json
from dataclasses import dataclass
from typing import Any

from groundup.configs.checks import at_least, positive
from groundup.configs.codec import to_dict
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Band:
    """The validation loss to expect at one step.

    Example:
        >>> Band(step=1_000, low=1.58, high=1.66).high
        1.66
    """

    step: int
    """Optimizer steps done; an evaluation must fall on it."""
    low: float
    """Lowest loss to expect, in nats per token."""
    high: float
    """Highest loss to expect, in nats per token."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "step", 1)
        positive(self, "low")
        positive(self, "high")
        if self.low > self.high:
            raise InputError(f"Band.low must be at most Band.high, found {self.low} and {self.high}")


@dataclass(frozen=True, kw_only=True)
class Bands:
    """The bands of a recipe. They hold for the settings they were measured with, whatever a run then overrides."""

    points: tuple[Band, ...] = ()
    """One band for each step that has one."""
    measured_with: tuple[str, ...] = ()
    """What decided those losses: `settings_of` the recipe."""


def settings_of(config: object) -> tuple[str, ...]:
    """Return the settings of a `RunConfig` that decide its losses beyond the chance of a seed, as "name=value".

    They are the text, the model, the optimizer, the schedule, the steps, what is scored, and the sequences of a step
    however they are cut. Seed, device, precision, threads, checkpoints and records are left out.

    Example:
        >>> from groundup.configs.run import RunConfig
        >>> [line for line in settings_of(RunConfig()) if "learning_rate" in line]
        ['training.learning_rate=0.001']
    """
    plain = to_dict(config)
    training = plain["training"]
    kept = {name: training[name] for name in ("steps", "learning_rate", "clip_norm", "optimizer", "schedule")}
    kept["sequences_per_step"] = training["batch_size"] * training["accumulation_steps"]
    kept["evaluation"] = {"max_tokens": training["evaluation"]["max_tokens"]}
    return tuple(_lines({"data": plain["data"], "model": plain["model"], "training": kept}, ""))


def _lines(value: Any, name: str) -> list[str]:  # noqa: ANN401 - plain JSON
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _lines(item, f"{name}.{key}" if name else key)]
    return [f"{name}={json.dumps(value)}"]
