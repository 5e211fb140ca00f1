"""`groundup replay RUN --step N`: takes a step of a run again and shows what happened inside it."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Take a step again, from the checkpoint before it, and look into it layer by layer; the run stays as it is."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    step: int
    """Which one, as numbered in metrics.jsonl: step N is the one after which N steps have been taken."""
    write: Path | None = None
    """Folder to write the report into too, as step-N.txt and step-N.json. None: it is only shown."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "step", 1)


def command(arguments: list[str]) -> int:
    """Parse, replay, show; exit code 1 if what was recorded came out otherwise."""
    chosen = parse(Replay, arguments, program="groundup replay")
    from groundup.training.replay import replay

    return 1 if replay(chosen.run, chosen.step, write=chosen.write).unlike else 0
