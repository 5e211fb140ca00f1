"""Two pictures of runs: quality against the parameters that learned, and validation loss over the steps."""

from typing import TYPE_CHECKING, Any

from groundup.configs.run_tasks import run_task
from groundup.reports.pictures import INK, PAGE, as_svg, colour, drawing, label_of, marker
from groundup.reports.run_report import AS_PERCENT, Group, measured_part, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT, LEGEND_ROW = 6.6, 3.9, 0.21
"""Inches."""


def quality_plot(group: Group) -> str | None:
    """Return quality against trainable parameters as SVG, a mark and error bar for each run; None for fewer than two.

    Quality is `group.main_metric`; runs that lack it, or the number of their trainable parameters, are left out.
    """
    metric = group.main_metric
    points = []
    for i, run in enumerate(group.runs):
        figures = (run.test.metrics if run.test else {}) if group.is_tested else run.best or {}
        if run.trainable and metric in figures:
            ends = run.test.intervals.get(metric) if run.test else None
            points.append((i, run.trainable, figures[metric], ends))
    if len(points) < 2:
        return None
    with drawing(WIDTH, HEIGHT + LEGEND_ROW * _legend_rows(len(points))) as (figure, axes):
        axes.set_xscale("log")
        for i, x, y, ends in points:
            if ends is not None:
                axes.vlines(x, *ends, color=colour(i), linewidth=1.6, alpha=0.65, zorder=2)
            axes.plot(x, y, marker(i), color=colour(i), markersize=8.5, markeredgecolor=PAGE, markeredgewidth=1.0,
                      linestyle="", label=label_of(group.names[i]), zorder=3)  # fmt: skip
        axes.set_xlabel("trainable parameters")
        _format_parameters(axes, [x for _, x, _, _ in points])
        if metric in AS_PERCENT:
            from matplotlib.ticker import PercentFormatter

            axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        bars = ", with 95% intervals" if any(ends for *_, ends in points) else ""
        axes.margins(x=0.12, y=0.12)
        _title(
            axes, f"{measured_part(group).capitalize() if group.is_tested else 'Validation'} {title_of(metric)}{bars}"
        )
        _legend(axes)
        return as_svg(figure)


def loss_plot(group: Group) -> str | None:
    """Return the validation loss of each run over its steps as SVG; None where no run was evaluated twice."""
    curves = [(i, [(one["step"], one["loss"]) for one in run.evaluations]) for i, run in enumerate(group.runs)]
    curves = [(i, curve) for i, curve in curves if curve]
    if not any(len(curve) > 1 for _, curve in curves):
        return None
    with drawing(WIDTH, HEIGHT + LEGEND_ROW * _legend_rows(len(curves))) as (figure, axes):
        from matplotlib.ticker import StrMethodFormatter

        for i, curve in curves:
            steps, losses = zip(*curve, strict=True)
            best = losses.index(min(losses))
            size = 0.0 if len(steps) > 40 else 4.0
            axes.plot(steps, losses, marker=marker(i), color=colour(i), linewidth=1.7, markersize=size, zorder=3,
                      label=label_of(group.names[i]))  # fmt: skip
            axes.plot(steps[best], losses[best], marker(i), markersize=8.5, markerfacecolor=PAGE, linestyle="",
                      markeredgecolor=colour(i), markeredgewidth=1.8, zorder=4)  # fmt: skip
        axes.set_xlabel("step")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        per = run_task(None if group.task == "train" else group.task).per
        _title(axes, f"Validation loss{f', nats per {per}' if per else ''}; the best one open")
        _legend(axes)
        return as_svg(figure)


def _title(axes: "Axes", text: str) -> None:
    axes.set_title(text, loc="left", color=INK, fontsize=11, fontweight="bold", pad=10)


def _legend(axes: "Axes") -> None:
    """Put the names below the axes, where they hide nothing."""
    handles, _ = axes.get_legend_handles_labels()
    columns = 2 if len(handles) > 1 else 1
    axes.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.17), ncols=columns, frameon=False, fontsize=9,
                handletextpad=0.5, columnspacing=1.5, borderaxespad=0)  # fmt: skip


def _legend_rows(n: int) -> int:
    return (n + 1) // 2


def _format_parameters(axes: Any, values: list[int]) -> None:  # noqa: ANN401 - matplotlib's Axes
    """Write 10k, 1M, 100M below a logarithmic axis that shows at least two of them."""
    from matplotlib.ticker import FuncFormatter, LogLocator

    if max(values) < 10 * min(values):  # else it may show no power of ten at all
        axes.set_xlim(min(values) / 4, max(values) * 4)
    axes.xaxis.set_major_locator(LogLocator(base=10))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.minorticks_off()


def _short(value: float) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
