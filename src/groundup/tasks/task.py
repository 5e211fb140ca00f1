"""What the training loop asks of anything that can be learned."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module, contravariant=True)
"""The kind of model that is taught."""
B = TypeVar("B")
"""One micro-batch; only the task looks inside."""


class Task(Protocol[M, B]):
    """Something to learn. Any class with these members is a task: nothing inherits from this one."""

    @property
    def floor(self) -> float | None:
        """The lowest loss that any model can reach, in the unit of `evaluate`'s "loss", or None if not known."""

    def train_batch(self, step: int) -> Sequence[B]:
        """Return the micro-batches of step 0, 1, 2, …: a pure function of `step`, so a resumed run sees the same."""

    def n_targets(self, batch: B) -> int:
        """Return how many predictions `loss` sums over; the loop divides by those of the whole step."""

    def n_tokens(self, batch: B) -> int:
        """Return how many tokens (or other inputs) a model reads for it, padding left out: for tokens per second."""

    def loss(self, model: M, batch: B) -> Tensor:
        """Return the loss summed, not averaged, over the targets of one micro-batch: a scalar with gradient."""

    def evaluate(self, model: M) -> dict[str, float]:
        """Return figures on data never trained on; "loss" (lower is better) decides which weights are best."""

    def sample(self, model: M, step: int) -> str:
        """Return what the model makes at this point of the run, as text to look at; "" for nothing."""

    def describe(self, batch: B) -> str:
        """Return what is in one micro-batch for a person to read, a line for each example: for reports of a fault."""


@runtime_checkable
class Pictured(Protocol):
    """What a task may have besides: pictures of each evaluation, for TensorBoard."""

    def pictures(self, model: Any, step: int) -> Mapping[str, npt.NDArray[np.uint8]]:  # noqa: ANN401 - the task's own
        """Return what the model makes of data never trained on, by name: colours, uint8 [H, W, 3]."""
