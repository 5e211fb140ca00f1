"""The figures of a comparison in rows, what to know about them, and what they come to in a sentence."""

import math
from collections.abc import Iterator
from dataclasses import fields

from groundup.configs.generation import GenerationConfig
from groundup.planning.quantities import digits
from groundup.reports.comparison import Comparison, Reading
from groundup.reports.tables import Cell, Column, Table


def table_of(found: Comparison) -> Table:
    """Return figures in rows, and the models in columns."""
    titles = (("", False), (found.base, True), (found.tuned, True), ("change", True))
    rows: list[tuple[Cell, ...]] = []
    for reading in (found.domain, found.general):
        rows += [] if reading is None else _read_rows(reading, same_tokens=found.same_tokens)
    base, tuned = found.base_writing, found.tuned_writing
    for n in (1, 2):
        rows.append(_row(f"distinct-{n}", _fraction(base.distinct(n)), _fraction(tuned.distinct(n))))
    rows.append(_row("repeated in a text", _fraction(base.repeated), _fraction(tuned.repeated)))
    rows.append(_row("words a text", f"{base.n_words:.0f}", f"{tuned.n_words:.0f}"))
    n_texts = len(found.prompts)
    rows.append(_row("ended by themselves", f"{base.n_ended} of {n_texts}", f"{tuned.n_ended} of {n_texts}"))
    columns = tuple(Column(title=title, is_number=is_number) for title, is_number in titles)
    return Table(columns=columns, rows=tuple(rows))


def notes_of(found: Comparison) -> list[str]:
    """Return how the figures were found."""
    notes = []
    for reading in (found.domain, found.general):
        if reading is not None:
            of = reading.tuned
            notes.append(f"{reading.name}: {of.n_bytes:,} bytes, {of.n_tokens:,} tokens, read in windows of "
                         f"{found.context_length:,}.")  # fmt: skip
    if not found.same_tokens and (found.domain or found.general):
        notes.append("The models have different vocabularies: perplexities cannot be compared, bits per byte can.")
    notes.append("distinct-n: different runs of n words, of all runs of n. Repeated in a text: runs of four words that "
                 "it has had before. Both depend on the length of texts.")  # fmt: skip
    notes.append(f"Both drew with {settings(found.generation)}.")
    return notes


def summary(found: Comparison) -> str:
    """Return what was learned and what was forgotten in a sentence; empty where nothing was measured."""
    told = []
    for reading, where in ((found.domain, "the text that was learned"), (found.general, "other text")):
        if reading is None:
            continue
        base, tuned = reading.base.bits_per_byte, reading.tuned.bits_per_byte
        if found.same_tokens:
            base, tuned = reading.base.perplexity, reading.tuned.perplexity
        change = _change(base, tuned)
        told.append(
            f"on {where} ({reading.name}) {_number(tuned)} instead of {_number(base)}{change and f' ({change})'}"
        )
    figure = "perplexity" if found.same_tokens else "bits per byte"
    return f"{figure.capitalize()} of {found.tuned} beside {found.base}: {', '.join(told)}." if told else ""


def shown(text: str) -> str:
    r"""Return what a model wrote as it is shown: without the space between prompt and text, and never nothing.

    Example:
        >>> shown(" there was\n"), shown("")
        ('there was', '(nothing: it ended at once)')
    """
    return text.strip() or "(nothing: it ended at once)"


def settings(config: GenerationConfig) -> str:
    """Return the settings that matter, and those that are not the default.

    Example:
        >>> settings(GenerationConfig(top_p=0.9))
        'max_new_tokens=200, temperature=1.0, seed=0, top_p=0.9'
    """
    always = {
        "sample": ("max_new_tokens", "temperature", "seed"),
        "greedy": ("strategy", "max_new_tokens"),
        "beam": ("strategy", "max_new_tokens"),
    }[config.strategy]
    usual = GenerationConfig()
    changed = [one.name for one in fields(config) if getattr(config, one.name) != getattr(usual, one.name)]
    return ", ".join(f"{name}={getattr(config, name)}" for name in dict.fromkeys([*always, *changed]))


def _read_rows(reading: Reading, *, same_tokens: bool) -> Iterator[tuple[Cell, ...]]:
    base, tuned = reading.base, reading.tuned
    change = _change(base.perplexity, tuned.perplexity) if same_tokens else ""
    yield _row(f"perplexity, {reading.name}", _number(base.perplexity), _number(tuned.perplexity), change)
    bits = _change(base.bits_per_byte, tuned.bits_per_byte)
    yield _row(f"bits per byte, {reading.name}", f"{base.bits_per_byte:.3f}", f"{tuned.bits_per_byte:.3f}", bits)


def _row(name: str, base: str, tuned: str, change: str = "") -> tuple[Cell, ...]:
    return Cell(name), Cell(base), Cell(tuned), Cell(change)


def _change(before: float, after: float) -> str:
    """Return by how much a figure grew."""
    if not (math.isfinite(before) and math.isfinite(after) and before > 0):
        return ""
    change = after / before - 1
    return "±0.0%" if abs(change) < 0.0005 else f"{change:+.1%}".replace("-", "−")


def _number(value: float) -> str:
    return "∞" if math.isinf(value) else digits(value) if value < 1e7 else f"{value:.1e}"


def _fraction(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
