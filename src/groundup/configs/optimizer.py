"""Which optimizer a run uses, and its constants."""

from dataclasses import dataclass
from typing import Literal

from groundup.configs.checks import between, positive


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The constants of AdamW (Loshchilov and Hutter 2019) and Muon (Jordan et al. 2024).

    Example:
        >>> OptimizerConfig(name="muon").momentum
        0.95
    """

    name: Literal["adamw", "adamw_by_hand", "muon"] = "adamw"
    """adamw: torch's fused kernel. adamw_by_hand: the same update, written out in training/optimizers.py. muon: Muon
    for the matrices of hidden layers, AdamW for embeddings, output projection, norms and biases (training/muon.py)."""
    beta1: float = 0.9
    """AdamW: decay of the running mean of gradients."""
    beta2: float = 0.95
    """AdamW: decay of the running mean of squared gradients."""
    epsilon: float = 1e-8
    """AdamW: added to the root of the second moment."""
    weight_decay: float = 0.1
    """Decoupled decay, applied to matrices only (not to biases, norms or embeddings of positions)."""
    momentum: float = 0.95
    """Muon: decay of the running mean of gradients."""
    adamw_rate: float = 1.0
    """muon only: learning rate of what it leaves to AdamW, as a multiple of the run's."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        between(self, "beta1", 0.0, 1.0, upper_open=True)
        between(self, "beta2", 0.0, 1.0, upper_open=True)
        positive(self, "epsilon")
        between(self, "weight_decay", 0.0, 100.0)
        between(self, "momentum", 0.0, 1.0, upper_open=True)
        positive(self, "adamw_rate")
