"""Early stopping: which evaluation was the best so far, and whether it is too long ago."""

import math
from typing import Any


class EarlyStopping:
    """Keeps the lowest loss seen and counts the evaluations since (Prechelt 1998, "Early stopping — but when?", UP_s).

    An equal loss is no new best, and neither is NaN or infinity.

    Args:
        patience: evaluations without a new best until `is_exhausted`. None: never.

    Raises:
        ValueError: a patience below 1.

    Example:
        >>> stopping = EarlyStopping(patience=2)
        >>> [stopping.update(step, loss) for step, loss in ((10, 3.0), (20, 2.0), (30, 2.5))]
        [True, True, False]
        >>> stopping.is_exhausted, stopping.update(40, 2.0), stopping.is_exhausted
        (False, False, True)
        >>> stopping.best_step, stopping.best_loss
        (20, 2.0)
    """

    def __init__(self, patience: int | None) -> None:
        if patience is not None and patience < 1:
            raise ValueError(f"patience must be None or at least 1, found {patience}")
        self.patience = patience
        self.best_step: int | None = None
        self.best_loss: float | None = None
        self.n_since_best = 0

    def update(self, step: int, loss: float) -> bool:
        """Take in an evaluation, and return whether it is the best so far."""
        is_best = math.isfinite(loss) and (self.best_loss is None or loss < self.best_loss)
        if is_best:
            self.best_step, self.best_loss, self.n_since_best = step, loss, 0
        else:
            self.n_since_best += 1
        return is_best

    @property
    def is_exhausted(self) -> bool:
        """Whether the last `patience` evaluations brought nothing better: time to stop."""
        return self.patience is not None and self.n_since_best >= self.patience

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, as JSON can hold it.

        Example:
            >>> stopping = EarlyStopping(patience=3)
            >>> _ = stopping.update(10, 2.5)
            >>> stopping.state()
            {'best_step': 10, 'best_loss': 2.5, 'n_since_best': 0}
        """
        return {"best_step": self.best_step, "best_loss": self.best_loss, "n_since_best": self.n_since_best}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned; the patience stays this object's own."""
        self.best_step, self.best_loss = state["best_step"], state["best_loss"]
        self.n_since_best = state["n_since_best"]
