"""Which run a command is to look at: a recipe, a run, or the list of recipes when none is named."""

from pathlib import Path

from groundup.configs.run import Configured, RunConfig
from groundup.configs.run_tasks import run_task
from groundup.errors import InputError
from groundup.recipes import RECIPES, language, recipe


def asks_for_list(arguments: list[str]) -> bool:
    """Tell whether no recipe is named, so that the list of them is what helps.

    Example:
        >>> asks_for_list([]), asks_for_list(["--help"]), asks_for_list(["tales", "--help"])
        (True, True, False)
    """
    return not arguments or arguments[0] in ("-h", "--help")


def recipe_or_run(name: str) -> Configured:
    """Return the config of a recipe, or of the run whose folder `name` is, whatever it learns.

    Raises:
        InputError: neither, or the run of another command or version.
    """
    if name in RECIPES:
        return recipe(name)
    if not Path(name).is_dir():
        raise InputError(f"expected a recipe or the folder of a run, found {name!r}: recipes are {', '.join(RECIPES)}")
    from groundup.training.kinds import known_kind  # these read the config, without torch
    from groundup.training.run_folder import Run

    run = Run.open(Path(name))
    return run.read_config(known_kind(run.config, run.path).config)


def language_recipe_or_run(name: str, command: str) -> RunConfig:
    """Return the config of a recipe or run of a language model, the only kind that `command` knows.

    Raises:
        InputError: neither, or one that learns something else.
    """
    config = recipe_or_run(name)
    if not isinstance(config, RunConfig):
        found = run_task(getattr(config, "task", None)).model
        raise InputError(
            f"expected a recipe or run of a language model, found {name}, of {found}: groundup {command} covers "
            f"{', '.join(language.RECIPES)}"
        )
    return config


def recipe_list(command: str, what: str = "RECIPE") -> str:
    """Return how `command` is used, `what` being its first argument, and the recipes with the first line of each."""
    rows = "\n".join(f"  {name:<23}{(make.__doc__ or '').splitlines()[0]}" for name, make in RECIPES.items())
    return f"usage: groundup {command} {what} [OPTIONS]     options: groundup {command} {what} --help\n\n{rows}"
