"""A whole run that learns to predict hidden tokens: which text, which encoder, what is hidden, which training."""

from dataclasses import dataclass, field
from typing import Literal

from groundup.configs.checks import between, positive
from groundup.configs.encoder import EncoderConfig
from groundup.configs.run import DataConfig
from groundup.configs.training import TrainConfig
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class MaskingConfig:
    """Which tokens are to be predicted, and what the model sees in their places (Devlin et al. 2018, section 3.1)."""

    probability: float = 0.15
    """Share of the tokens that are chosen, and predicted; in each text at least one."""
    mask_share: float = 0.8
    """Share of the chosen tokens for which [MASK] stands."""
    random_share: float = 0.1
    """Share of the chosen tokens for which any token stands. The others are seen as they are."""
    whole_words: bool = False
    """Choose words with all of their tokens, not tokens."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        between(self, "probability", 0.0, 1.0)
        positive(self, "probability")
        between(self, "mask_share", 0.0, 1.0)
        between(self, "random_share", 0.0, 1.0)
        if self.mask_share + self.random_share > 1 + 1e-9:
            raise InputError(
                "MaskingConfig.mask_share and random_share must be at most 1 together, found "
                f"{self.mask_share:g} + {self.random_share:g}"
            )


@dataclass(frozen=True, kw_only=True)
class MaskedConfig:
    """Everything that decides a run of masked language modelling: the same config and seed give the same weights."""

    task: Literal["mask"] = "mask"
    """What the run learns."""
    data: DataConfig = field(default_factory=DataConfig)
    """Which text, in which tokens; [MASK] is added to them. Each document, or piece of one, is read alone."""
    model: EncoderConfig = field(default_factory=EncoderConfig)
    """What is trained."""
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    """What is hidden."""
    training: TrainConfig = field(default_factory=TrainConfig)
    """How it is trained."""
