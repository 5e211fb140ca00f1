"""Learning rates: the laws of each shape, and torch's and transformers' schedules where the definitions coincide."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import (
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
    get_wsd_schedule,
)

from groundup.configs.training import ScheduleConfig, TrainConfig
from groundup.training.schedules import learning_rate

PEAK = 3e-4
ROUNDING = 1e-15  # of float64 beside a rate of 3e-4, after a handful of operations: 3e-4 · 2e-16 · 10
NAMES = ["cosine", "linear", "constant", "warmup_stable_decay"]


def rates(steps, name="cosine", **schedule):
    config = TrainConfig(steps=steps, learning_rate=PEAK, schedule=ScheduleConfig(name=name, **schedule))
    return [learning_rate(step, config) for step in range(steps)]


def torch_rates(make, steps):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    schedule, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= ROUNDING


@pytest.mark.parametrize(("steps", "warmup"), [(50, 10), (50, 1), (7, 6)])
def test_equal_to_transformers_without_its_step_of_rate_zero(steps, warmup):
    def theirs(make, **given):
        return torch_rates(lambda optimizer: make(optimizer, num_warmup_steps=warmup, **given), steps + 1)[1:]

    shape = {"warmup_steps": warmup, "final_fraction": 0.0}
    total = {"num_training_steps": steps}
    assert_same(rates(steps, "cosine", **shape), theirs(get_cosine_schedule_with_warmup, **total))
    assert_same(rates(steps, "linear", **shape), theirs(get_linear_schedule_with_warmup, **total))
    assert_same(rates(steps, "constant", **shape), theirs(get_constant_schedule_with_warmup))


@pytest.mark.parametrize("final", [0.0, 0.1, 1.0])
def test_warmup_stable_decay_equals_transformers(final):
    ours = rates(100, "warmup_stable_decay", warmup_steps=10, decay_fraction=0.3, final_fraction=final)
    theirs = torch_rates(
        lambda optimizer: get_wsd_schedule(
            optimizer, num_warmup_steps=10, num_stable_steps=60, num_decay_steps=30, decay_type="linear",
            min_lr_ratio=final,
        ),
        101,
    )  # fmt: skip
    # transformers' warmup begins at its end's fraction, ours at zero: the same when that is zero.
    begin = 0 if final == 0 else 9
    assert_same(ours[begin:], theirs[begin + 1 :])


@pytest.mark.parametrize("final", [0.0, 0.1])
def test_cosine_without_warmup_equals_torch(final):
    theirs = torch_rates(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=39, eta_min=final * PEAK), 40
    )  # torch steps from one rate to the next, so its rounding adds up: 40 times that of one rate
    ours = rates(40, warmup_steps=0, final_fraction=final)
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= 40 * ROUNDING


def test_linear_equals_torch():
    theirs = torch_rates(
        lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda step: 1 - 0.9 * step / 39), 40
    )  # PEAK at step 0, PEAK / 10 at step 39
    assert_same(rates(40, "linear", warmup_steps=0, final_fraction=0.1), theirs)


shapes = st.fixed_dictionaries(
    {
        "steps": st.integers(1, 300),
        "name": st.sampled_from(NAMES),
        "warmup_steps": st.integers(0, 400),
        "final_fraction": st.floats(0, 1),
        "decay_fraction": st.floats(0, 1),
    }
)


@given(shapes)
def test_laws(shape):
    found = rates(**shape)
    steps, warmup, final = shape["steps"], shape["warmup_steps"], shape["final_fraction"] * PEAK
    rising, falling = found[: max(warmup, 1)], found[max(warmup, 1) - 1 :]
    assert all(0 <= rate <= PEAK * (1 + ROUNDING) for rate in found)
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    if warmup > steps:  # cut
        assert found == pytest.approx([PEAK * (step + 1) / warmup for step in range(steps)])
        return
    assert max(found) == PEAK  # reached, and at the end of the warmup
    assert found[max(warmup, 1) - 1] == PEAK
    ends = shape["name"] != "constant" and steps > max(warmup, 1)
    if shape["name"] == "warmup_stable_decay":
        ends = ends and round(shape["decay_fraction"] * steps) > 0
    assert found[-1] == pytest.approx(final if ends else PEAK, abs=ROUNDING)


@pytest.mark.parametrize("name", NAMES)
def test_no_jumps(name):
    """Twice the length, half the largest change from one step to the next: so in the limit there is none."""

    def largest_change(n):
        found = rates(1_000 * n, name, warmup_steps=100 * n, decay_fraction=0.2)
        return max(abs(a - b) for a, b in itertools.pairwise(found))

    # The rise of the warmup is the steepest part, and it is exactly half as steep.
    assert largest_change(2) == pytest.approx(largest_change(1) / 2, rel=1e-9)


def test_cosine_falls_to_the_middle_in_the_middle():
    found = rates(101, warmup_steps=1, final_fraction=0.2)
    assert found[50] == pytest.approx(0.6 * PEAK)
    assert found[25] == pytest.approx(PEAK * (0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2))


def test_the_decay_of_warmup_stable_decay_gives_way_to_the_warmup():
    found = rates(10, "warmup_stable_decay", warmup_steps=6, decay_fraction=0.9, final_fraction=0.0)
    assert found == pytest.approx([PEAK * x for x in (1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 0.75, 0.5, 0.25, 0)])


def test_steps_outside_the_run():
    config = TrainConfig(steps=10, learning_rate=PEAK, schedule=ScheduleConfig(warmup_steps=2))
    assert learning_rate(10, config) == learning_rate(999, config) == learning_rate(9, config)
    with pytest.raises(ValueError, match="steps count from 0"):
        learning_rate(-1, config)
