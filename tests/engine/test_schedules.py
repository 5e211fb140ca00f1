"""Schedules against torch.optim.lr_scheduler step by step, and across a restart."""

import numpy as np
import pytest
import torch

from groundup.engine import schedules
from groundup.engine.optim import SGD
from groundup.engine.schedules import CosineAnnealingLR, LambdaLR, LinearLR, SequentialLR, StepLR
from groundup.engine.tensor import Tensor

STEPS = 120
RATES = (0.1, 3.0)
# torch computes a rate from the one before: STEPS roundings of 1e-16, which the steep factors of a cosine near its
# bottom, (1 + cos b)/(1 + cos a) with both small, magnify by a thousand
BOUND = 1e-11


def warmup_then_cosine(room, optimizer):
    warmup = room.LinearLR(optimizer, start_factor=0.1, total_iters=10)
    cosine = room.CosineAnnealingLR(optimizer, T_max=100, eta_min=0.01)
    return room.SequentialLR(optimizer, [warmup, cosine], milestones=[10])


def three_in_a_row(room, optimizer):
    parts = [
        room.LinearLR(optimizer, start_factor=0.5, total_iters=4),
        room.LambdaLR(optimizer, [lambda step: 1 / (1 + step), lambda step: 1.0]),
        room.StepLR(optimizer, 7, 0.5),
    ]
    return room.SequentialLR(optimizer, parts, milestones=[5, 60])


CASES = {
    "step": lambda room, optimizer: room.StepLR(optimizer, 30),
    "step_slow": lambda room, optimizer: room.StepLR(optimizer, step_size=7, gamma=0.9),
    "cosine": lambda room, optimizer: room.CosineAnnealingLR(optimizer, T_max=119),
    "cosine_and_back": lambda room, optimizer: room.CosineAnnealingLR(optimizer, T_max=50, eta_min=0.02),
    "linear": lambda room, optimizer: room.LinearLR(optimizer),
    "linear_down": lambda room, optimizer: room.LinearLR(optimizer, 0.9, end_factor=0.0, total_iters=100),
    "lambda": lambda room, optimizer: room.LambdaLR(optimizer, lambda step: 0.95**step),
    "lambdas": lambda room, optimizer: room.LambdaLR(optimizer, [lambda step: 0.95**step, lambda step: 1 / (1 + step)]),
    "warmup_then_cosine": warmup_then_cosine,
    "three_in_a_row": three_in_a_row,
}


def ours():
    return SGD([{"params": [Tensor(np.ones(1), requires_grad=True)], "lr": lr} for lr in RATES])


def theirs():
    return torch.optim.SGD([{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in RATES])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # no gradients, no need for optimizer.step
@pytest.mark.filterwarnings("ignore:The epoch parameter")  # torch's SequentialLR warns about its own call
def test_equal_to_torch(name):
    mine, reference = ours(), theirs()
    first, second = CASES[name](schedules, mine), CASES[name](torch.optim.lr_scheduler, reference)
    for step in range(STEPS):
        assert first.get_last_lr() == [group["lr"] for group in mine.param_groups]
        for rate, expected in zip(first.get_last_lr(), second.get_last_lr(), strict=True):
            assert rate == pytest.approx(expected, rel=BOUND, abs=BOUND), step
        first.step()
        second.step()


@pytest.mark.parametrize("name", CASES)
def test_a_restart_goes_on_to_the_bit(name):
    whole, cut = ours(), ours()
    first, second = CASES[name](schedules, whole), CASES[name](schedules, cut)
    for _ in range(20):
        first.step()
        second.step()
    resumed = ours()
    third = CASES[name](schedules, resumed)
    resumed.load_state_dict(cut.state_dict())
    third.load_state_dict(second.state_dict())
    for _ in range(20):
        assert third.get_last_lr() == first.get_last_lr()
        first.step()
        third.step()


def test_a_schedule_made_after_the_optimizer_was_resumed_knows_the_first_rate():
    before, after = ours(), ours()
    schedule = StepLR(before, 1)
    schedule.step()
    after.load_state_dict(before.state_dict())
    assert [group["lr"] for group in after.param_groups] != list(RATES)
    assert StepLR(after, 1).get_last_lr() == list(RATES)


def test_bad_input():
    optimizer = ours()
    line = LinearLR(optimizer)
    cases = [
        (lambda: StepLR(optimizer, 0), "StepLR: step_size must be at least 1, found 0"),
        (lambda: CosineAnnealingLR(optimizer, 0), "CosineAnnealingLR: T_max must be at least 1, found 0"),
        (lambda: LinearLR(optimizer, start_factor=0.0), "LinearLR: start_factor must be above 0"),
        (lambda: LinearLR(optimizer, total_iters=0), "LinearLR: total_iters must be at least 1, found 0"),
        (lambda: LambdaLR(optimizer, [lambda step: 1.0]), "LambdaLR needs a function for each of 2 groups, found 1"),
        (lambda: SequentialLR(optimizer, [line, line], []), "2 schedules need 1 rising milestones above 0, found"),
        (lambda: SequentialLR(optimizer, [line, line, line], [5, 5]), r"rising milestones above 0, found \[5, 5\]"),
        (lambda: SequentialLR(ours(), [line, line], [5]), "every schedule must be made for the optimizer given"),
    ]
    for make, message in cases:
        with pytest.raises(ValueError, match=message):
            make()
    for make in (lambda: StepLR(0.1, 5), lambda: LambdaLR(0.1, lambda step: 1.0)):
        with pytest.raises(TypeError, match="LR: expected an optimizer first, found float"):
            make()
