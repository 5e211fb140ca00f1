"""Pictures of a quantized model: the error of each layer over the blocks, by kind."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundup.evaluation.layer_errors import LayerError
from groundup.reports.pictures import INK, as_svg, colour, drawing, marker

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 6.6, 3.7
"""Inches."""
PARTS = {"attention": "Attention", "feed_forward": "Feed-forward"}
"""Which layers share a picture: seven lines in one could not be told apart."""
MANY = 16
"""From so many blocks on, marks are small."""


def layer_plots(errors: Sequence[LayerError]) -> dict[str, str]:
    """Return a picture as SVG for each of `PARTS` that has quantized layers, with the same scale in all.

    A layer that was left has no mark; layers of no block (embedding, output matrix) are in no picture.
    """
    drawn = [one for one in errors if one.block is not None]
    if not drawn:
        return {}
    top = 1.12 * max(one.error for one in drawn) or 0.01
    n_blocks = 1 + max(one.block or 0 for one in drawn)
    pictures = {}
    for part, title in PARTS.items():
        here = [one for one in drawn if one.kind.startswith(f"{part}.")]
        if here:
            pictures[part] = _picture(title, here, n_blocks, top)
    return pictures


def _picture(title: str, errors: Sequence[LayerError], n_blocks: int, top: float) -> str:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    with drawing(WIDTH, HEIGHT) as (figure, axes):
        for i, kind in enumerate(dict.fromkeys(one.kind for one in errors)):
            values = [math.nan] * n_blocks
            for one in errors:
                if one.kind == kind and one.block is not None:
                    values[one.block] = one.error
            axes.plot(range(n_blocks), values, color=colour(i), marker=marker(i), linewidth=1.4, zorder=3,
                      markersize=3.5 if n_blocks >= MANY else 6.5, label=kind.partition(".")[2])  # fmt: skip
        axes.set_xlabel("block")
        axes.set_xlim(-0.5, n_blocks - 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(0, top)
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        axes.set_title(f"{title}: error of each layer's output", loc="left", color=INK, fontsize=11,
                       fontweight="bold", pad=26)  # fmt: skip
        _legend(axes)
        return as_svg(figure)


def _legend(axes: "Axes") -> None:
    """Put the names in a row above the axes, where they hide nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=4, frameon=False, fontsize=9, handletextpad=0.5,
                columnspacing=1.5, borderaxespad=0)  # fmt: skip
