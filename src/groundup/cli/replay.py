"""`groundup replay RUN --step N`: takes a step of a run again and shows what happened inside it."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Take a step again, from the checkpoint before it, and look into it layer by layer; the run stays as it is."""

    run: tyro.conf.Positional[Path]
    """Folder of the run."""
    step: int | None = None
    """Must be given. Which one, as numbered in metrics.jsonl: step N is the one after which N steps have been taken."""
    write: Path | None = None
    """Folder to write the report into too, as step-N.txt and step-N.json. None: it is only shown."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        if self.step is not None:
            at_least(self, "step", 1)


def command(arguments: list[str]) -> int:
    """Parse, replay, show; exit code 1 if what was recorded came out otherwise."""
    chosen = parse(Replay, arguments, program="groundup replay")
    if chosen.step is None:
        raise InputError(_which(chosen.run))
    from groundup.training.replay import replay

    return 1 if replay(chosen.run, chosen.step, write=chosen.write).unlike else 0


def _which(folder: Path) -> str:
    """Say which steps there are, those that broke by number."""
    from groundup.training.run_folder import Run  # without torch

    names = (path.stem.removeprefix("step-") for path in (Run.open(folder).path / "faults").glob("step-*.json"))
    broken = sorted(int(name) for name in names if name.isdecimal())
    told = f"; not finite: step {', '.join(map(str, broken))}" if broken else ""
    return (
        f"expected --step N, numbered from 1 as in metrics.jsonl, found none: groundup replay {folder} --step N{told}"
    )
