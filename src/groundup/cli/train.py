"""`groundup train RECIPE`: a new run, with any field of the recipe overridden."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from groundup.cli.parse import parse
from groundup.configs.run import RunConfig
from groundup.recipes import RECIPES, recipe


@dataclass(frozen=True, kw_only=True)
class Train:
    """Train a model from scratch: every field of the recipe can be set."""

    out: Path | None = None
    """Folder of the run. None: runs/RECIPE."""
    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    """The recipe."""


def command(arguments: list[str]) -> int:
    """Parse, train, and say what to do next."""
    if not arguments or arguments[0] in ("-h", "--help"):
        rows = "\n".join(f"  {name:<18}{(make.__doc__ or '').splitlines()[0]}" for name, make in RECIPES.items())
        print(f"usage: groundup train RECIPE [OPTIONS]     options: groundup train RECIPE --help\n\n{rows}")
        return 0
    name = arguments[0]
    chosen = parse(Train, arguments[1:], program=f"groundup train {name}", default=Train(config=recipe(name)))
    from groundup.cli.outcome import finish  # torch: not for --help
    from groundup.training.launch import start

    return finish(start(chosen.config, chosen.out or Path("runs") / name))
