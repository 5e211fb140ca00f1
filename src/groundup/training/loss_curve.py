"""loss.png: training and validation loss over the steps of a run, with the lowest loss possible where it is known."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from groundup.configs.bands import Band
from groundup.training.metrics import read_metrics

INK, TRAIN, VALIDATION, FLOOR, BAND = "#24292f", "#8fb3d9", "#d1541f", "#4a7c59", "#f2c9a8"


def draw_loss_curve(
    metrics: Path,
    picture: Path,
    *,
    title: str,
    floor: float | None = None,
    bands: Sequence[Band] = (),
    per: str = "token",
) -> None:
    """Draw a run's metrics.jsonl; without any record, draw nothing.

    Args:
        metrics: the file to read.
        picture: the PNG to write.
        title: above the picture.
        floor: the lowest loss possible, in the unit of the losses.
        bands: validation losses to expect; those of steps that the run has reached are shaded.
        per: what a loss is the mean over.
    """
    records = read_metrics(metrics)
    train = [(r["step"], r["loss"]) for r in records if r["kind"] == "train"]
    validation = [r for r in records if r["kind"] == "validation"]
    if not train and not validation:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # half a second to import, and not for --help
    from matplotlib.figure import Figure
    from matplotlib.ticker import StrMethodFormatter

    figure = Figure(figsize=(8, 4.6), dpi=150, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_train(axes, train)
    _draw_validation(axes, validation)
    last = max([step for step, _ in train] + [r["step"] for r in validation])
    bands = [band for band in bands if band.step <= last]
    _draw_bands(axes, bands)
    if floor is not None:
        axes.axhline(
            floor, color=FLOOR, linewidth=1.3, linestyle=(0, (5, 3)), zorder=2, label=f"lowest possible {floor:.3f}"
        )
    shown = [r["loss"] for r in validation] + [edge for band in bands for edge in (band.low, band.high)]
    axes.set_ylim(*_limits([loss for _, loss in train], shown, floor))
    axes.set_xlim(left=0)
    axes.set_xlabel("step", color=INK)
    axes.set_ylabel(f"loss (nats per {per})" if per else "loss (nats)", color=INK)
    axes.set_title(title, loc="left", color=INK, fontsize=12, fontweight="bold", pad=10, parse_math=False)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#b5bcc4")
    axes.tick_params(colors=INK, length=3)
    _add_bits_per_byte(axes, validation)
    axes.legend(frameon=False, labelcolor=INK, loc="upper right")
    partial = picture.with_name(f".{picture.name}.partial")
    # The bytes that savefig writes, which draws all of it twice.
    canvas.print_png(partial)  # type: ignore[no-untyped-call]
    partial.replace(picture)


def _draw_train(axes: Any, train: Sequence[tuple[int, float]]) -> None:  # noqa: ANN401 - matplotlib's Axes
    if not train:
        return
    steps, losses = zip(*train, strict=True)
    if len(losses) < 20:
        axes.plot(steps, losses, color=TRAIN, linewidth=1.6, zorder=3, label="training")
        return
    axes.plot(steps, losses, color=TRAIN, linewidth=0.8, alpha=0.45, zorder=2)
    axes.plot(steps, smoothed(losses), color=TRAIN, linewidth=1.8, zorder=3, label="training")


def _draw_validation(axes: Any, validation: Sequence[dict[str, Any]]) -> None:  # noqa: ANN401 - matplotlib's Axes
    if not validation:
        return
    steps, losses = [r["step"] for r in validation], [r["loss"] for r in validation]
    best = min(range(len(losses)), key=losses.__getitem__)
    label = f"validation, best {losses[best]:.3f} at step {steps[best]:,}"
    size = 4.5 if len(steps) <= 60 else 0
    axes.plot(steps, losses, color=VALIDATION, linewidth=1.6, marker="o", markersize=size, zorder=4, label=label)
    axes.plot(steps[best], losses[best], "o", markersize=8.5, markerfacecolor="white", markeredgecolor=VALIDATION,
              markeredgewidth=1.8, zorder=5)  # fmt: skip


def _draw_bands(axes: Any, bands: Sequence[Band]) -> None:  # noqa: ANN401 - matplotlib's Axes
    """Shade what is expected as an upright bar at its step, wide enough to be seen around the curve's mark."""
    if not bands:
        return
    steps, lows, highs = zip(*((band.step, band.low, band.high) for band in bands), strict=True)
    axes.vlines(steps, lows, highs, color=BAND, linewidth=11, zorder=1.5, label="validation expected")


def _add_bits_per_byte(axes: Any, validation: Sequence[dict[str, Any]]) -> None:  # noqa: ANN401 - matplotlib's Axes
    """Add a second scale: the same text is scored each time, so bits per byte are the loss times a constant."""
    if not validation or not validation[-1].get("bits_per_byte") or not validation[-1]["loss"]:
        return
    factor = validation[-1]["bits_per_byte"] / validation[-1]["loss"]
    right = axes.secondary_yaxis("right", functions=(lambda loss: loss * factor, lambda bits: bits / factor))
    right.set_ylabel("bits per byte (validation)", color=INK)
    right.spines["right"].set_visible(False)
    right.tick_params(colors=INK, length=3)


def smoothed(values: Sequence[float]) -> list[float]:
    """Return the mean of each value and its neighbours, as many to the left as to the right: a curve without lag.

    Example:
        >>> smoothed([4.0, 2.0, 3.0, 1.0])
        [4.0, 3.0, 2.0, 1.0]
    """
    reach = max(1, len(values) // 50)
    result = []
    for i in range(len(values)):
        n = min(reach, i, len(values) - 1 - i)
        result.append(sum(values[i - n : i + n + 1]) / (2 * n + 1))
    return result


def _limits(train: Sequence[float], validation: Sequence[float], floor: float | None) -> tuple[float, float]:
    """Return the range to show: the steep fall of the first twentieth would flatten all that is worth seeing."""
    settled = [*train[len(train) // 20 :], *validation]
    top, bottom = max(settled), min([*settled, *([] if floor is None else [floor])])
    margin = 0.06 * (top - bottom) or math.ulp(top) + 0.1
    return bottom - margin, top + margin
