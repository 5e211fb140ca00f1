"""Is my loss normal? The validation loss of a run beside the one its recipe expects, in one line."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from groundup.configs.bands import Band, settings_of
from groundup.configs.run import RunConfig

NAMED_CHANGES = 4
"""Most changed fields that a line names."""


@dataclass(frozen=True)
class Verdict:
    """Where a loss lies."""

    place: Literal["inside", "above", "below"]
    """In the band or beside it."""
    text: str
    """One line for the log."""


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What a run knows of itself that may move its loss."""

    changes: tuple[str, ...] = ()
    """Settings that differ from those the band was measured with (`changes`)."""
    n_spikes: int = 0
    """Loss spikes seen so far."""
    precision: str = "float32"
    """Arithmetic of the run; bands are measured in float32."""


def judge(band: Band, loss: float, circumstances: Circumstances | None = None) -> Verdict:
    """Compare the validation loss at the band's step with the band.

    Only causes that the run can know are named; there may be others.

    Args:
        band: what is expected.
        loss: what was measured, in nats per token.
        circumstances: what may explain a difference. None: nothing is known.

    Example:
        >>> band = Band(step=1_000, low=1.58, high=1.66)
        >>> judge(band, 1.612).text
        'step 1,000: validation 1.612 is inside the expected 1.580-1.660'
        >>> judge(band, 2.4, Circumstances(changes=("training.learning_rate 0.1 instead of 0.001",))).text
        "step 1,000: validation 2.400 is above the expected 1.580-1.660; likely causes: the config differs from the \
recipe's (training.learning_rate 0.1 instead of 0.001)"
    """
    known = Circumstances() if circumstances is None else circumstances
    place: Literal["inside", "above", "below"] = (
        "above" if loss > band.high else "below" if loss < band.low else "inside"
    )
    text = f"step {band.step:,}: validation {loss:.3f} is {place} the expected {band.low:.3f}-{band.high:.3f}"
    differs = _differs(known.changes)
    if place == "inside":
        return Verdict(place, text + (f" (but {differs})" if differs else ""))
    causes = [differs] if differs else []
    if place == "above":
        if known.n_spikes:
            plural = "s" * (known.n_spikes > 1)
            causes.append(f"{known.n_spikes} loss spike{plural} (a lower learning_rate or a longer warmup helps)")
        if known.precision != "float32":
            causes.append(f"{known.precision} arithmetic, where the band was measured in float32")
        unknown = "none that the run can see: try another seed, and compare the corpus with the recipe's"
    else:
        unknown = (
            "none that the run can see: see that no validation text is also in the training text, and try another seed"
        )
    return Verdict(place, f"{text}; likely causes: {'; '.join(causes) or unknown}")


def changes(config: RunConfig) -> tuple[str, ...]:
    """Return the settings that differ from those the bands of `config` were measured with.

    Example:
        >>> from dataclasses import replace
        >>> from groundup.configs.bands import Bands
        >>> recipe = RunConfig()
        >>> recipe = replace(recipe, bands=Bands(measured_with=settings_of(recipe)))
        >>> changes(recipe), changes(replace(recipe, model=replace(recipe.model, n_layers=3)))
        ((), ('model.n_layers 3 instead of 12',))
    """
    now = dict(line.split("=", 1) for line in settings_of(config))
    then = dict(line.split("=", 1) for line in config.bands.measured_with)
    # A setting that is only in one of them is of another version of groundup, which says nothing about the run.
    return tuple(
        f"{name} {now[name]} instead of {then[name]}" for name in now if then.get(name, now[name]) != now[name]
    )


class BandWatch:
    """Says, at the steps that have a band, how the run compares: call it at each evaluation.

    Args:
        config: of the run, its precision settled.

    Example:
        >>> from groundup.configs.bands import Bands
        >>> watch = BandWatch(RunConfig(bands=Bands(points=(Band(step=250, low=1.9, high=2.1),))))
        >>> watch(250, {"loss": 2.0})
        'step 250: validation 2.000 is inside the expected 1.900-2.100'
        >>> watch(251, {"loss": 2.0}) is None
        True
    """

    def __init__(self, config: RunConfig) -> None:
        self._bands = {band.step: band for band in config.bands.points}
        self._changes = changes(config)
        self.shown = () if self._changes else config.bands.points
        """The bands for a picture, where there is no room to say that they are of other settings: then none."""
        # An auto that nobody has settled is float32.
        self._precision = "bfloat16" if config.training.precision == "bfloat16" else "float32"

    def __call__(self, step: int, metrics: Mapping[str, float], *, n_spikes: int = 0) -> str | None:
        """Return one line about metrics["loss"], or None at a step without a band."""
        if (band := self._bands.get(step)) is None:
            return None
        known = Circumstances(changes=self._changes, n_spikes=n_spikes, precision=self._precision)
        return judge(band, metrics["loss"], known).text


def _differs(found: tuple[str, ...]) -> str:
    if not found:
        return ""
    named, more = "; ".join(found[:NAMED_CHANGES]), len(found) - NAMED_CHANGES
    others = f"; and {more} more" if more > 0 else ""
    text = f"the config differs from the recipe's ({named}{others})"
    # Another text, or the same in other tokens, has another entropy per token.
    other_text = any(change.startswith(("data.", "training.evaluation.max_tokens")) for change in found)
    return text + (", and losses on another text or in other tokens cannot be compared" if other_text else "")
