"""`groundup models`: what can be opened by name from here."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from groundup.cli.parse import parse


@dataclass(frozen=True, kw_only=True)
class Models:
    """List the models that a command can open: published ones by short name, and your runs."""

    runs: tyro.conf.Positional[Path] = Path("runs")
    """Folder of your runs."""


def command(arguments: list[str]) -> int:
    """Print the table, and how to use it."""
    chosen = parse(Models, arguments, program="groundup models")
    from rich.console import Console
    from rich.table import Table

    from groundup.available import known_models

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, justify in (("name", "left"), ("parameters", "right"), ("here", "right"), ("licence", "left")):
        table.add_column(title, justify="right" if justify == "right" else "left", no_wrap=True)
    table.add_column("what, and where from", overflow="fold")
    for model in known_models(chosen.runs):
        size = model.how if model.n_bytes is None else f"{model.n_bytes / 1e6:,.0f} MB"
        count = "" if model.n_parameters is None else f"{model.n_parameters:,}"
        table.add_row(model.name, count, size, model.licence, f"{model.about}; {model.source}")
    Console().print(table)
    print("\nany other: a folder from transformers, a .gguf file, or OWNER/NAME on the hub (GPT-2 and Llama families)")
    print(
        "use one:   groundup chat NAME     groundup generate NAME PROMPT     groundup export NAME --to hf --out FOLDER"
    )
    return 0
