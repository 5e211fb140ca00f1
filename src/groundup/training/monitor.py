"""Watches a run from inside: spikes of the loss, layers that are dead or explode, updates out of proportion."""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from groundup.configs.training import TrainConfig
from groundup.training.learned import is_learned
from groundup.training.loss_spikes import WINDOW, LossSpikes
from groundup.training.step_report import layer_of

Kind = Literal["spike", "rising", "dead", "exploding", "update_too_large", "update_too_small"]
"""What an advice is about."""

EARLY_LOOKS = (8, 16, 32)
"""Steps that are looked at besides the multiples of watch_every, so that a layer that was dead from the start is named
soon. Not the very first ones: Adam's moments begin at zero, and so may the projections that write into the residual
stream, which leaves the others without a gradient at first."""
RISE = 5.0
"""Deviations by which the median loss must be above the lowest it has been, for the run to be called worse than it was:
medians of 128 losses differ by 0.1 of them by chance."""
QUIET_STEPS = 1_000
"""Steps before the same is said about the same module again."""
DEAD_LOOKS, LOOKS = 3, 2
"""Looks in a row that a layer must be dead, or anything else be out of range, before it is said: one batch proves
little."""
VANISHING = 1e-6
"""A matrix is as good as dead with gradients this much smaller than those of the median matrix (root mean square).
Healthy runs of the recipes have 4e-3 and more, and 1e-4 while attention is saturated by far too high a rate."""
EXPLODING, LARGEST_BEFORE = 100.0, 10.0
"""A layer explodes with a gradient norm this many times that of the median layer; the recipes stay below 4, but for the
embedding of 50,257 tokens, which has 20 times it for a while.

Layers need not be alike: adapters begin at zero, and so nearly do their gradients, while a new head above them has 221
times the norm of the median one in a run that learns well. So a layer is held against what it has had before, too: it
explodes with this many times its own least excess over the median, of which at most LARGEST_BEFORE counts."""
LARGEST_MEDIAN, LARGE_MEDIAN, LARGEST = 0.3, 0.02, 0.5
"""Updates too large, as a fraction of the weights (both as root mean square): for the median matrix at any time, for it
while the loss does not fall, and for one matrix alone.

About 1e-3 is a common rule for large models. A ratio proves little by itself, for weights grow until their updates are
small beside them: shakespeare-char has 0.01, tales 0.02 to 0.04 in its first 300 steps, and learns; shakespeare-char
with a rate 100 times too high has 0.03 to 0.05, and does not. So large updates are too large when they do not pay."""
SMALLEST_MEDIAN = 1e-6
"""Updates too small, once the warmup is over: 24 bits of mantissa hardly hold what they add."""
WEIGHT_FLOOR = 0.25
"""A matrix smaller than this fraction of the median matrix counts as that large: one that began at zero is small."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """One line about the health of a run."""

    step: int
    """Numbered as in metrics.jsonl."""
    kind: Kind
    """What it is about."""
    module: str
    """The parameter or layer, "" for the model as a whole."""
    text: str
    """What was seen, why it matters, what to do: one line."""


class Monitor:
    """Turns what a run shows of itself into advice; it changes nothing.

    Steps are numbered as in metrics.jsonl, from 1. Only matrices are judged alone: biases begin at zero, and that of
    the keys has no gradient at all, for attention does not depend on it. Frozen parameters are left out; those that
    begin to learn later are looked at from then on.

    Args:
        model: what learns; its parameters must stay the same objects.
        config: how it is trained; `config.health` says when to look.

    Example:
        >>> model = nn.Linear(4, 4)
        >>> monitor = Monitor(model, TrainConfig())
        >>> for step in range(1, 100):
        ...     advice = monitor.observe(step, loss=2.0, gradient_norm=1.0)
        >>> advice
        []
        >>> print(monitor.observe(100, loss=4.0, gradient_norm=31.0)[0].text)
        loss 4.000 is 100 deviations above the recent median 2.000 (gradient norm 31): one bad batch does no harm; if it stays high or comes back, lower learning_rate or clip_norm
    """  # noqa: E501 - the advice is shown whole

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self._config = config
        self._learned = {name: p for name, p in model.named_parameters() if is_learned(p)}
        self._parameters: dict[str, nn.Parameter] = {}  # those of them that learn now, as the last look found
        self._matrices: list[str] = []
        self._spikes = LossSpikes()
        self._norm = 0.0  # of the whole gradient, before clipping
        self._streaks: dict[str, int] = {}
        self._said: dict[str, int] = {}
        self._figures: dict[str, float] = {}
        self._least: dict[str, float] = {}  # of each layer's gradient norm, as a multiple of the median layer's
        self._sizes: dict[str, float] = {}  # root mean square of each matrix before the update
        self._before: dict[str, Tensor] = {}  # and a copy of it; both empty but on the steps that are looked at

    def observe(self, step: int, loss: float, gradient_norm: float) -> list[Advice]:
        """Take in what every step measures, both finite; return what to say about it."""
        self._norm = gradient_norm
        before, score = self._spikes.median, self._spikes.score(loss)
        if score > self._config.health.spike_score:
            return self._once(
                step,
                "spike",
                "",
                f"loss {loss:.3f} is {score:.0f} deviations above the recent median {before:.3f} (gradient norm "
                f"{gradient_norm:.3g}): one bad batch does no harm; if it stays high or comes back, lower "
                "learning_rate or clip_norm",
            )
        if self._spikes.rise > RISE:
            return self._once(
                step,
                "rising",
                "",
                f"the loss has risen to {self._spikes.median:.3f} from {self._spikes.lowest:.3f} (medians of {WINDOW} "
                "steps): the run has left a better place; go back to an earlier checkpoint with a lower learning_rate",
            )
        return []

    def is_watched(self, step: int) -> bool:
        """Whether `before_update` and `after_update` look at this step."""
        every = self._config.health.watch_every
        return every > 0 and (step % every == 0 or step in EARLY_LOOKS) and step >= EARLY_LOOKS[0]

    def before_update(self, step: int) -> list[Advice]:
        """Look at the gradients, which may be clipped; on the steps that are watched, else return at once."""
        if not self.is_watched(step):
            return []
        self._parameters = {name: p for name, p in self._learned.items() if p.requires_grad}
        self._matrices = [name for name, p in self._parameters.items() if p.ndim >= 2]
        if not self._parameters:
            return []
        with torch.no_grad():
            gradients = _norms([_or_zero(p.grad, p) for p in self._parameters.values()])
            self._before = {name: self._parameters[name].detach().clone() for name in self._matrices}
            sizes = _norms(list(self._before.values()))
        clipped = max(1.0, self._norm / self._config.clip_norm)
        norms = {name: norm * clipped for name, norm in zip(self._parameters, gradients, strict=True)}
        self._sizes = {name: size / _root(self._before[name]) for name, size in zip(self._matrices, sizes, strict=True)}
        layers: dict[str, float] = {}
        for name, norm in norms.items():
            layer = layer_of(name.rpartition(".")[0]) or name
            layers[layer] = math.hypot(layers.get(layer, 0.0), norm)
        self._figures = {f"gradient_norm/{layer}": norm for layer, norm in layers.items()}
        return [*self._dead(step, norms), *self._exploding(step, layers)]

    def after_update(self, step: int, learning_rate: float) -> list[Advice]:
        """Look at what the update changed; on the steps that are watched, else return at once."""
        if not self._before:
            return []
        with torch.no_grad():
            moved = _norms([self._parameters[name].detach() - old for name, old in self._before.items()])
        floor = WEIGHT_FLOOR * statistics.median(self._sizes.values())
        ratios = {
            name: move / _root(old) / max(self._sizes[name], floor, 1e-30)
            for (name, old), move in zip(self._before.items(), moved, strict=True)
        }
        self._before, self._sizes = {}, {}
        median = statistics.median(ratios.values())
        self._figures["update_ratio"] = median
        return [*self._too_large(step, ratios, median, learning_rate), *self._too_small(step, median, learning_rate)]

    def figures(self) -> dict[str, float]:
        """Return what the last look found: update_ratio (the median matrix), gradient_norm/LAYER before clipping."""
        return dict(self._figures)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as JSON can hold it."""
        return {
            "spikes": self._spikes.state(),
            "streaks": dict(self._streaks),
            "said": dict(self._said),
            "figures": dict(self._figures),
            "least": dict(self._least),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned: the same advice follows as without a stop."""
        self._spikes.restore(state["spikes"])
        self._streaks, self._said = dict(state["streaks"]), dict(state["said"])
        self._figures = dict(state["figures"])
        self._least = dict(state.get("least", {}))  # earlier versions did not keep it

    def _dead(self, step: int, norms: dict[str, float]) -> Iterator[Advice]:
        if not self._matrices:
            return
        scale = {name: norms[name] / _root(self._parameters[name]) for name in self._matrices}
        least = VANISHING * statistics.median(scale.values())
        for name, size in scale.items():
            if self._lasts("dead", name, size <= least, DEAD_LOOKS):
                seen = (
                    "no gradient" if size == 0 else f"a gradient {least / VANISHING / size:.1e} times below the median"
                )
                yield from self._once(
                    step,
                    "dead",
                    name,
                    f"{name} gets {seen} at {DEAD_LOOKS} looks in a row, so it does not learn: units that are never "
                    "active (ReLU), saturated attention, or a part that is not used; lower learning_rate, change the "
                    "activation or the initial weights, or freeze it if this is meant",
                )

    def _exploding(self, step: int, layers: dict[str, float]) -> Iterator[Advice]:
        middle = statistics.median(layers.values())
        for layer, norm in layers.items():
            usual = min(max(1.0, self._least.get(layer, math.inf)), LARGEST_BEFORE)
            if middle > 0:
                self._least[layer] = min(norm / middle, self._least.get(layer, math.inf))
            if self._lasts("exploding", layer, norm > EXPLODING * usual * middle > 0, LOOKS):
                yield from self._once(
                    step,
                    "exploding",
                    layer,
                    f"{layer} has a gradient norm of {norm:.3g}, {norm / middle:,.0f} times that of the median layer, "
                    "so clipping to clip_norm leaves the others next to nothing: lower learning_rate, lengthen the "
                    "warmup, or look at its initial weights and norm",
                )

    def _too_large(self, step: int, ratios: dict[str, float], median: float, rate: float) -> Iterator[Advice]:
        is_falling = self._spikes.is_falling
        is_large = median > LARGEST_MEDIAN or (median > LARGE_MEDIAN and not is_falling)
        if self._lasts("update_too_large", "", is_large, LOOKS):
            result = "and the loss does not fall" if not is_falling else "so they hardly keep what they learn"
            yield from self._once(
                step,
                "update_too_large",
                "",
                f"an update changes the weights by {median:.1%} of their size (median of the matrices, learning rate "
                f"{rate:.2g}) {result}: lower learning_rate, about ten-fold if this is the beginning",
            )
            return
        # A matrix that began at zero is nothing but its last updates for a while.
        is_early = step <= max(EARLY_LOOKS)
        for name, ratio in ratios.items():
            if self._lasts("update_too_large", name, ratio > LARGEST and not is_early, LOOKS):
                yield from self._once(
                    step,
                    "update_too_large",
                    name,
                    f"an update changes {name} by {ratio:.0%} of its size (median of the others {median:.1%}), so it "
                    "does not settle: give it a larger initial size, or the run a lower learning_rate",
                )

    def _too_small(self, step: int, median: float, rate: float) -> Iterator[Advice]:
        is_small = median < SMALLEST_MEDIAN and step > self._config.schedule.warmup_steps
        is_final = rate < 0.1 * self._config.learning_rate  # the schedule means it
        if self._lasts("update_too_small", "", is_small and not is_final, LOOKS):
            yield from self._once(
                step,
                "update_too_small",
                "",
                f"an update changes the weights by {median:.1e} of their size (median of the matrices, learning rate "
                f"{rate:.2g}), so they hardly learn: raise learning_rate, ten-fold at a time",
            )

    def _lasts(self, kind: str, module: str, is_so: bool, looks: int) -> bool:
        """Count the looks in a row at which something is so, and tell whether they are enough."""
        key = f"{kind} {module}"
        if not is_so:
            self._streaks.pop(key, None)
            return False
        self._streaks[key] = self._streaks.get(key, 0) + 1
        return self._streaks[key] >= looks

    def _once(self, step: int, kind: Kind, module: str, text: str) -> list[Advice]:
        """Return the advice, unless it was given not long ago."""
        key = f"{kind} {module}"
        if step - self._said.get(key, -QUIET_STEPS) < QUIET_STEPS:
            return []
        self._said[key] = step
        return [Advice(step=step, kind=kind, module=module, text=text)]


def _norms(tensors: list[Tensor]) -> list[float]:
    """Return the norm of each, with one wait for the device."""
    if not tensors:
        return []
    return torch.stack([torch.linalg.vector_norm(tensor.float()) for tensor in tensors]).tolist()


def _or_zero(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return parameter.new_zeros(1) if gradient is None else gradient


def _root(tensor: Tensor) -> float:
    return math.sqrt(tensor.numel())
