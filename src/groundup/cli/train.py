"""`groundup train RECIPE`: a new run, with any field of the recipe overridden."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import tyro

from groundup.cli.parse import parse
from groundup.cli.recipe_list import asks_for_list, recipe_list
from groundup.configs.run import Configured, RunConfig
from groundup.errors import InputError
from groundup.recipes import RECIPES, recipe

C = TypeVar("C", bound=Configured)


@dataclass(frozen=True, kw_only=True)
class Train(Generic[C]):
    """Train a model from scratch: every field of the recipe can be set."""

    out: Path | None = None
    """Folder of the run. None: runs/RECIPE."""
    stamp: bool = False
    """Make a folder in it, named by date and time, so that runs stand side by side in TensorBoard."""
    config: Annotated[C, tyro.conf.arg(name="")]
    """The recipe."""


def command(arguments: list[str]) -> int:
    """Parse, train, and say what to do next."""
    if asks_for_list(arguments):
        print(recipe_list("train"))
        return 0
    name = arguments[0]
    if name not in RECIPES and (Path(name) / "config.json").is_file():
        raise InputError(f"expected a recipe, found the run {name}: go on with it by groundup resume {name}")
    default = recipe(name)
    kind: Any = Train
    chosen = parse(kind[type(default)], arguments[1:], program=f"groundup train {name}", default=Train(config=default))
    from groundup.cli.outcome import finish  # torch: not for --help
    from groundup.planning.fitting import check
    from groundup.resolve import open_model
    from groundup.training.kinds import start
    from groundup.training.run_folder import stamped

    if isinstance(chosen.config, RunConfig):
        check(chosen.config)  # a run that cannot fit is refused before anything is made
    folder = chosen.out or Path("runs") / name
    if chosen.stamp:
        folder = stamped(folder, datetime.now())
    return finish(start(chosen.config, folder, open_model=open_model))
