"""The report on a quantized model: HTML in one file, Markdown with its pictures beside it, and text for a terminal."""

from groundup.reports.pages import MARKS, html_page, notes_list
from groundup.reports.pictures import img
from groundup.reports.quantization_plots import PARTS, layer_plots
from groundup.reports.quantization_report import (
    QuantizationReport,
    notes_of,
    search_summary,
    search_table,
    summary,
    table_of,
    title_of,
    worst_layers,
)
from groundup.reports.tables import aligned, html, in_html, markdown, markdown_text, printable

LAYERS = "Where the error is"
"""Heading of what is said of layers."""
SEARCH = "Which layers have more bits"
"""Heading of what a search found."""
STYLE = """
.top { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 34rem), 1fr)); gap: .5rem 3rem;
  align-items: start; }
.top .notes { margin-top: .3rem; }
.pictures { margin: .5rem 0 2rem; }
"""
"""Beside `pages.STYLE`."""


def html_of(found: QuantizationReport) -> str:
    """Return the report as a page that is one file."""
    title = title_of(found)
    parts = [
        f"<h1>{in_html(title)}</h1>",
        f'<p class="lead">{in_html(summary(found))}</p>',
        f'<div class="top">{html(table_of(found))}{notes_list(notes_of(found))}</div>',
        f"<h2>{LAYERS}</h2>",
    ]
    pictures = "\n".join(img(svg, _words(part)) for part, svg in layer_plots(found.errors).items())
    parts += [f'<div class="pictures">{pictures}</div>'] if pictures else []
    parts.append(html(worst_layers(found)))
    if found.search is not None:
        parts += [f"<h2>{SEARCH}</h2>", f"<p>{in_html(search_summary(found.search))}</p>"]
        parts.append(html(search_table(found.search)))
    return html_page(title, parts, style=STYLE)


def markdown_of(found: QuantizationReport) -> dict[str, str]:
    """Return the report in Markdown and its pictures: the texts of files by their names, `report.md` first."""
    pictures = {f"layers-{part.replace('_', '-')}.svg": (part, svg) for part, svg in layer_plots(found.errors).items()}
    lines = [
        f"{MARKS['markdown']} -->",
        f"# {markdown_text(title_of(found))}",
        markdown_text(summary(found)),
        markdown(table_of(found)),
        "\n".join(f"- {markdown_text(note)}" for note in notes_of(found)),
        f"## {LAYERS}",
        *(f"![{_words(part)}](<{name}>)" for name, (part, _) in pictures.items()),
        markdown(worst_layers(found)),
    ]
    if found.search is not None:
        lines += [f"## {SEARCH}", markdown_text(search_summary(found.search)), markdown(search_table(found.search))]
    return {"report.md": "\n\n".join(lines) + "\n"} | {name: svg for name, (_, svg) in pictures.items()}


def terminal_text(found: QuantizationReport, width: int | None = None) -> str:
    """Return the figures as aligned text, at most `width` columns wide where that can be."""
    sections = (
        [] if found.search is None else [aligned(search_table(found.search), width), search_summary(found.search)]
    )
    sections += [aligned(table_of(found), width), "\n".join(notes_of(found)), aligned(worst_layers(found), width)]
    return printable("\n\n".join(sections))


def _words(part: str) -> str:
    return f"{PARTS[part]}: relative error of each layer's output over the blocks."
