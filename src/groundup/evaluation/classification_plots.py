"""A picture of a classifier's predictions: what is taken for what, and whether its probabilities can be believed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from groundup.evaluation.calibration import ReliabilityBins, expected_calibration_error, reliability_bins
from groundup.evaluation.classification import Counts, Floats, Labels, check, confusion_matrix
from groundup.evaluation.classification_text import shortened

INK, LINE, RIGHT, WRONG, QUIET = "#24292f", "#b5bcc4", "#8fb3d9", "#d1541f", "#e4e7eb"
MAX_WRITTEN = 12
"""With more labels than these the numbers would not be readable: then colours alone tell."""
MAX_NAMED = 40
"""With more labels than these, their names would not be, either."""
FEW = 10
"""A bin of fewer texts is drawn pale: its accuracy is mostly chance."""


def draw_classification(
    picture: Path, labels: Labels, probabilities: Floats, *, names: Sequence[str], title: str, what: str = "texts"
) -> None:
    """Draw the confusion matrix, beside it the reliability plot over the spread of confidence, into a PNG.

    Args:
        picture: the PNG to write; it is whole or not there.
        labels: what is right [N].
        probabilities: of each label [N, C].
        names: of the C labels.
        title: above the picture.
        what: was labelled.

    Raises:
        ValueError: what does not fit together.
    """
    labels, probabilities = check(labels, probabilities)
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second to import, and not for --help
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=(10, 4.8), layout=ConstrainedLayoutEngine(w_pad=0.12, wspace=0.06))
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, width_ratios=[1, 1], height_ratios=[3.2, 1])
    draw_confusion(figure.add_subplot(grid[:, 0]), confusion_matrix(labels, probabilities.argmax(1), len(names)), names)
    above = figure.add_subplot(grid[0, 1])
    bins = reliability_bins(labels, probabilities)
    _draw_reliability(above, bins, expected_calibration_error(labels, probabilities), what)
    _draw_spread(figure.add_subplot(grid[1, 1], sharex=above), bins, what)
    above.set_xlim(1 / len(names) if len(names) < 4 else 0, 1)  # no prediction is less sure than chance
    figure.suptitle(title, x=0.012, ha="left", color=INK, fontsize=12, fontweight="bold", parse_math=False)
    partial = picture.with_name(f".{picture.name}.partial")
    figure.savefig(partial, dpi=150, format="png")
    partial.replace(picture)


def draw_confusion(axes: Any, confusion: Counts, names: Sequence[str]) -> None:  # noqa: ANN401 - matplotlib's Axes
    """Draw how often each label was taken for each into `axes`, matplotlib's: counts [C, C], labels are rows.

    Shades are of the row, for rare labels are as interesting as common ones: blue where right, orange where wrong.
    """
    from matplotlib.colors import to_rgb

    n = len(names)
    share = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    tints = np.where(np.eye(n, dtype=bool)[..., None], to_rgb(RIGHT), to_rgb(WRONG))  # [C, C, 3]
    axes.imshow(1 - (1 - tints) * share[..., None] ** 0.5)  # the root makes a few mistakes in a hundred visible
    if n <= MAX_WRITTEN:
        for row, column in np.ndindex(n, n):
            if confusion[row, column]:
                text = f"{confusion[row, column]:,}"
                if n <= 5:
                    text += f"\n{100 * share[row, column]:.1f} %"
                axes.text(column, row, text, ha="center", va="center", color=INK, fontsize=11 if n <= 5 else 8,
                          linespacing=1.5)  # fmt: skip
    written = [shortened(name) for name in names] if n <= MAX_NAMED else []
    longest = max(map(len, written), default=0)
    slanted = longest > 9 or (n > 5 and longest > 2)
    axes.set_xticks(range(len(written)), written, rotation=45 if slanted else 0, ha="right" if slanted else "center",
                    rotation_mode="anchor" if slanted else None, parse_math=False)  # fmt: skip
    axes.set_yticks(range(len(written)), written, parse_math=False)
    axes.set_xticks(np.arange(1, n) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, n) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2 if n <= MAX_WRITTEN else 0)
    axes.tick_params(which="both", length=0, colors=INK, labelsize=10 if n <= MAX_WRITTEN else 6.5)
    axes.spines[:].set_color(LINE)
    axes.set_xlabel("predicted", color=INK)
    axes.set_ylabel("label", color=INK)


def _draw_reliability(
    axes: Any,  # noqa: ANN401 - matplotlib's Axes
    bins: ReliabilityBins,
    error: float,
    what: str,
) -> None:
    axes.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=1.2, linestyle=(0, (5, 3)), zorder=2)
    width = 1 / len(bins.counts)
    many = bins.counts >= FEW
    for chosen, strength in ((many, 1.0), (~many & (bins.counts > 0), 0.3)):
        left = np.arange(len(bins.counts))[chosen] * width
        confidence, accuracy = bins.confidence[chosen], bins.accuracy[chosen]
        axes.bar(left, accuracy, width, align="edge", color=RIGHT, edgecolor="white", linewidth=1, alpha=strength)
        axes.vlines(confidence, accuracy, confidence, color=WRONG, linewidth=2, zorder=3, alpha=strength)
        axes.plot(confidence, accuracy, "o", color=INK, markersize=3, zorder=4, alpha=strength)
    axes.bar(0, 0, color=RIGHT, label="accuracy")
    axes.plot([], [], color=WRONG, linewidth=2, label="gap to confidence")
    if (~many & (bins.counts > 0)).any():
        axes.bar(0, 0, color=RIGHT, alpha=0.3, label=f"fewer than {FEW} {what}")
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("accuracy", color=INK)
    axes.set_title(f"expected calibration error {error:.3f}", loc="left", color=INK, fontsize=10, pad=21)
    legend = axes.legend(frameon=False, labelcolor=INK, fontsize=8.5, ncols=3, loc="lower left", borderpad=0,
                         bbox_to_anchor=(-0.015, 0.99), handlelength=1.2, columnspacing=1.4)  # fmt: skip
    legend.set_in_layout(False)  # the title's distance makes room for it
    axes.tick_params(labelbottom=False)
    _plain(axes)


def _draw_spread(axes: Any, bins: ReliabilityBins, what: str) -> None:  # noqa: ANN401 - matplotlib's Axes
    width = 1 / len(bins.counts)
    axes.bar(np.arange(len(bins.counts)) * width, bins.counts / bins.counts.sum(), width, align="edge", color=LINE,
             edgecolor="white", linewidth=1)  # fmt: skip
    axes.set_xlabel("confidence: probability of the predicted label", color=INK)
    axes.set_ylabel(what, color=INK)
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.locator_params(axis="y", nbins=3)
    _plain(axes)


def _plain(axes: Any) -> None:  # noqa: ANN401 - matplotlib's Axes
    axes.grid(axis="y", color=QUIET, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=INK, length=3)
