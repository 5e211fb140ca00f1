"""What a training run does: steps, optimizer, schedule, evaluation, checkpoints."""

from dataclasses import dataclass, field
from typing import Literal

from groundup.configs.checks import at_least, between, positive


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


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the learning rate moves over the run."""

    name: Literal["cosine", "linear", "constant", "warmup_stable_decay"] = "cosine"
    """Shape after the warmup."""
    warmup_steps: int = 100
    """Steps of linear rise to the peak; the first has peak / warmup_steps. Cut at the end of a shorter run."""
    final_fraction: float = 0.1
    """Last learning rate as a fraction of the peak."""
    decay_fraction: float = 0.2
    """warmup_stable_decay only: the last part of the run in which the rate falls."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "warmup_steps", 0)
        between(self, "final_fraction", 0.0, 1.0)
        between(self, "decay_fraction", 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """When the run looks at data it does not train on."""

    every_steps: int = 250
    """Steps between evaluations; there is always one at the end."""
    max_tokens: int = 65_536
    """Validation tokens scored each time (the first ones, the same every time)."""
    patience: int | None = None
    """Stop after this many evaluations without a new best, and restore the best weights. None: never."""
    sample_tokens: int = 200
    """Length of the text sampled at each evaluation. 0: no sample."""
    sample_prompt: str = ""
    """How the samples begin. Empty: the tokenizer's end-of-text token, else a line break."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "every_steps", 1)
        at_least(self, "max_tokens", 1)
        at_least(self, "sample_tokens", 0)
        if self.patience is not None:
            at_least(self, "patience", 1)


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """When the run is saved, and what is kept."""

    every_steps: int = 500
    """Steps between checkpoints; there is always one at the end and on Ctrl-C."""
    keep_last: int = 2
    """Newest checkpoints to keep, beside the best one."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "every_steps", 1)
        at_least(self, "keep_last", 1)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One run of the training loop, whatever the task.

    Example:
        >>> TrainConfig(steps=10, batch_size=4, accumulation_steps=8).sequences_per_step
        32
    """

    steps: int = 2_000
    """Optimizer steps."""
    batch_size: int = 12
    """Sequences in one forward pass."""
    accumulation_steps: int = 1
    """Forward passes whose gradients are summed before a step."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    clip_norm: float = 1.0
    """Gradients with a larger global norm are scaled down to it."""
    seed: int = 1337
    """Decides initial weights, data order, dropout and samples."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute. auto: CUDA, else MPS, else CPU."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the forward and backward pass; weights and optimizer stay float32."""
    log_every: int = 10
    """Steps between lines of metrics.jsonl."""
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    """AdamW's constants."""
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    """How the learning rate moves."""
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    """When to look at validation data."""
    checkpoints: CheckpointConfig = field(default_factory=CheckpointConfig)
    """When to save."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        for name in ("steps", "batch_size", "accumulation_steps", "log_every"):
            at_least(self, name, 1)
        at_least(self, "seed", 0)
        positive(self, "learning_rate")
        positive(self, "clip_norm")

    @property
    def sequences_per_step(self) -> int:
        """Sequences that one optimizer step learns from."""
        return self.batch_size * self.accumulation_steps
