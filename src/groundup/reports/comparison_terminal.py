"""A comparison of two models in a terminal: what both wrote, side by side where there is room, and the figures."""

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from groundup.reports.comparison import Comparison
from groundup.reports.comparison_figures import notes_of, shown, summary, table_of
from groundup.reports.tables import aligned, printable

ROOM = 70
"""Columns of a terminal from which on two texts stand beside each other."""


def show(found: Comparison, console: Console) -> None:
    """Print texts and figures: side by side where the terminal has room, else one below the other."""
    writings = (found.base_writing.texts, found.tuned_writing.texts)
    for prompt, *pair in zip(found.prompts, *writings, strict=True):
        console.print(Text(printable(prompt), style="bold"), soft_wrap=True)
        texts = [Text(printable(shown(text))) for text in pair]
        names = [Text(printable(name, one_line=True), style="dim") for name in (found.base, found.tuned)]
        if console.width >= ROOM:
            grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True)
            for name in names:
                grid.add_column(name, ratio=1, overflow="fold")
            grid.add_row(*texts)
            console.print(grid)
        else:
            for name, text in zip(names, texts, strict=True):
                console.print(name, soft_wrap=True)
                console.print(text)
        console.print()
    console.print(Text(aligned(table_of(found))), soft_wrap=True)
    for line in notes_of(found):
        console.print(Text(line, style="dim"))
    if sentence := summary(found):
        console.print(Text(f"\n{printable(sentence)}"))
