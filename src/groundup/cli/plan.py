"""`groundup plan RECIPE`: what a run will need, before it begins."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from groundup.cli.parse import parse
from groundup.cli.recipe_list import asks_for_list, language_recipe_or_run, recipe_list
from groundup.configs.run import RunConfig
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Count parameters and operations, estimate memory, and measure the time in a short trial."""

    trial: bool = True
    """Take a few real steps in a process of their own, for the time and the utilization: about half a minute."""
    memory: str | None = None
    """Memory to fit into, such as 8GB, to plan for another machine. None: what is free on this one."""
    config: Annotated[RunConfig, tyro.conf.arg(name="")]
    """The recipe."""


def command(arguments: list[str]) -> int:
    """Parse, plan, print the page."""
    if asks_for_list(arguments):
        print(recipe_list("plan", "RECIPE|RUN"))
        return 0
    name = arguments[0]
    chosen = parse(
        Plan, arguments[1:], program=f"groundup plan {name}", default=Plan(config=language_recipe_or_run(name, "plan"))
    )
    from rich.console import Console

    from groundup.planning.page import page
    from groundup.planning.plan import make_plan
    from groundup.planning.quantities import read_bytes

    memory = None if chosen.memory is None else read_bytes(chosen.memory)
    if memory is not None and memory < 1e6:  # 8 for 8GB
        raise InputError(f"expected --memory with its unit, such as 8GB or 500MB, found {chosen.memory}")
    with Console(stderr=True).status("trying a few steps …"):  # nothing where there is no terminal
        plan = make_plan(chosen.config, memory=memory, trial=chosen.trial)
    Console(highlight=False, soft_wrap=True).print(page(plan, name))
    return 0
