"""What quantizing a model saved and what it cost: the figures in rows, how they were found, and a sentence."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from groundup.configs.quantization import QuantizationConfig
from groundup.evaluation.degradation import Degradation
from groundup.evaluation.layer_errors import LayerError
from groundup.evaluation.precision_search import Choice
from groundup.evaluation.sensitivity import Sensitivity
from groundup.evaluation.throughput import Throughput
from groundup.planning.quantities import digits, in_bytes, in_time
from groundup.reports.run_report import in_share
from groundup.reports.tables import MISSING, Cell, Column, Table

WORST = 6
"""Layers that are named because their error is the largest."""
SHARED_BY = {"group": "32 neighbours", "channel": "row", "tensor": "matrix"}
"""What has a scale of its own in 8 bits, in words."""
COSTLIEST = 20
"""Layers of a search that are shown: those that come first are the ones that matter."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A search for layers to keep in more bits."""

    most_increase: float
    """What was allowed."""
    costs: tuple[Sensitivity, ...]
    """What each layer costs alone, the most costly per byte first."""
    choice: Choice
    """Layers that are finer than the others, and what was measured with them."""
    finer: Literal["int8", "float"]
    """What they are: in 8 bits where the others have 4, or as they were."""
    n_tokens: int
    """Tokens on which the choice was measured: those behind the ones that judge."""


@dataclass(frozen=True, kw_only=True)
class QuantizationReport:
    """A model before and after."""

    model: str
    """Name of the model."""
    config: QuantizationConfig
    """What was done; a search has added to `skip`."""
    n_parameters: int
    """Numbers in the model."""
    bytes_before: int
    """Its weights in memory."""
    bytes_after: int
    """Its weights in memory, and in the file, now."""
    degradation: Degradation
    """Both on one text."""
    text: str
    """What that text is."""
    context_length: int
    """Tokens of a window in which it was read."""
    calibration: str | None
    """What was read to quantize. None: nothing."""
    errors: tuple[LayerError, ...]
    """Of each quantized layer."""
    speeds: tuple[Throughput, Throughput] | None
    """Before and after, as text is drawn. None: not measured."""
    seconds: float
    """That quantizing took."""
    search: Search | None = None
    """What decided which layers were left."""
    widened: str | None = None
    """Formats of few bits that the model came in, and was widened from. None: it came in floats."""


def title_of(found: QuantizationReport) -> str:
    """Return a heading."""
    return f"{found.model} in {found.config.to}"


def table_of(found: QuantizationReport) -> Table:
    """Return the figures before and after."""
    lost = found.degradation
    sizes = found.bytes_before, found.bytes_after
    rows = [
        _row("size", in_bytes(sizes[0]), in_bytes(sizes[1]), _times(sizes[1] / sizes[0])),
        _row("bits a parameter", *(f"{8 * n / found.n_parameters:.1f}" for n in sizes)),
        _row("perplexity", _perplexity(lost.before.perplexity), _perplexity(lost.after.perplexity),
             _signed(lost.increase), _interval(lost)),
        _row("bits per byte", f"{lost.before.bits_per_byte:.3f}", f"{lost.after.bits_per_byte:.3f}"),
        _row("KL divergence, nats a token", MISSING, MISSING, f"{lost.kl:.2g}"),
        _row("same most likely token", MISSING, MISSING, in_share(lost.agreement)),
        _row("largest difference of a logit", MISSING, MISSING, digits(lost.largest_logit_difference)),
    ]  # fmt: skip
    if found.speeds is not None:
        before, after = found.speeds
        for name, one, other in (
            ("reading, tokens/s", before.prefill, after.prefill),
            ("writing, tokens/s", before.decode, after.decode),
        ):
            rows.append(_row(name, digits(one), digits(other), _times(other / one)))
    columns = (Column(title="", is_number=False), *(Column(title=title) for title in ("before", "after", "change")))
    return Table(columns=columns, rows=tuple(rows))


def worst_layers(found: QuantizationReport) -> Table:
    """Return the layers whose outputs changed most."""
    worst = sorted(found.errors, key=lambda one: -one.error)[:WORST]
    rows = (
        (Cell(one.name), Cell(in_share(one.error)), Cell(in_bytes(one.n_bytes)), Cell(in_bytes(one.n_bytes_quantized)))
        for one in worst
    )
    columns = (
        Column(title="layer", is_number=False),
        Column(title="error"),
        Column(title="before"),
        Column(title="after"),
    )
    return Table(columns=columns, rows=tuple(rows))


def search_table(search: Search) -> Table:
    """Return what the layers that matter most cost, and which of them are finer now."""
    left = set(search.choice.names)
    shown = search.costs[:COSTLIEST]
    rows = (
        (Cell(one.name), Cell(digits(1e3 * one.kl)), Cell(in_bytes(one.n_bytes_saved)),
         Cell(digits(1e6 * one.kl_per_megabyte)), Cell(search.finer if one.name in left else ""))
        for one in shown
    )  # fmt: skip
    titles = (("layer", False), ("KL alone, mnat", True), ("saves", True), ("µnat per MB", True), ("", False))
    columns = tuple(Column(title=title, is_number=is_number) for title, is_number in titles)
    return Table(columns=columns, rows=tuple(rows))


def search_summary(search: Search) -> str:
    """Return in a sentence what a search came to."""
    tried = ", ".join(f"{_signed(rise)} with {n}" for n, rise in sorted(search.choice.tried.items()))
    n, of = len(search.choice.names), len(search.costs)
    how = "in 8 bits" if search.finer == "int8" else "as they were"
    done = f"{n} of {of} layers are left {how}" if n else "no layer needs more bits"
    return (
        f"For perplexity to rise by at most {search.most_increase:.2%}, {done}. Measured on the "
        f"{search.n_tokens:,} tokens behind those that judge: {tried}. KL alone: with only this layer "
        "quantized, in thousandths of a nat a token; beside it what a megabyte costs, in millionths."
    )


def notes_of(found: QuantizationReport) -> list[str]:
    """Return how the figures were found."""
    lost = found.degradation
    notes = [
        f"{settings(found)}; took {in_time(found.seconds)}.",
        f"Read to measure: {found.text}, {lost.before.n_tokens:,} tokens in windows of {found.context_length:,}; "
        + (f"too few for an interval: {lost.n_windows}." if lost.increase_interval is None
           else f"the 95% interval is of {lost.n_windows:,} windows, each read by both."),
    ]  # fmt: skip
    if found.calibration is not None:
        notes.append(f"Read to {'quantize' if found.config.needs_text else 'search'}: {found.calibration}.")
    if found.widened is not None:
        notes.append(f"The file keeps its matrices in {found.widened}: they were widened to float32, which is what "
                     "stands before here, and rounded anew.")  # fmt: skip
    notes.append("KL divergence: by how much the loss would rise on text that the model before had written.")
    notes.append("Error of a layer: ‖Ŵx − Wx‖ / ‖Wx‖, with what the layer before is given as x.")
    if found.speeds is not None:
        one = found.speeds[0]
        notes.append(f"Speed: {one.n_prompt} tokens read, then {one.n_drawn} written one by one, both models in turn, "
                     "as groundup generate runs them on this machine; medians.")  # fmt: skip
    return notes


def summary(found: QuantizationReport) -> str:
    """Return in a sentence what was saved and what it cost."""
    lost = found.degradation
    size = f"{_times(found.bytes_after / found.bytes_before)} the bytes"
    interval = _interval(lost)
    told = f"perplexity {_signed(lost.increase)}{interval and f' ({interval})'}"
    speed = (
        "" if found.speeds is None else f", writing {_times(found.speeds[1].decode / found.speeds[0].decode)} as fast"
    )
    return f"{size}, {told}{speed}."


def figures_of(found: QuantizationReport) -> dict[str, Any]:
    """Return what was measured as JSON holds it: what is not finite is null."""
    lost = found.degradation
    figures = {
        "model": found.model,
        "text": found.text,
        "n_tokens": lost.before.n_tokens,
        "context_length": found.context_length,
        "bytes": [found.bytes_before, found.bytes_after],
        "perplexity": [lost.before.perplexity, lost.after.perplexity],
        "increase": lost.increase,
        "increase_interval": None if lost.increase_interval is None else list(lost.increase_interval),
        "kl": lost.kl,
        "agreement": lost.agreement,
        "largest_logit_difference": lost.largest_logit_difference,
        "seconds": found.seconds,
        "layers": {one.name: one.error for one in found.errors},
    }
    if found.speeds is not None:
        figures["prefill"], figures["decode"] = ([getattr(one, kind) for one in found.speeds]
                                                 for kind in ("prefill", "decode"))  # fmt: skip
    if found.search is not None:
        search = found.search
        figures["search"] = {
            "most_increase": search.most_increase,
            "increase": search.choice.increase,
            "n_tokens": search.n_tokens,
            "finer": dict.fromkeys(search.choice.names, search.finer),
        }
    finite: dict[str, Any] = _finite(figures)
    return finite


def settings(found: QuantizationReport) -> str:
    """Return what was done to the weights, in words."""
    config = found.config
    if config.to == "int4":
        method = {"round": "rounded to nearest", "fitted": "fitted by least squares", "gptq": "GPTQ"}[config.method]
        words = [f"int4, {method}, groups of {config.group_size}"]
        words += ["activation-aware"] if config.activation_aware else []
    else:
        words = [f"int8, a scale for each {SHARED_BY[config.shared_by]}"]
        words += [] if config.symmetric else ["affine"]
        words += [] if config.activations == "none" else [f"{config.activations} activations"]
    words += [] if config.embeddings else ["embeddings as they were"]
    words += [f"{len(config.skip)} skipped"] if config.skip else []
    finer = found.search.choice.names if found.search is not None and found.search.finer == "int8" else ()
    words += [f"{len(finer)} layers in int8"] if finer else []
    return ", ".join(words)


def _row(name: str, before: str, after: str, change: str = MISSING, note: str = "") -> tuple[Cell, ...]:
    return Cell(name), Cell(before), Cell(after), Cell(change, note)


def _perplexity(value: float) -> str:
    return f"{value:,.3f}" if value < 1e5 else f"{value:.2e}"


def _interval(lost: Degradation) -> str:
    return "" if lost.increase_interval is None else " to ".join(map(_signed, lost.increase_interval))


def _signed(part: float) -> str:
    """Return a change in percent.

    Example:
        >>> _signed(0.0123), _signed(-0.0004), _signed(2.5), _signed(0.000001)
        ('+1.23%', '−0.04%', '+250%', '±0.00%')
    """
    if abs(part) < 0.00005:
        return "±0.00%"
    return (f"{part:+.2%}" if abs(part) < 0.995 else f"{part:+,.0%}").replace("-", "−")


def _finite(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _times(ratio: float) -> str:
    return f"{ratio:.2f}×"
