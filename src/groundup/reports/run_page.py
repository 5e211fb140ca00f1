"""The report of runs as pages: HTML in one file, Markdown with its pictures beside it, and tables for a terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundup.reports.pages import MARKS, check_place, html_page, notes_list, write_page
from groundup.reports.pictures import img
from groundup.reports.run_plots import loss_plot, quality_plot
from groundup.reports.run_report import Group, notes_of, table_of
from groundup.reports.tables import aligned, html, in_html, markdown, markdown_text


@dataclass(frozen=True)
class Picture:
    """One plot of a group."""

    name: str
    """Part of its file's name."""
    words: str
    """What it shows."""
    svg: str
    """It."""


@dataclass(frozen=True)
class Illustrated:
    """A group with its plots."""

    group: Group
    """Runs of one task."""
    pictures: tuple[Picture, ...]
    """Those that it has figures for."""


def illustrate(groups: Sequence[Group]) -> list[Illustrated]:
    """Draw the plots of groups, once for all pages."""
    return [Illustrated(group, tuple(_pictures(group))) for group in groups]


def terminal_text(groups: Sequence[Group], width: int | None = None) -> str:
    """Return the tables as aligned text, at most `width` columns wide where that can be."""
    sections = []
    for group in groups:
        notes = "".join(f"\n{note}" for note in notes_of(group))
        sections.append(f"{group.title}\n\n{aligned(table_of(group), width)}\n{notes}".rstrip())
    return "\n\n\n".join(sections)


def write_html(found: Sequence[Illustrated], path: Path) -> None:
    """Write the report as one HTML file that needs no other.

    Raises:
        InputError: something else is there, or it cannot be written.
    """
    path = check_place(path, "html")
    n = sum(len(one.group.runs) for one in found)
    told = f"{n} run{'s' * (n > 1)}: what each reached, what learned, and what it cost."
    parts = ["<h1>Report of runs</h1>", f'<p class="lead soft">{told}</p>']
    for one in found:
        parts += _section(one)
    write_page(path, html_page("groundup: report of runs", parts))


def write_markdown(found: Sequence[Illustrated], path: Path) -> list[Path]:
    """Write the report as Markdown, with its pictures as SVG files beside it, and return where those are.

    Raises:
        InputError: something else is there, or it cannot be written.
    """
    path = check_place(path, "markdown")
    files: dict[Path, str] = {}
    lines = [f"{MARKS['markdown']} -->", "# Report of runs"]
    for one in found:
        lines += [f"## {markdown_text(one.group.title)}", markdown(table_of(one.group))]
        if notes := notes_of(one.group):
            lines.append("\n".join(f"- {markdown_text(note)}" for note in notes))
        for picture in one.pictures:
            file = check_place(path.with_name(f"{path.stem}-{one.group.task}-{picture.name}.svg"), "svg")
            files[file] = picture.svg
            lines.append(f"![{markdown_text(picture.words)}](<{file.name}>)")
    for file, svg in files.items():
        write_page(file, svg)
    write_page(path, "\n\n".join(lines) + "\n")
    return list(files)


def _pictures(group: Group) -> Iterator[Picture]:
    quality, loss = quality_plot(group), loss_plot(group)
    if quality is not None:
        yield Picture("quality", "Quality against the number of trainable parameters.", quality)
    if loss is not None:
        yield Picture("loss", "Validation loss of each run over its steps.", loss)


def _section(one: Illustrated) -> Iterator[str]:
    yield f"<section><h2>{in_html(one.group.title)}</h2>"
    yield html(table_of(one.group))
    yield notes_list(notes_of(one.group))
    drawn = "\n".join(img(picture.svg, picture.words) for picture in one.pictures)
    yield f'<div class="pictures">{drawn}</div></section>' if drawn else "</section>"
