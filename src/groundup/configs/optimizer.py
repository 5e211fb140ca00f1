"""Which optimizer a run uses, and its constants."""

from dataclasses import dataclass
from typing import Literal

from groundup.configs.checks import between, positive


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """AdamW's constants (Loshchilov and Hutter 2019)."""

    name: Literal["adamw", "adamw_by_hand"] = "adamw"
    """adamw: torch's fused kernel. adamw_by_hand: the same update, written out in training/optimizers.py."""
    beta1: float = 0.9
    """Decay of the running mean of gradients."""
    beta2: float = 0.95
    """Decay of the running mean of squared gradients."""
    epsilon: float = 1e-8
    """Added to the root of the second moment."""
    weight_decay: float = 0.1
    """Decoupled decay, applied to matrices only (not to biases, norms or embeddings of positions)."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        between(self, "beta1", 0.0, 1.0, upper_open=True)
        between(self, "beta2", 0.0, 1.0, upper_open=True)
        positive(self, "epsilon")
        between(self, "weight_decay", 0.0, 100.0)
