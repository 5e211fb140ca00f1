"""Learning rate schedules: the rate of a step is a pure function of the step, so a resumed run has nothing to restore.

Steps count from 0, and `learning_rate(step, config)` is the rate of that step's update. With W warmup steps of N in
all, the rate rises linearly from peak/W at step 0 (not from zero: that step would learn nothing) to the peak at step
W - 1, and ends at final_fraction · peak at step N - 1. transformers' schedules count a step of rate zero before
these: their rate at step k + 1 is ours at step k.
"""

import math

from groundup.configs.training import TrainConfig


def learning_rate(step: int, config: TrainConfig) -> float:
    """Return the learning rate of update number `step`.

    After the warmup: cosine falls by half a period of the cosine (Loshchilov and Hutter 2017, SGDR, eq. 5); linear
    by a line; constant stays at the peak (final_fraction does not apply); warmup_stable_decay stays, then falls by a
    line over the last decay_fraction of the run (Hu et al. 2024, MiniCPM, section 4), or over all that the warmup
    leaves, if that is less.

    A warmup longer than the run is cut: the rate rises to the end of the run, and may not reach the peak.

    Args:
        step: 0 … config.steps - 1; later ones get the last rate.
        config: length of the run, peak and schedule.

    Raises:
        ValueError: a negative step.

    Example:
        >>> from groundup.configs.training import ScheduleConfig
        >>> schedule = ScheduleConfig(name="linear", warmup_steps=2, final_fraction=0.5)
        >>> config = TrainConfig(steps=6, learning_rate=8.0, schedule=schedule)
        >>> [learning_rate(step, config) for step in range(6)]
        [4.0, 8.0, 7.0, 6.0, 5.0, 4.0]
    """
    if step < 0:
        raise ValueError(f"steps count from 0, found {step}")
    steps, peak, schedule = config.steps, config.learning_rate, config.schedule
    step = min(step, steps - 1)
    if step < schedule.warmup_steps:
        return peak * ((step + 1) / schedule.warmup_steps)  # so that the last one is the peak, to the bit
    first, last = max(schedule.warmup_steps - 1, 0), steps - 1  # where the peak is, and where the end is
    if schedule.name == "constant":
        return peak
    if schedule.name == "warmup_stable_decay":
        first = max(first, last - round(schedule.decay_fraction * steps))
    if step <= first:  # also all of a run of one step
        return peak
    progress = (step - first) / (last - first)  # above 0, up to 1
    height = 0.5 * (1 + math.cos(math.pi * progress)) if schedule.name == "cosine" else 1 - progress
    return peak * (schedule.final_fraction + (1 - schedule.final_fraction) * height)
