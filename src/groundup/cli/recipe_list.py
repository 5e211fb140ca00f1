"""What a command that takes a recipe says when none is named."""

from groundup.recipes import RECIPES


def asks_for_list(arguments: list[str]) -> bool:
    """Tell whether no recipe is named, so that the list of them is what helps.

    Example:
        >>> asks_for_list([]), asks_for_list(["--help"]), asks_for_list(["tales", "--help"])
        (True, True, False)
    """
    return not arguments or arguments[0] in ("-h", "--help")


def recipe_list(command: str) -> str:
    """Return how `command` is used, and the recipes with the first line of each."""
    rows = "\n".join(f"  {name:<23}{(make.__doc__ or '').splitlines()[0]}" for name, make in RECIPES.items())
    return f"usage: groundup {command} RECIPE [OPTIONS]     options: groundup {command} RECIPE --help\n\n{rows}"
