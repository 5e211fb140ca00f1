"""How the weights of a model are stored in fewer bits, and what the report on it may find."""

from dataclasses import dataclass
from typing import Literal

from groundup.configs.checks import at_least, between
from groundup.errors import InputError

Bits = Literal["int8", "int4"]
"""8 bits a weight, with a scale for each row; 4 bits, with a scale and a minimum for each group of a row."""
GroupSize = Literal[32, 64, 128]
"""Neighbours in a row that share scale and minimum."""


Granularity = Literal["group", "channel", "tensor"]
"""Which numbers in 8 bits share a scale: groups of a row, rows, or all of a matrix."""


@dataclass(frozen=True, kw_only=True)
class QuantizationConfig:
    """What becomes of the matrices of a model; norms, biases and positions stay as they are.

    Example:
        >>> QuantizationConfig(to="int4").needs_text, QuantizationConfig(to="int4", method="gptq").needs_text
        (False, True)
    """

    to: Bits = "int4"
    """Form of the weights."""
    method: Literal["round", "fitted", "gptq"] = "round"
    """int4 only. round: each weight to the nearest step. fitted: scales and minimums by least squares. gptq: each
    column pays for the errors of those before it, for the text given."""
    group_size: GroupSize = 32
    """int4 only: weights that share a scale."""
    activation_aware: bool = False
    """int4 only: inputs that are large in the text given get finer steps (AWQ)."""
    granularity: Granularity | None = None
    """int8 only: a scale for 32 neighbours in a row, for each row, or for the matrix. None: groups where weights
    alone are rounded, symmetrically, and rows are made of such groups; else rows."""
    symmetric: bool = True
    """int8 only: zero is the middle of the range; else the range is that of the weights."""
    activations: Literal["none", "dynamic", "static"] = "none"
    """int8 only: also round what is multiplied. dynamic: by the range of each token; static: by one range, of the text
    given, which a first token of thousands spoils: SmolLM2's perplexity of 19.6 becomes 34.8, with dynamic 20.4, with
    static and feed_forward.down unrounded 20.7."""
    observer: Literal["minmax", "percentile", "entropy"] = "minmax"
    """Static only: how the range is taken from the text given."""
    percentile: float = 99.99
    """Percentile observer only: the share of numbers within the range."""
    embeddings: bool = True
    """Also quantize the token embedding and the output matrix; in 8 bits, but for int4 with gptq, which fits them."""
    skip: tuple[str, ...] = ()
    """Layers that stay as they are, by a part of their name: blocks.0, feed_forward.down."""
    calibration_tokens: int = 16_384
    """Tokens of the text given that are read."""
    seed: int = 0
    """Decides which parts of the text given are read."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        if self.group_size not in (32, 64, 128):
            raise InputError(f"QuantizationConfig.group_size must be 32, 64 or 128, found {self.group_size}")
        if self.to == "int8" and (self.method != "round" or self.activation_aware):
            raise InputError("QuantizationConfig.method and activation_aware are for int4: int8 is rounded")
        if self.to == "int4" and self.activations != "none":
            raise InputError(f"QuantizationConfig.activations must be none for int4, found {self.activations}")
        if self.to == "int4" and not (self.granularity is None and self.symmetric):
            raise InputError(
                "QuantizationConfig.granularity and symmetric are for int8: in int4 each group has scale and minimum"
            )
        if self.to == "int8" and self.group_size != 32:
            raise InputError(
                f"QuantizationConfig.group_size is for int4, found {self.group_size}: int8 has granularity"
            )
        if self.activations != "static" and self.observer != "minmax":
            raise InputError(
                f"QuantizationConfig.observer is for static activations, found {self.observer} with {self.activations}"
            )
        if self.observer != "percentile" and self.percentile != 99.99:
            raise InputError(
                f"QuantizationConfig.percentile is for the percentile observer, found {self.percentile} with "
                f"{self.observer}"
            )
        if self.granularity == "group" and not self.symmetric:
            raise InputError("QuantizationConfig.granularity must be channel or tensor to be affine, found group")
        between(self, "percentile", 50.0, 100.0)
        at_least(self, "calibration_tokens", 1)
        at_least(self, "seed", 0)

    @property
    def shared_by(self) -> Granularity:
        """Which numbers in 8 bits share a scale where rows are made of groups: `granularity`, or what None means."""
        if self.granularity is not None:
            return self.granularity
        return "group" if self.symmetric and self.activations == "none" else "channel"

    @property
    def needs_text(self) -> bool:
        """Whether a text has to be read to quantize."""
        return self.method == "gptq" or self.activation_aware or self.activations == "static"
