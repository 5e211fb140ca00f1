"""Pictures of what a model makes of images: what is taken for what, and the images it is wrong about.

Shapes: M images, H rows, W columns, N classes. A picture is an array of colours, uint8 [height, width, 3].
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.evaluation.classification import Counts, Floats, Labels, check, confusion_matrix
from groundup.evaluation.classification_plots import INK, QUIET, WRONG, draw_confusion
from groundup.evaluation.classification_text import shortened

Picture = npt.NDArray[np.uint8]
ROWS, COLUMNS = 4, 6
"""Images in a picture of mistakes."""
PIXELS_PER_INCH = 100


def worst_first(labels: Labels, probabilities: Floats) -> Counts:
    """Return the order of images in which mistakes come first, each by how unlikely the right class was said to be.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2]])
        >>> worst_first(np.array([0, 0, 0, 0]), probabilities).tolist()
        [2, 1, 3, 0]
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    return np.lexsort((of_label, probabilities.argmax(axis=1) == labels)).astype(np.int64)


def confusion_picture(labels: Labels, probabilities: Floats, names: Sequence[str]) -> Picture:
    """Draw how often each class was taken for each.

    Args:
        labels: what is right [M].
        probabilities: of each class [M, N].
        names: of the N classes.

    Raises:
        ValueError: what does not fit together.

    Example:
        >>> confusion_picture(np.array([0, 1]), np.eye(2), ["ring", "stroke"]).shape
        (520, 560, 3)
    """
    labels, probabilities = check(labels, probabilities)
    figure = _figure(5.6, 5.2)
    confusion = confusion_matrix(labels, probabilities.argmax(1), len(names))
    axes = figure.add_subplot()
    draw_confusion(axes, confusion, names)
    wrong = int(confusion.sum() - np.trace(confusion))
    axes.set_title(_told(wrong, len(labels)), loc="left", color=INK, fontsize=11, fontweight="bold")
    return _pixels(figure)


def mistakes_picture(
    images: npt.NDArray[np.uint8], labels: Labels, probabilities: Floats, names: Sequence[str]
) -> Picture:
    """Draw the worst mistakes, each with what it is and what it was taken for; then what was nearly wrong.

    Args:
        images: 0 is paper and 255 ink, [M, H, W].
        labels: what is right [M].
        probabilities: of each class [M, N].
        names: of the N classes.

    Raises:
        ValueError: what does not fit together.

    Example:
        >>> mistakes_picture(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), np.eye(2), ["ring", "stroke"]).shape
        (580, 720, 3)
    """
    labels, probabilities = check(labels, probabilities)
    said = probabilities.argmax(axis=1)
    figure = _figure(7.2, 5.8)
    axes = figure.add_subplot()
    height, width = images.shape[1:]
    row, column = height * 1.45, width * 1.25  # below each image there is room for two lines
    for place, i in enumerate(worst_first(labels, probabilities)[: ROWS * COLUMNS].tolist()):
        left, top = place % COLUMNS * column, place // COLUMNS * row
        # extent: pixels are squares around whole numbers; rows count downwards
        axes.imshow(images[i], cmap="gray_r", vmin=0, vmax=255, extent=(left, left + width, top + height, top))
        is_wrong = bool(said[i] != labels[i])
        told = f"{shortened(names[labels[i]])}, said {shortened(names[said[i]])}\n{probabilities[i, said[i]]:.0%} sure"
        axes.text(left + width / 2, top + height * 1.04, told, ha="center", va="top", fontsize=8.5, linespacing=1.25,
                  color=WRONG if is_wrong else INK, parse_math=False)  # fmt: skip
        axes.add_patch(_frame(left, top, width, height, WRONG if is_wrong else QUIET))
    axes.set_xlim(-0.5, COLUMNS * column)
    axes.set_ylim(ROWS * row, -0.5)
    axes.set_axis_off()
    wrong = int((said != labels).sum())
    title = f"{_told(wrong, len(labels))}: the worst first, then what was nearly wrong"
    axes.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold")
    return _pixels(figure)


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture as a PNG; it is whole or not there."""
    from matplotlib.image import imsave

    partial = path.with_name(f".{path.name}.partial")
    try:
        imsave(partial, picture, format="png")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # of one that failed


def _told(wrong: int, n: int) -> str:
    """Say how many are wrong.

    Example:
        >>> _told(12, 1_500), _told(0, 8)
        ('12 of 1,500 wrong (0.8 %)', 'none of 8 wrong')
    """
    return f"{wrong:,} of {n:,} wrong ({100 * wrong / n:.1f} %)" if wrong else f"none of {n:,} wrong"


def _figure(width: float, height: float) -> Any:  # noqa: ANN401 - matplotlib's Figure
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second to import, and not for --help
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=PIXELS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _frame(left: float, top: float, width: float, height: float, color: str) -> Any:  # noqa: ANN401 - matplotlib's
    from matplotlib.patches import Rectangle

    return Rectangle((left, top), width, height, fill=False, edgecolor=color, linewidth=1.2)


def _pixels(figure: Any) -> Picture:  # noqa: ANN401 - matplotlib's Figure
    figure.canvas.draw()
    return np.array(np.asarray(figure.canvas.buffer_rgba())[..., :3])
