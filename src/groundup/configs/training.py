"""What a training run does: steps, schedule, evaluation, checkpoints, health, how it computes."""

from dataclasses import dataclass, field
from typing import Literal

from groundup.configs.checks import at_least, between, positive
from groundup.configs.optimizer import OptimizerConfig


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
    every_minutes: float | None = 10.0
    """Also save when this much time has passed since the last checkpoint. None: by steps only."""
    keep_last: int = 2
    """Newest checkpoints to keep, beside the best one and those that are marked."""
    mark_every_steps: int | None = None
    """Checkpoints at multiples of it are saved and marked: kept for good. None: mark by hand (groundup checkpoints)."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "every_steps", 1)
        at_least(self, "keep_last", 1)
        if self.every_minutes is not None:
            positive(self, "every_minutes")
        if self.mark_every_steps is not None:
            at_least(self, "mark_every_steps", 1)


@dataclass(frozen=True, kw_only=True)
class HealthConfig:
    """What the run watches in itself, and what it does about numbers that are no longer finite."""

    on_non_finite: Literal["stop", "skip"] = "stop"
    """A loss or gradient that is NaN or infinite: stop before the step is taken, or skip the step and go on."""
    max_skips: int = 10
    """skip only: stop after this many skipped steps all the same."""
    watch_every: int = 50
    """Steps between looks at gradients and updates layer by layer. 0: never."""
    spike_score: float = 8.0
    """A loss this many robust deviations above the recent median is called a spike."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "max_skips", 0)
        at_least(self, "watch_every", 0)
        positive(self, "spike_score")


@dataclass(frozen=True, kw_only=True)
class ComputeConfig:
    """How the arithmetic is done: never what is learned. What is left open is measured when a run starts, then kept."""

    threads: int | None = None
    """CPU threads. None: as many as a short measurement finds fastest."""
    linear: Literal["auto", "default", "onednn"] = "auto"
    """What multiplies matrices on the CPU: torch's default, oneDNN, or whichever a short measurement finds faster."""
    compile: bool = False
    """Compile the training step with torch.compile: half a minute first, then somewhat faster on some machines."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        if self.threads is not None:
            at_least(self, "threads", 1)


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
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of the forward and backward pass; weights and optimizer stay float32. auto: measured at the start."""
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
    health: HealthConfig = field(default_factory=HealthConfig)
    """What to watch."""
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    """Threads and kernels."""

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
