"""What one step looked like from inside: layer by layer, the batch's text, and what broke if something did."""

import math
import textwrap
from dataclasses import asdict, dataclass, field

MOST_LAYERS = 32
"""Rows of the table in a terminal; the layers between are left out, the one that broke never."""
MOST_TEXT = 8
"""Lines of the batch in a terminal; the report in the run's folder has more."""
ARROW = "  <- first"
"""Marks the layer that broke."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """Where the first number came from that is not finite."""

    phase: str
    """forward, loss, backward, norm (all gradients are finite, their norm is not), or none (it did not come again)."""
    module: str
    """Name of the module, "" for the model itself or for none."""
    what: str
    """The module and what it did, in one sentence without a full stop."""
    reason: str
    """What was known about its inputs and weights, in one sentence without a full stop."""
    advice: str
    """What to do."""
    micro_batch: int = 0
    """Which of the step's micro-batches, from 1; 0 when it is none in particular."""
    rows: tuple[int, ...] = ()
    """Its rows, from 1, that broke. Empty: all of them, or it is not known."""
    weights: str = ""
    """Which weights were not finite before the step already, so that it is not to blame. Empty: all were finite."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer in the step: a block, an embedding, a norm."""

    name: str
    """As in the names of the parameters: blocks.3, token_embedding."""
    gradient_norm: float
    """Norm of the finite entries of its gradient, before clipping."""
    n_values: int
    """Entries of its gradient."""
    n_nan: int
    """Entries of its gradient that are NaN."""
    n_infinite: int
    """Entries of its gradient that are infinite."""
    largest_output: float | None
    """Largest size of any output inside it, NaN if there was one. None: nothing in it was called as a module."""


@dataclass(frozen=True, kw_only=True)
class StepReport:
    r"""One step, taken apart.

    Example:
        >>> layer = Layer(name="blocks.0", gradient_norm=0.5, n_values=8, n_nan=0, n_infinite=0, largest_output=3.25)
        >>> report = StepReport(step=7, loss=2.5, gradient_norm=0.5, learning_rate=1e-3, layers=(layer,))
        >>> print("\n".join(report.lines()))
        step 7 is healthy: loss and gradients are finite
        <BLANKLINE>
        loss  2.5        gradient norm  0.5        learning rate  0.001
        <BLANKLINE>
        layer     gradient norm  largest output
        blocks.0            0.5            3.25
    """

    step: int
    """Numbered as in metrics.jsonl: step N is the one after which N steps have been taken."""
    loss: float
    """Mean over all targets of the step, in nats."""
    gradient_norm: float
    """Global norm before clipping."""
    learning_rate: float
    """What the update of the step uses."""
    layers: tuple[Layer, ...]
    """In the order of the forward pass."""
    cause: Cause | None = None
    """What broke. None: nothing, the step is healthy."""
    n_micro_batches: int = 1
    """Parts that the step's batch was cut into."""
    outputs: dict[str, float] = field(default_factory=dict)
    """Largest size of the output of each module, NaN if there was one, by name, in the order of the forward pass."""
    text: str = ""
    """The micro-batch that broke, or the first one, as the task describes it."""

    def headline(self) -> str:
        """Say in one line what the step was like."""
        if self.cause is None:
            return f"step {self.step:,} is healthy: loss and gradients are finite"
        if self.cause.phase == "none":
            return f"step {self.step:,} was not finite, and is when computed again"
        found = "the loss" if not math.isfinite(self.loss) else "the gradient"
        return f"step {self.step:,}: {found} is not finite"

    def lines(self, *, width: int = 100, full: bool = False) -> list[str]:
        """Lay the report out for a terminal of `width` columns; `full` leaves nothing out, for a file."""
        found = [self.headline()]
        if self.cause is not None:
            told = (("found", self.cause.what), ("why", self.cause.reason), ("do", self.cause.advice))
            found += ["", *(line for label, text in told for line in _labelled(label, text, width))]
        figures = (("loss", self.loss), ("gradient norm", self.gradient_norm), ("learning rate", self.learning_rate))
        found += ["", "".join(f"{name}  {_figure(value):<11}" for name, value in figures).rstrip(), ""]
        found += self._table(len(self.layers) if full else MOST_LAYERS)
        if self.text:
            rows = self.text.split("\n")
            shown = rows if full else [_cut(row, width - 2) for row in self._rows_that_broke(rows)[:MOST_TEXT]]
            left = len(rows) - len(shown)
            found += ["", f"batch{self._which()}", *(f"  {row}" for row in shown)]
            found += [f"  … {left} more"] if left else []
        return found

    def document(self) -> dict[str, object]:
        """Return the report as JSON can hold it: a number that is not finite is the text nan, inf or -inf."""
        return {"format_version": 1, **{name: _encodable(value) for name, value in asdict(self).items()}}

    def _rows_that_broke(self, rows: list[str]) -> list[str]:
        """Return those of the batch's rows that broke, or all of them."""
        broken = () if self.cause is None else self.cause.rows
        return [rows[i - 1] for i in broken if i <= len(rows)] or rows

    def _which(self) -> str:
        number = max(1, 0 if self.cause is None else self.cause.micro_batch)
        return f" (micro-batch {number} of {self.n_micro_batches})" if self.n_micro_batches > 1 else ""

    def _table(self, most: int) -> list[str]:
        broken = None if self.cause is None or self.cause.phase == "none" else layer_of(self.cause.module)
        rows = [
            (x.name, _gradient(x), "" if x.largest_output is None else _figure(x.largest_output)) for x in self.layers
        ]
        titles = ("layer", "gradient norm", "largest output")
        widths = [max(len(row[i]) for row in (titles, *rows)) for i in range(3)]
        keep = _ends_and(len(rows), most, [i for i, row in enumerate(rows) if row[0] == broken])
        told = [_row(titles, widths)]
        for i, row in enumerate(rows):
            if i in keep:
                told.append(_row(row, widths) + (ARROW if row[0] == broken else ""))
            elif i - 1 in keep:
                told.append("…")
        return told


def layer_of(name: str) -> str:
    """Return the layer that a module belongs to: its first numbered part, else its first part.

    Example:
        >>> [layer_of(name) for name in ("blocks.3.attention.query", "blocks.3", "token_embedding", "0", "")]
        ['blocks.3', 'blocks.3', 'token_embedding', '0', '']
    """
    parts = name.split(".")
    numbered = next((i for i, part in enumerate(parts) if part.isdecimal()), 0)
    return ".".join(parts[: numbered + 1])


def larger(a: float, b: float) -> float:
    """Return the larger of two sizes, NaN if either is: Python's max would depend on their order.

    Example:
        >>> larger(1.0, math.nan), larger(math.inf, 2.0)
        (nan, inf)
    """
    return math.nan if math.isnan(a) or math.isnan(b) else max(a, b)


def _labelled(label: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=f"  {label:<7}", subsequent_indent=" " * 9)


def _gradient(layer: Layer) -> str:
    bad = [f"{n:,} {what}" for n, what in ((layer.n_nan, "NaN"), (layer.n_infinite, "infinite")) if n]
    if not bad:
        return _figure(layer.gradient_norm)
    if layer.n_values in (layer.n_nan, layer.n_infinite):
        return f"all {layer.n_values:,} values {bad[0].rpartition(' ')[2]}"
    return f"{', '.join(bad)} of {layer.n_values:,} values"


def _row(cells: tuple[str, str, str], widths: list[int]) -> str:
    return f"{cells[0]:<{widths[0]}}  {cells[1]:>{widths[1]}}  {cells[2]:>{widths[2]}}".rstrip()


def _ends_and(count: int, most: int, also: list[int]) -> set[int]:
    """Return which of `count` rows to show: the first and the last ones, and `also`."""
    if count <= most:
        return set(range(count))
    return {*range(most // 2), *range(count - most // 2, count), *also}


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else line[: width - 1] + "…"


def _figure(value: float) -> str:
    return f"{value:.4g}"


def _encodable(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _encodable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(one) for one in value]
    return value
