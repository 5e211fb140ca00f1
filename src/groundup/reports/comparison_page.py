"""A comparison of two models as a page in one file: figures, a picture, and texts side by side."""

import math

from groundup.evaluation.perplexity import Perplexity
from groundup.reports.comparison import Comparison
from groundup.reports.comparison_figures import notes_of, shown, summary, table_of
from groundup.reports.pages import html_page, notes_list
from groundup.reports.pictures import EDGE, GRID, INK, PAGE, SOFT, as_svg, colour, drawing, img, label_of
from groundup.reports.tables import html, in_html

STYLE = """
.top { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1.5rem 2.5rem;
  align-items: start; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem; }
.prompt { font-weight: 600; margin: 2.2rem 0 .7rem; white-space: pre-wrap; overflow-wrap: anywhere; max-width: 60rem;
  padding-left: .9rem; border-left: 3px solid var(--accent); }
.pair article { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem;
  padding: .9rem 1.1rem 1.1rem; }
.pair h3 { margin: 0 0 .5rem; font-size: .82rem; font-weight: 500; color: var(--soft); overflow-wrap: anywhere; }
.pair .text { white-space: pre-wrap; overflow-wrap: anywhere; max-width: none; margin: 0;
  font: .98rem/1.6 ui-serif, Georgia, Cambria, "Noto Serif", serif; }
"""
"""Beside `pages.STYLE`."""


def html_of(found: Comparison) -> str:
    """Return the comparison as a page that is one file.

    Example: see `groundup.reports.comparison.compare`.
    """
    parts = [f"<h1>{in_html(found.tuned)} beside {in_html(found.base)}</h1>"]
    parts += [f'<p class="lead">{in_html(sentence)}</p>' for sentence in [summary(found)] if sentence]
    picture = _picture(found)
    drawn = img(picture, "Bits per byte of both models on each text.") if picture else ""
    parts += [f'<div class="top">{html(table_of(found))}{drawn}</div>', notes_list(notes_of(found))]
    parts.append("<h2>After the same prompts</h2>")
    texts = zip(found.prompts, found.base_writing.texts, found.tuned_writing.texts, strict=True)
    for prompt, base, tuned in texts:
        articles = "".join(_article(name, text) for name, text in ((found.base, base), (found.tuned, tuned)))
        parts.append(f'<div class="prompt" dir="auto">{in_html(prompt)}</div>\n<div class="pair">{articles}</div>')
    return html_page(f"{found.tuned} beside {found.base}", parts, style=STYLE)


def _article(name: str, text: str) -> str:
    return f'<article><h3>{in_html(name)}</h3><p class="text" dir="auto">{in_html(shown(text))}</p></article>'


def _picture(found: Comparison) -> str | None:
    """Return bits per byte before and after as SVG: for each text a line from the base to the tuned model."""
    readings = [one for one in (found.domain, found.general) if one is not None and _is_drawn(one.base, one.tuned)]
    if not readings:
        return None
    with drawing(6.6, 1.35 + 0.55 * len(readings)) as (figure, axes):
        for i, one in enumerate(readings):
            before, after, y = one.base.bits_per_byte, one.tuned.bits_per_byte, len(readings) - i
            axes.plot([before, after], [y, y], color=EDGE, linewidth=2.5, zorder=2, solid_capstyle="round")
            first, second = (found.base, found.tuned) if i == 0 else ("", "")
            axes.plot(before, y, "o", markersize=10, markerfacecolor=PAGE, markeredgecolor=colour(0), zorder=3,
                      markeredgewidth=2, label=label_of(first) or None)  # fmt: skip
            axes.plot(after, y, "o", markersize=10, color=colour(1), zorder=4,
                      label=label_of(second) or None)  # fmt: skip
        names = [label_of(one.name) for one in readings]
        axes.set_yticks(range(len(readings), 0, -1), names, color=SOFT)
        axes.set_ylim(0.4, len(readings) + 0.6)
        axes.margins(x=0.1)
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x", color=GRID, linewidth=0.8)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_title("Bits per byte: less is better", loc="left", color=INK, fontsize=11, fontweight="bold", pad=24)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, frameon=False, fontsize=9, borderaxespad=0)
        return as_svg(figure)


def _is_drawn(*figures: Perplexity) -> bool:
    return all(math.isfinite(one.bits_per_byte) for one in figures)
