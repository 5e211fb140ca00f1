"""Pictures as SVG that is light or dark as the reader's system is, alone and inside a page."""

import base64
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from groundup.reports.tables import in_html, printable

if TYPE_CHECKING:  # half a second to import
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARK = "<!-- made by groundup -->"
"""In every picture of ours."""
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "DejaVu Sans", sans-serif'
INK, SOFT, EDGE, GRID, PAGE = "#010203", "#040506", "#070809", "#0a0b0c", "#0d0e0f"
"""Colours to draw in: they stand for others, which `SHOWN` tells."""
SERIES = ("#100001", "#100002", "#100003", "#100004", "#100005", "#100006")
"""Colours of what is compared."""
SHOWN = {
    INK: ("#1f2328", "#e6edf3"),
    SOFT: ("#59636e", "#9aa5b1"),
    EDGE: ("#b5bcc4", "#545d68"),
    GRID: ("#e7eaee", "#2a313a"),
    PAGE: ("#ffffff", "#15191f"),
    # Okabe and Ito's palette, which colour-blind readers can tell apart; lighter on black.
    SERIES[0]: ("#0072b2", "#5db2e8"),
    SERIES[1]: ("#d55e00", "#f08a4b"),
    SERIES[2]: ("#009e73", "#3cc79d"),
    SERIES[3]: ("#b8588f", "#e6a3c8"),
    SERIES[4]: ("#c98a00", "#f0b840"),
    SERIES[5]: ("#3b9fd4", "#9bd3f5"),
}
"""Each colour on a light page and on a dark one."""
MARKERS = "osD^vPX"
"""With seven of them, colours and marks repeat after 42."""


LONGEST = 34
"""Characters of a name that a legend shows."""


def label_of(name: str) -> str:
    """Return a name as a picture shows it: on one line, its middle left out if it is long.

    Example:
        >>> label_of("runs/" * 20)
        'runs/runs/runs/r…s/runs/runs/runs/'
    """
    shown = printable(name, one_line=True)
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST // 2 - 1]}…{shown[-LONGEST // 2 :]}"
    return f"\u200b{shown}" if shown.startswith("_") else shown  # matplotlib leaves out names that begin so


@contextmanager
def drawing(width: float, height: float) -> Iterator[tuple["Figure", "Axes"]]:
    """Yield a figure of so many inches and its axes, in our style. Texts are taken as they are: $ is a $."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: Any = {  # newer versions of matplotlib type the names, older ones do not
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "groundup",  # else ids differ each time
        "font.size": 10,
        "axes.edgecolor": EDGE,
        "axes.labelcolor": INK,
        "xtick.color": EDGE,
        "ytick.color": EDGE,
        "xtick.labelcolor": SOFT,
        "ytick.labelcolor": SOFT,
        "text.color": INK,
        "legend.facecolor": PAGE,
        "legend.edgecolor": EDGE,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(length=3)
        yield figure, axes


def colour(i: int) -> str:
    """Return the colour of the i-th thing that is compared."""
    return SERIES[i % len(SERIES)]


def marker(i: int) -> str:
    """Return its mark."""
    return MARKERS[i % len(MARKERS)]


def as_svg(figure: "Figure") -> str:
    """Return a figure from `drawing` as an SVG document with both sets of colours; call it inside the block."""
    written = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # matplotlib's font only measures: the reader's has the characters
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    for i, drawn in enumerate(SHOWN):
        svg = svg.replace(drawn, f"var(--c{i})")
    svg = re.sub(r" font-family: [^;\"]*;?", "", svg)  # the reader's font, below, and not matplotlib's
    svg = re.sub(r"font: (?:(\d+) )?([\d.]+px) [^;\"]*", r"font-weight: \1; font-size: \2", svg)
    svg = svg.replace("font-weight: ; ", "")
    light, dark = ("; ".join(f"--c{i}: {pair[k]}" for i, pair in enumerate(SHOWN.values())) for k in (0, 1))
    style = (
        f"<style>svg {{ {light}; font-family: {FONT} }}\n"
        f"@media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}</style>"
    )
    return f"{MARK}\n" + re.sub(r"(<svg[^>]*>)", lambda found: found[1] + style, svg, count=1)


def img(svg: str, words: str) -> str:
    """Return a picture as an element of a page, in it and not beside it.

    Args:
        svg: from `as_svg`.
        words: what it shows, for those who do not see it.
    """
    data = base64.b64encode(svg.encode()).decode()
    return f'<figure class="together"><img alt="{in_html(words)}" src="data:image/svg+xml;base64,{data}"></figure>'
