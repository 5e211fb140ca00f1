"""What a run needs and how long it takes: arithmetic, and a short trial."""

from dataclasses import dataclass, replace
from typing import Literal

from groundup.configs.run import RunConfig
from groundup.planning.fitting import MARGIN, check, fitting_micro_batch, free_memory, place_of
from groundup.planning.flops import Flops, count_flops
from groundup.planning.memory import Memory, Place, estimate_memory, with_vocabulary
from groundup.planning.parameters import Parameters, count_parameters
from groundup.planning.trial import Trial, run_trial


@dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds of a run by what they are spent on."""

    preparation: float
    """Starting Python, making the tokenizer, encoding the text, the first slow step."""
    steps: float
    """Optimizer steps."""
    evaluations: float
    """Looking at validation data."""
    samples: float
    """Writing a sample after each evaluation."""
    checkpoints: float
    """Saving."""

    @property
    def total(self) -> float:
        """From the command to its end."""
        return self.preparation + self.steps + self.evaluations + self.samples + self.checkpoints


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is known of a run before it begins."""

    config: RunConfig
    """The run, its vocabulary filled in."""
    is_vocabulary_certain: bool
    """Whether the vocabulary was given or found, or is only expected."""
    parameters: Parameters
    """What is learned."""
    flops: Flops
    """Operations per token."""
    memory: Memory
    """Bytes."""
    place: Place
    """Whose memory."""
    limit: int | None
    """Bytes to fit into. None: unknown."""
    is_this_machine: bool
    """Whether that is what is free here, or was asked for."""
    largest: RunConfig | None
    """The run with the largest micro-batch that fits with a margin, when that is less cut up than the run itself."""
    trial: Trial | None
    """What was measured. None: nothing was."""

    @property
    def tokens_per_step(self) -> int:
        """Tokens that one optimizer step learns from."""
        return self.config.training.sequences_per_step * self.config.model.context_length

    @property
    def flops_per_step(self) -> int:
        """Operations of one optimizer step."""
        return self.tokens_per_step * self.flops.training

    @property
    def n_evaluations(self) -> int:
        """Evaluations of the run, the last one included."""
        return -(-self.config.training.steps // self.config.training.evaluation.every_steps)

    @property
    def times(self) -> Times | None:
        """How long the run takes, to its last step. None without a trial."""
        if self.trial is None:
            return None
        trial, training = self.trial, self.config.training
        steps = training.steps * trial.step
        return Times(
            preparation=trial.startup + trial.preparation,
            steps=steps,
            evaluations=self.n_evaluations * trial.evaluation,
            samples=self.n_evaluations * trial.sample,
            checkpoints=n_checkpoints(self.config, steps) * trial.checkpoint,
        )

    @property
    def flops_per_second(self) -> float | None:
        """Operations per second that a step achieves."""
        return None if self.trial is None else self.flops_per_step / self.trial.step

    @property
    def utilization(self) -> float | None:
        """Model FLOPs utilization: what a step achieves, as a part of the fastest matrix product measured."""
        achieved = self.flops_per_second
        return None if self.trial is None or achieved is None else achieved / self.trial.flops_per_second


def n_checkpoints(config: RunConfig, seconds: float) -> int:
    """Return about how many checkpoints a run writes that takes `seconds`: by steps, by minutes, and every new best.

    Each evaluation counts as a new best: while a run learns, it is one.

    Example:
        >>> from groundup.configs.training import EvaluationConfig, TrainConfig
        >>> training = TrainConfig(steps=1_000, evaluation=EvaluationConfig(every_steps=300))
        >>> n_checkpoints(RunConfig(training=training), seconds=60)  # 300, 500, 600, 900, 1000
        5
    """
    training = config.training
    every = (training.checkpoints.every_steps, training.evaluation.every_steps, training.checkpoints.mark_every_steps)
    steps = {training.steps}
    for interval in every:
        if interval is not None:
            steps.update(range(interval, training.steps, interval))
    minutes = training.checkpoints.every_minutes
    by_time = 0 if minutes is None else int(seconds / 60 / minutes)
    return max(len(steps), by_time)


def make_plan(config: RunConfig, *, memory: int | None = None, trial: bool = True) -> Plan:
    """Count, estimate and, unless told otherwise, try a few steps.

    Args:
        config: the run.
        memory: bytes to fit into. None: what is free here.
        trial: whether to measure. A run that fits `memory` and not this machine is never tried here.

    Raises:
        InputError: a run that cannot fit, with the nearest one that can; or one that the trial finds impossible.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> plan = make_plan(RunConfig(model=GPTConfig(vocab_size=65, n_layers=2)), memory=10**10, trial=False)
        >>> plan.parameters.total == plan.parameters.embeddings + plan.parameters.attention + (
        ...     plan.parameters.feed_forward + plan.parameters.norms)
        True
    """
    place = place_of(config)
    here = free_memory(place)
    limit = here if memory is None else memory
    check(config, memory=limit)
    can_try = here is None or estimate_memory(config, place=place).peak <= here
    measured = run_trial(config) if trial and can_try else None
    full = with_vocabulary(config, None if measured is None else measured.vocab_size)
    if measured is not None:  # where the config leaves it open, what the trial has settled
        precision: Literal["float32", "bfloat16"] = "bfloat16" if measured.precision == "bfloat16" else "float32"
        full = replace(full, training=replace(full.training, precision=precision))
    return Plan(
        config=full,
        is_vocabulary_certain=config.model.vocab_size is not None or measured is not None,
        parameters=count_parameters(full.model),
        flops=count_flops(full.model),
        memory=estimate_memory(full, place=place),
        place=place,
        limit=limit,
        is_this_machine=memory is None,
        largest=None if limit is None else _largest(full, int(limit * MARGIN), place),
        trial=measured,
    )


def _largest(config: RunConfig, memory: int, place: Place) -> RunConfig | None:
    """Return the least cut-up run that fits, or None where `config` is that already."""
    sequences = config.training.sequences_per_step
    whole = replace(config, training=replace(config.training, batch_size=sequences, accumulation_steps=1))
    found = fitting_micro_batch(whole, memory, place=place)
    return None if found is None or found.training.batch_size <= config.training.batch_size else found
