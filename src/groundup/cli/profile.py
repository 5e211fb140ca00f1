"""`groundup profile RECIPE`: where the time of a training step goes."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from groundup.cli.parse import parse
from groundup.cli.recipe_list import asks_for_list, language_recipe_or_run, recipe_list
from groundup.configs.checks import at_least
from groundup.configs.run import RunConfig


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Take a few steps under torch's profiler: time by kind of work, module and operation, and a trace."""

    steps: int = 5
    """Steps to profile."""
    trace: Path | None = None
    """Where to write the Chrome trace. None: trace-RECIPE.json here, or the next free name."""
    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    """The recipe."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "steps", 1)


def command(arguments: list[str]) -> int:
    """Parse, profile, print the page."""
    if asks_for_list(arguments):
        print(recipe_list("profile", "RECIPE|RUN"))
        return 0
    name = arguments[0]
    chosen = parse(
        Profile,
        arguments[1:],
        program=f"groundup profile {name}",
        default=Profile(config=language_recipe_or_run(name, "profile")),
    )
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # torch's profiler would write its comings and goings; read once
    from rich.console import Console

    from groundup.planning.fitting import check
    from groundup.planning.profile import free_name, profile_run
    from groundup.planning.profile_page import page

    check(chosen.config)
    trace = chosen.trace or free_name(f"trace-{Path(name).resolve().name}")
    progress = Console(stderr=True).status("profiling …")  # nothing where there is no terminal
    with tempfile.TemporaryDirectory(prefix="groundup-profile-") as folder, progress:
        found = profile_run(chosen.config, Path(folder), trace, steps=chosen.steps)
    Console(highlight=False, soft_wrap=True).print(page(found, name))
    return 0
