"""`groundup evaluate RUN`: loss, perplexity and bits per byte on text the run never trained on."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a run on its validation text."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    max_tokens: int | None = None
    """Validation tokens to score. None: all of them."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        if self.max_tokens is not None:
            at_least(self, "max_tokens", 1)


def command(arguments: list[str]) -> int:
    """Parse, measure, print one row per figure."""
    chosen = parse(Evaluate, arguments, program="groundup evaluate")
    from groundup.training.trained import evaluate_run

    for name, value in evaluate_run(chosen.run, max_tokens=chosen.max_tokens).items():
        print(f"{name:<22}{value:,}" if isinstance(value, int) else f"{name:<22}{value:.4f}")
    return 0
