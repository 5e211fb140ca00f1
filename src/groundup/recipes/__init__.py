"""Named runs: each is a function that returns a config, with the reason for its numbers beside them."""

from collections.abc import Callable

from groundup.configs.run import Configured
from groundup.errors import InputError
from groundup.recipes import language, masked, translation, vision

RECIPES: dict[str, Callable[[], Configured]] = {
    **language.RECIPES,
    **translation.RECIPES,
    **masked.RECIPES,
    **vision.RECIPES,
}
"""Every recipe by the name the command line uses."""


def recipe(name: str) -> Configured:
    """Return the config of the recipe called `name`.

    Raises:
        InputError: listing the known names.

    Example:
        >>> recipe("shakespeare-char").training.batch_size
        12
    """
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}: known are {', '.join(RECIPES)}")
    return RECIPES[name]()
