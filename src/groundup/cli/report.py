"""`groundup report RUN…`: what runs reached and what they cost, side by side."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from groundup.cli.parse import parse


@tyro.conf.configure(tyro.conf.PositionalMetavarFromFieldName)
@dataclass(frozen=True, kw_only=True)
class Report:
    """Compare runs: quality, trainable parameters, memory, time and size, a table for each task."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Folders of runs, from groundup finetune or groundup train."""
    out: Path | None = None
    """Write a page with plots here: HTML in one file."""
    markdown: Path | None = None
    """Write Markdown here, and its plots beside it."""


def command(arguments: list[str]) -> int:
    """Parse, read the runs, print the tables, write the pages that were asked for."""
    chosen = parse(Report, arguments, program="groundup report")
    from groundup.reports.pages import check_place
    from groundup.reports.run_page import terminal_text, write_html, write_markdown
    from groundup.reports.run_report import read_groups

    groups = read_groups(chosen.runs)
    if chosen.out is not None:
        check_place(chosen.out, "html")
    if chosen.markdown is not None:
        check_place(chosen.markdown, "markdown")
    # Into a file or a pipe each row goes in one line.
    print(terminal_text(groups, shutil.get_terminal_size().columns if sys.stdout.isatty() else None))
    said = ["\n"]
    if chosen.markdown is not None:
        write_markdown(groups, chosen.markdown)
        said.append(f"wrote {chosen.markdown}\n")
    if chosen.out is not None:
        write_html(groups, chosen.out)
        said.append(f"wrote {chosen.out}\n")
    print("".join(said) if len(said) > 1 else "", end="")
    return 0
