"""`groundup report RUN…`: what runs reached and what they cost, side by side."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from groundup.cli.parse import parse


@tyro.conf.configure(tyro.conf.PositionalMetavarFromFieldName)
@dataclass(frozen=True, kw_only=True)
class Report:
    """Compare runs: quality, trainable parameters, memory, time and size, a table for each task."""

    runs: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN [RUN …]")]
    """Folders of runs, from groundup finetune or groundup train."""
    out: Path | None = None
    """Write a page with plots here: HTML in one file."""
    markdown: Path | None = None
    """Write Markdown here, and its plots beside it."""


def command(arguments: list[str]) -> int:
    """Parse, read the runs, print the tables, write the pages that were asked for."""
    chosen = parse(Report, arguments, program="groundup report")
    from groundup.reports.pages import check_place
    from groundup.reports.run_page import illustrate, terminal_text, write_html, write_markdown
    from groundup.reports.run_report import read_groups

    groups = read_groups(chosen.runs)
    # What cannot be written is known before anything is shown.
    page = None if chosen.out is None else check_place(chosen.out, "html")
    text = None if chosen.markdown is None else check_place(chosen.markdown, "markdown")
    # In a file or a pipe each row is one line.
    print(terminal_text(groups, shutil.get_terminal_size().columns if sys.stdout.isatty() else None), flush=True)
    if page is None and text is None:
        return 0
    found = illustrate(groups)
    print()
    if text is not None:
        pictures = write_markdown(found, text)
        print(f"wrote {text}{f' and {len(pictures)} pictures beside it' if pictures else ''}")
    if page is not None:
        write_html(found, page)
        print(f"wrote {page}")
    return 0
