"""The events of torch's profiler, each with the module, the kind of work and the pass it belongs to.

An operation of the forward pass lies inside the range of its module. One of the backward pass lies in no module: it
carries the number of the forward operation whose gradient it computes, and so belongs where that one does.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

RANGE = "groundup: "
"""How the names of our own ranges begin, in the trace too."""
MODULE, DATA, OPTIMIZER = f"{RANGE}module ", f"{RANGE}data", f"{RANGE}optimizer"
BACKWARD = "autograd::engine::evaluate_function"
"""How the outermost event of each backward operation begins."""
OUTSIDE = "logits, loss and the rest"
"""What lies in no module: the product with the output matrix, the loss, gradients that are added up and clipped."""
BETWEEN = "between operations"
"""Time in which no operation ran: Python, the profiler, waiting."""

KINDS: dict[str, tuple[str, ...]] = {
    "attention": ("scaled_dot_product", "ScaledDotProduct"),
    "norms": ("layer_norm", "LayerNorm", "rms_norm", "RmsNorm", "RMSNorm"),
    "activations": ("aten::gelu", "GeluBackward", "aten::silu", "SiluBackward", "aten::relu", "ReluBackward"),
    "loss": ("cross_entropy", "CrossEntropy", "nll_loss", "NllLoss", "log_softmax", "LogSoftmax"),
    "matrix products": ("aten::linear", "aten::mm", "aten::addmm", "aten::bmm", "aten::matmul", "MmBackward", "mkldnn"),
}
"""What the name of an event, or of one around it, contains, by the kind of work; the first that fits counts."""


class Event(Protocol):
    """What is read of torch's FunctionEvent."""

    name: str
    cpu_parent: Any
    sequence_nr: int
    self_cpu_time_total: float
    self_device_time_total: float


@dataclass(frozen=True, kw_only=True)
class Span:
    """One event, without the events inside it."""

    name: str
    """Its own name."""
    module: str
    """The module it belongs to, all layers under one name; or data, optimizer, or OUTSIDE."""
    kind: str
    """The kind of work."""
    is_backward: bool
    """Whether it computes a gradient."""
    seconds: float
    """Its time, on the GPU where there is one."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """One row of a profile; everything is of one step."""

    name: str
    """A kind, a module or an operation."""
    forward: float
    """Seconds in the forward pass, and in what is neither pass."""
    backward: float
    """Seconds in the backward pass."""
    calls: float
    """Events."""

    @property
    def seconds(self) -> float:
        """Both."""
        return self.forward + self.backward


class Spans:
    """The events of `n_steps` steps, sorted out.

    Args:
        events: from torch.profiler, in the order in which they began.
        n_steps: over which all figures are averaged.
        on_device: count the time on the GPU instead of the CPU's.
    """

    def __init__(self, events: Iterable[Event], n_steps: int, *, on_device: bool = False) -> None:
        self.n_steps = n_steps
        chains = [(event, _chain(event)) for event in events]
        owners = _owners(chains)
        self.spans = [_span(event, chain, owners, on_device) for event, chain in chains]

    def total(self, key: Callable[[Span], str]) -> list[Share]:
        """Add up the spans that have the same `key`, the most time first; "" is left out."""
        groups: dict[str, list[Span]] = defaultdict(list)
        for span in self.spans:
            groups[key(span)].append(span)
        shares = [
            Share(
                name=name,
                forward=sum(span.seconds for span in spans if not span.is_backward) / self.n_steps,
                backward=sum(span.seconds for span in spans if span.is_backward) / self.n_steps,
                calls=len(spans) / self.n_steps,
            )
            for name, spans in groups.items()
            if name
        ]
        return sorted(shares, key=lambda share: -share.seconds)


def by_kind(spans: Spans, step: float) -> list[Share]:
    """Return the time by kind of work, and what is left of `step` seconds, BETWEEN operations."""
    found = spans.total(lambda span: span.kind)
    rest = step - sum(share.seconds for share in found)
    return [*found, Share(name=BETWEEN, forward=max(0.0, rest), backward=0.0, calls=0.0)]


def by_module(spans: Spans) -> list[Share]:
    """Return the time by module, each without the modules inside it."""
    return spans.total(lambda span: span.module)


def by_operation(spans: Spans) -> list[Share]:
    """Return the time by torch operation, each without those it calls."""
    return spans.total(lambda span: "" if span.name.startswith((RANGE, BACKWARD)) else span.name)


def _chain(event: Event) -> list[Event]:
    """Return the event and all around it, the innermost first."""
    chain = [event]
    while (parent := chain[-1].cpu_parent) is not None:
        chain.append(parent)
    return chain


def _owners(chains: list[tuple[Event, list[Event]]]) -> dict[int, str]:
    """Return, by the number of each forward operation, the module it lies in.

    An operation that needs no gradient carries the number of the next that does, so the last one to carry it counts.
    """
    return {
        event.sequence_nr: _module(chain)
        for event, chain in chains
        if event.sequence_nr >= 0 and not chain[-1].name.startswith(BACKWARD)
    }


def _module(chain: list[Event]) -> str:
    for event in chain:
        if event.name.startswith(MODULE):
            return event.name.removeprefix(MODULE)
        if event.name.startswith(RANGE):
            return event.name.removeprefix(RANGE)
    return OUTSIDE


def _span(event: Event, chain: list[Event], owners: dict[int, str], on_device: bool) -> Span:
    outermost = chain[-1]
    is_backward = outermost.name.startswith(BACKWARD)
    module = owners.get(outermost.sequence_nr, OUTSIDE) if is_backward else _module(chain)
    microseconds = event.self_device_time_total if on_device else event.self_cpu_time_total
    return Span(
        name=event.name,
        module=module,
        kind=_kind(chain, module),
        is_backward=is_backward,
        seconds=microseconds / 1e6,
    )


def _kind(chain: list[Event], module: str) -> str:
    if module in ("data", "optimizer"):
        return module
    if any(event.name.startswith("Optimizer.") for event in chain):
        return "optimizer"
    for kind, marks in KINDS.items():
        if any(mark in event.name for event in chain for mark in marks):
            return kind
    return "other"
