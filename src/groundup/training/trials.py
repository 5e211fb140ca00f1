"""Timed trials of a training step: which precision, kernels and number of threads are fastest on this machine."""

import time
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.training import TrainConfig
from groundup.layers.linear import is_exact
from groundup.tasks.task import Task
from groundup.training.devices import arithmetic
from groundup.training.freed_memory import give_back_freed_memory

M = TypeVar("M", bound=nn.Module)
B = TypeVar("B")

LITTLE_WORK = 10**7
"""Parameters · targets of a micro-batch below which calls cost more than arithmetic: about a millisecond of it."""
WORTH_IT = 1.08
"""A gain below it changes nothing: differences of 5 % come from the neighbours' load, and float32 needs no defence."""
SURE = 1.5
"""A gain below it is measured once more: a neighbour can slow one trial by as much, and the choice is kept for good."""
ENOUGH = 0.3
"""Seconds of trials of one candidate; at least one, and the fastest counts, since disturbance only ever slows."""
LONG = 1.0
"""Seconds of a trial that need no warm-up: what the first call prepares is then below WORTH_IT."""
LARGEST_LOSS_DIFFERENCE = 1e-3
"""Relative, of the same batch and weights in bfloat16. Seen: 1e-5."""
LARGEST_GRADIENT_DIFFERENCE = 0.05
"""Length of what bfloat16 adds to a gradient, relative to the gradient. Seen: 0.006, while the gradients of two batches
differ by 1.0 to 1.4; a twentieth is lost in the noise that training lives with."""


def measured(config: TrainConfig, model: M, task: Task[M, B], batch: B) -> tuple[TrainConfig, float]:
    """Return `config` with what it leaves open set to what is fastest on the CPU, and how many times faster it is.

    One choice at a time, from what is certain to what is less so: bfloat16 if the processor multiplies it faster and
    neither loss nor gradient of the batch change by more than a batch's own noise; oneDNN's linears if float32 stayed;
    half as many threads, as long as that helps. A trial is a forward and backward pass of `batch`: no weight changes.
    What wins by little has to win again, both in turn, the faster of each one's trials counting.

    Args:
        config: how to train; what it gives is kept.
        model: what learns, on the CPU.
        task: what is learned.
        batch: one micro-batch.
    """
    compute = config.compute
    settings = replace(
        config,
        precision="float32" if config.precision == "auto" else config.precision,
        compute=replace(
            compute,
            threads=compute.threads or torch.get_num_threads(),
            linear="default" if compute.linear == "auto" else compute.linear,
        ),
    )
    first = best = trial(settings, model, task, batch)

    def take_if_faster(found: Trial) -> bool:
        nonlocal first, best
        if found.seconds * WORTH_IT < best.seconds < found.seconds * SURE:
            again = _faster(best, trial(best.config, model, task, batch))
            first, best = (again if first is best else first), again
            found = _faster(found, trial(found.config, model, task, batch))
        is_faster = found.seconds * WORTH_IT < best.seconds
        best = found if is_faster else best
        return is_faster

    if config.precision == "auto" and bfloat16_is_faster():
        found = trial(replace(settings, precision="bfloat16"), model, task, batch)
        if agree(first, found):
            take_if_faster(found)
    if compute.linear == "auto" and best.config.precision == "float32" and not compute.compile and is_exact():
        take_if_faster(trial(replace(settings, compute=replace(settings.compute, linear="onednn")), model, task, batch))
    while compute.threads is None and (threads := best.config.compute.threads or 1) > 1:
        fewer = replace(best.config, compute=replace(best.config.compute, threads=threads // 2))
        if not take_if_faster(trial(fewer, model, task, batch)):
            break
    return best.config, first.seconds / best.seconds


@dataclass(frozen=True)
class Trial:
    """What a forward and backward pass took, and what it found."""

    config: TrainConfig
    """How it was computed."""
    seconds: float
    """The fastest of a few passes."""
    loss: float
    """Summed over the targets."""
    gradients: list[Tensor]
    """Of the loss, for each parameter that it depends on."""


def trial(config: TrainConfig, model: M, task: Task[M, B], batch: B) -> Trial:
    """Time passes of one batch as `config` says; weights, gradients, random numbers and threads are left alone."""
    threads, mode = torch.get_num_threads(), model.training
    torch.set_num_threads(config.compute.threads or threads)
    model.train()
    try:
        found = _timed(config, model, task, batch)
        spent, best = 0.0, found if found.seconds >= LONG else _timed(config, model, task, batch)
        while (spent := spent + found.seconds) < ENOUGH:
            found = _timed(config, model, task, batch)
            best = found if found.seconds < best.seconds else best
    finally:
        model.train(mode)
        torch.set_num_threads(threads)
    return best


def _faster(one: Trial, other: Trial) -> Trial:
    return one if one.seconds <= other.seconds else other


def agree(one: Trial, other: Trial) -> bool:
    """Whether loss and gradient of two trials are the same but for rounding that training does not notice.

    The loss alone would tell little: before the first step it is about ln(vocabulary), whatever the layers compute.
    The gradient has gone through every product, forward and backward.
    """
    pairs = list(zip(one.gradients, other.gradients, strict=True))
    difference = sum((a - b).square().sum().item() for a, b in pairs)
    length = sum(a.square().sum().item() for a, _ in pairs)
    is_near = abs(other.loss - one.loss) <= LARGEST_LOSS_DIFFERENCE * abs(one.loss)  # False for NaN, as the next
    return is_near and difference <= LARGEST_GRADIENT_DIFFERENCE**2 * length


def _timed(config: TrainConfig, model: M, task: Task[M, B], batch: B) -> Trial:
    parameters = [p for p in model.parameters() if p.requires_grad]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same dropout for all
        began = time.perf_counter()
        with arithmetic(torch.device("cpu"), config):
            loss = task.loss(model, batch)
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        seconds = time.perf_counter() - began
    found = Trial(config, seconds, loss.item(), [g for g in gradients if g is not None])
    del loss, gradients
    give_back_freed_memory()
    return found


def bfloat16_is_faster() -> bool:
    """Whether this processor multiplies bfloat16 faster: asked of one product, as without it a model takes minutes."""
    x = torch.ones(256, 512)
    return _product_seconds(x.bfloat16()) * WORTH_IT < _product_seconds(x)


def _product_seconds(x: Tensor) -> float:
    def once() -> float:
        began = time.perf_counter()
        F.linear(x, x)
        return time.perf_counter() - began

    once()
    return min(once() for _ in range(5))
