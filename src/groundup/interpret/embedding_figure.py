"""A map of token embeddings as a PNG: points by what the tokens are, the first of them named where there is room."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from groundup.interpret.embedding_map import NAMES, EmbeddingMap
from groundup.interpret.pca import Floats
from groundup.interpret.token_map import KINDS

INK, SOFT, LINE = "#24292f", "#59636e", "#b5bcc4"
COLOURS = (
    ("#0072b2", "#5db2e8"),
    ("#d55e00", "#f08a4b"),
    ("#009e73", "#3cc79d"),
    ("#b8588f", "#e6a3c8"),
    ("#c98a00", "#f0b840"),
    ("#7f56c4", "#b79bf0"),
    ("#8a929b", "#7d8792"),
)
"""Of KINDS, on white and on black: Okabe and Ito's palette, which colour-blind readers can tell apart, and grey."""
WIDTH, LOWEST, HIGHEST = 11.0, 4.5, 10.0
"""Inches: of the picture, and of the map in it, which is as high as its points are."""
SIZE = 8
"""Of a name, in points."""
NAMED = 110
"""Names at most: with more the points are hidden."""


@dataclass
class Labels:
    """Names that do not cover each other, placed one by one.

    Example:
        >>> labels = Labels(scale=1.0)
        >>> labels.fits(0, 0, "one"), labels.fits(5, 2, "two"), labels.fits(0, 90, "three")
        (True, False, True)
    """

    scale: float
    """How large a letter is, where one is 8 wide and 14 high."""
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Left, right, bottom and top of those placed."""

    def fits(self, x: float, y: float, text: str) -> bool:
        """Tell whether a name at the right of (x, y) covers no other; if so it is placed."""
        width, height = 8 * self.scale * max(2, len(text)), 14 * self.scale
        box = (x, x + width, y - height / 2, y + height / 2)
        if any(box[0] < b and a < box[1] and box[2] < d and c < box[3] for a, b, c, d in self.boxes):
            return False
        self.boxes.append(box)
        return True


def draw_embedding_map(picture: Path, found: EmbeddingMap, *, marked: Iterable[int] = ()) -> None:
    """Draw a map into a PNG.

    Args:
        picture: the PNG to write; it is whole or not there.
        found: the map.
        marked: ids of tokens that are named whatever stands beside them, those that were drawn.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second to import, and not for --help
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    width, height = np.ptp(found.places, axis=0) + 1e-9
    high = float(np.clip(WIDTH * (height / width + 0.05), LOWEST, HIGHEST))
    figure = Figure(figsize=(WIDTH, high + 1.4), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw_points(axes, found.places, found.kinds)
    wanted = set(marked)
    first = [row for row, token in enumerate(found.tokens) if int(token) in wanted]
    others = [row for row in found.first_named.tolist() if found.kinds[row] <= 3]  # of more the font lacks letters
    name_points(axes, found.places, found.labels, [*first, *others], n_marked=len(first))
    axes.set_title(
        f"{NAMES[found.method]}: {found.made}. Of a token's ten nearest, {found.kept:.1%} are its nearest here too.",
        loc="left", color=SOFT, fontsize=9.5, parse_math=False, pad=10,
    )  # fmt: skip
    N, V = len(found.tokens), len(found.embeddings)
    title = f"{found.embeddings.source}: {'all' if N == V else f'{N:,} of'} {V:,} token embeddings"
    figure.suptitle(title, x=0.15 / WIDTH, ha="left", color=INK, fontsize=14, fontweight="bold", parse_math=False)
    shown = np.bincount(found.kinds, minlength=len(KINDS))
    legend = figure.legend(
        *_handles([kind for kind in range(len(KINDS)) if shown[kind]], shown), loc="outside lower left", frameon=False,
        ncols=4, fontsize=9, labelcolor=INK, handletextpad=0.3, columnspacing=1.6,
    )  # fmt: skip
    legend.set_in_layout(True)
    partial = picture.with_name(f".{picture.name}.partial")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # the font draws a box for what it lacks
        figure.savefig(partial, dpi=150, format="png", metadata={"Software": "groundup"})
    partial.replace(picture)


def draw_points(axes: Any, places: Floats, kinds: Any, *, size: float | None = None) -> None:  # noqa: ANN401 - Axes
    """Draw points [N, 2] in the colours of their kinds, in a mixed order so that no kind covers another."""
    N = len(places)
    order = np.random.default_rng(0).permutation(N)
    colours = np.array([light for light, _ in COLOURS])[np.asarray(kinds)]
    size = float(np.clip(60_000 / N, 3, 40)) if size is None else size
    alpha = 0.75 if N < 3_000 else 0.5
    axes.scatter(*places[order].T, s=size, c=colours[order], alpha=alpha, linewidths=0, rasterized=True)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(LINE)


def name_points(
    axes: Any,  # noqa: ANN401 - matplotlib's Axes
    places: Floats,
    labels: Sequence[str],
    rows: Iterable[int],
    *,
    n_marked: int = 0,
    at_most: int = NAMED,
) -> None:
    """Write names beside points where they cover no other name, those of the first `n_marked` rows in any case."""
    from matplotlib.patheffects import withStroke

    axes.autoscale_view()
    box = axes.get_window_extent()
    low, high = places.min(0), places.max(0)
    per_pixel = max((high - low) / (box.width, box.height))  # equal in both directions
    room, halo = Labels(scale=per_pixel * SIZE / 9.5), [withStroke(linewidth=2.2, foreground="white")]
    for i, row in enumerate(rows):
        name, (x, y) = labels[row].lstrip("␣") or labels[row], places[row]
        if not room.fits(x, y, name) and i >= n_marked:
            continue
        axes.annotate(
            name, (x, y), xytext=(3, 0), textcoords="offset points", va="center", color=INK, fontsize=SIZE,
            fontweight="bold" if i < n_marked else "normal", path_effects=halo, parse_math=False,
        )  # fmt: skip
        if len(room.boxes) >= max(at_most, n_marked):
            break


def _handles(kinds: Sequence[int], shown: Any) -> tuple[list[Any], list[str]]:  # noqa: ANN401 - counts
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], marker="o", linestyle="", color=COLOURS[kind][0], markersize=6) for kind in kinds]
    return handles, [f"{KINDS[kind]} ({shown[kind]:,})" for kind in kinds]
