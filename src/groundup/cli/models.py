"""`groundup models`: what can be opened by name from here."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from groundup.cli.parse import parse
from groundup.errors import InputError

TITLES = {
    "chat": "taught to converse: groundup chat NAME",
    "text": "go on with a text: groundup generate NAME PROMPT",
    "run": "your runs: groundup generate NAME PROMPT",
}
"""What stands above the models of each kind."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """List the models that a command can open: published ones by short name, and your runs."""

    runs: tyro.conf.Positional[Path] = Path("runs")
    """Folder of your runs."""


def command(arguments: list[str]) -> int:
    """Print the table, and how to use it."""
    chosen = parse(Models, arguments, program="groundup models")
    if not chosen.runs.is_dir() and chosen.runs != Models().runs:
        raise InputError(
            f"expected a folder of runs, found none at {chosen.runs}: models are opened by generate and chat"
        )
    from groundup.available import known_models
    from groundup.planning.quantities import in_bytes, in_parameters

    models = known_models(chosen.runs)
    longest = max(len(model.name) for model in models)
    for kind, title in TITLES.items():
        rows = [model for model in models if model.kind == kind]
        if rows:
            print(title)
        for model in rows:
            size = model.how if model.n_bytes is None else in_bytes(model.n_bytes)
            count = "?" if model.n_parameters is None else in_parameters(model.n_parameters)
            print(f"  {model.name:<{longest}}{count:>5} {size:>11}  {model.licence:<10}  {model.source}")
    print("\nany other: a folder from transformers, a .gguf file, or OWNER/NAME on the hub")
    return 0
