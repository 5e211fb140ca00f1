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


def terminal_text(groups: Sequence[Group], width: int | None = None) -> str:
    """Return the tables as aligned text, at most `width` columns wide where that can be."""
    sections = []
    for group in groups:
        notes = "".join(f"\n{note}" for note in notes_of(group))
        sections.append(f"{group.title}\n\n{aligned(table_of(group), width)}\n{notes}".rstrip())
    return "\n\n\n".join(sections)


def write_html(groups: Sequence[Group], path: Path) -> None:
    """Write the report as one HTML file that needs no other.

    Raises:
        InputError: something else is there, or it cannot be written.
    """
    check_place(path, "html")
    n = sum(len(group.runs) for group in groups)
    told = f"{n} run{'s' * (n > 1)}: what each reached, what learned, and what it cost."
    parts = ["<h1>Report of runs</h1>", f'<p class="lead soft">{told}</p>']
    for group in groups:
        parts += _section(group)
    write_page(path, html_page("groundup: report of runs", parts))


def write_markdown(groups: Sequence[Group], path: Path) -> list[Path]:
    """Write the report as Markdown, with its pictures as SVG files beside it, and return where those are.

    Raises:
        InputError: something else is there, or it cannot be written.
    """
    path = check_place(path, "markdown")
    pictures = [(group, picture) for group in groups for picture in pictures_of(group)]
    files = {
        (group.task, picture.name): check_place(path.with_name(f"{path.stem}-{group.task}-{picture.name}.svg"), "svg")
        for group, picture in pictures
    }
    for group, picture in pictures:
        write_page(files[group.task, picture.name], picture.svg)
    lines = [f"{MARKS['markdown']} -->", "# Report of runs"]
    for group in groups:
        lines += [f"## {markdown_text(group.title)}", markdown(table_of(group))]
        lines += ["\n".join(f"- {markdown_text(note)}" for note in notes_of(group))] if notes_of(group) else []
        for _, picture in (pair for pair in pictures if pair[0] is group):
            name = files[group.task, picture.name].name
            lines.append(f"![{markdown_text(picture.words)}](<{name}>)")
    write_page(path, "\n\n".join(lines) + "\n")
    return list(files.values())


def pictures_of(group: Group) -> Iterator[Picture]:
    """Yield the plots that a group has figures for."""
    quality, loss = quality_plot(group), loss_plot(group)
    if quality is not None:
        yield Picture("quality", "Quality against the number of trainable parameters.", quality)
    if loss is not None:
        yield Picture("loss", "Validation loss of each run over its steps.", loss)


def _section(group: Group) -> Iterator[str]:
    yield f"<section><h2>{in_html(group.title)}</h2>"
    yield html(table_of(group))
    yield notes_list(notes_of(group))
    drawn = "\n".join(img(picture.svg, picture.words) for picture in pictures_of(group))
    yield f'<div class="pictures">{drawn}</div></section>' if drawn else "</section>"
