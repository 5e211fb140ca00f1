"""One optimizer step: the gradient of a global batch, then the update. The loop, replay, plan and profile take it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from groundup.configs.training import TrainConfig
from groundup.tasks.task import Task
from groundup.training.compilation import compiled
from groundup.training.devices import arithmetic
from groundup.training.learned import thaw
from groundup.training.optimizers import build_optimizer
from groundup.training.schedules import learning_rate
from groundup.training.seeds import seed_step

M = TypeVar("M", bound=nn.Module)
B = TypeVar("B")


@dataclass(frozen=True)
class Gradient:
    """What `Stepper.gradient` found; the gradients themselves are in the parameters, clipped."""

    loss: Tensor
    """Mean over all targets of the step, still on the device."""
    norm: Tensor
    """Global norm before clipping, still on the device."""
    n_tokens: int
    """Tokens that the step read."""


class Stepper(Generic[M, B]):
    """Takes the optimizer steps of a run: step N is a pure function of the weights, the moments, the config and N.

    The loss of a step is summed over its micro-batches and divided by all of their targets, so accumulation changes
    nothing but memory.

    Args:
        model: what learns, on `device`.
        task: what is learned.
        config: how; settled by `compute.settle` (what is left open computes in float32, by torch's default).
        device: where the model is.

    Raises:
        InputError: config.compute.compile where torch.compile does not work.
    """

    def __init__(self, model: M, task: Task[M, B], config: TrainConfig, device: torch.device) -> None:
        self.model, self.task, self.config, self.device = model, task, config, device
        self.parameters = list(model.parameters())
        self._compiled = (task, compiled(task.loss)) if config.compute.compile else None  # the model stays as it is
        self.optimizer = build_optimizer(
            model, config.optimizer, learning_rate=config.learning_rate, precision=config.precision
        )

    def gradient(self, step: int) -> Gradient:
        """Compute and clip the gradient of step number `step`; weights and moments are untouched."""
        seed_step(self.config.seed, step, self.device)
        self.optimizer.zero_grad(set_to_none=True)
        thaw(self.model, step)
        batches = self.task.train_batch(step)
        loss = self.accumulate(batches)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm)
        return Gradient(loss, norm, sum(self.task.n_tokens(batch) for batch in batches))

    def update(self, step: int) -> float:
        """Apply the gradient of step number `step`; return the learning rate it was applied with."""
        rate = learning_rate(step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        self.optimizer.step()
        return rate

    def accumulate(self, batches: Sequence[B]) -> Tensor:
        """Add up the gradient of the mean loss over all targets of `batches`; return that loss."""
        n_targets = sum(self.task.n_targets(batch) for batch in batches)
        total = torch.zeros((), device=self.device)
        for batch in batches:
            with arithmetic(self.device, self.config):
                loss = self._loss(self.model, batch)
            (loss / n_targets).backward()  # type: ignore[no-untyped-call]
            total = total + loss.detach()
        return total / n_targets

    @property
    def _loss(self) -> Callable[[M, B], Tensor]:
        # A copy of this stepper whose task was exchanged, to watch each module, needs that task's own.
        if self._compiled is not None and self._compiled[0] is self.task:
            return self._compiled[1]
        return self.task.loss
