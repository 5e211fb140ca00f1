"""Next-token windows over a token array: batch k is a pure function of (seed, k), each window comes once an epoch."""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.data.permutation import derive_key, permute
from groundup.data.rows import rows_of
from groundup.errors import InputError


class Windows:
    """Cuts tokens [N] into windows of `context_length` + 1 tokens and deals them out in batches.

    Neighbouring windows share one token, the last target of one being the first input of the next, so in an epoch
    no target is learned twice. Each epoch moves all cuts by another offset below `context_length`, so a token is
    not always seen with the same past, and deals the windows in another order; up to 2 · `context_length` - 1
    tokens at the two ends are left out, other ones each epoch.

    Nothing is stored about what was dealt: a resumed run asks for batch k and gets it. A batch may begin in one
    epoch and end in the next, and may be larger than an epoch.

    Args:
        ids: tokens [N] of any integer type; a memory-mapped file is read only where a batch needs it, and what was read
            of a large one does not stay in memory (`groundup.data.rows`).
        context_length: T, the tokens that the model reads at once.
        seed: decides the offset and the order of each epoch.

    Raises:
        InputError: fewer than `context_length` + 1 tokens.
        ValueError: `context_length` below 1, or `ids` that are not one-dimensional.

    Example:
        >>> windows = Windows(np.arange(100), context_length=4, seed=0)
        >>> inputs, targets = windows.batch(step=3, batch_size=2)  # [B, T] each
        >>> inputs.tolist()
        [[27, 28, 29, 30], [91, 92, 93, 94]]
        >>> targets.tolist()
        [[28, 29, 30, 31], [92, 93, 94, 95]]
        >>> windows.n_windows, windows.steps_per_epoch(batch_size=2)
        (24, 12)
    """

    def __init__(self, ids: npt.NDArray[np.integer[Any]], context_length: int, seed: int) -> None:
        if context_length < 1 or ids.ndim != 1:
            raise ValueError(f"expected ids [N] and context_length >= 1, found {ids.shape} and {context_length}")
        if len(ids) < context_length + 1:
            raise InputError(
                f"expected at least {context_length + 1} tokens for one window of context_length {context_length}, "
                f"found {len(ids)}: take a longer text, a shorter context_length, or, if these are the validation "
                "tokens, a larger validation_fraction"
            )
        self.context_length = context_length
        self.seed = seed
        # Every offset below context_length leaves room for this many windows; a short text still gives one.
        self.n_windows = max(1, (len(ids) - context_length) // context_length)
        self._n_offsets = min(context_length, len(ids) - self.n_windows * context_length)
        self._rows = rows_of(ids, context_length + 1)

    def batch(self, step: int, batch_size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return inputs [B, T] and targets [B, T] of batch `step` (0, 1, 2, …); targets are one token further.

        Raises:
            ValueError: a negative step, or a batch size below 1.

        Example:
            >>> inputs, targets = Windows(np.arange(9), context_length=8, seed=1).batch(step=0, batch_size=1)
            >>> inputs.tolist(), targets.tolist()
            ([[0, 1, 2, 3, 4, 5, 6, 7]], [[1, 2, 3, 4, 5, 6, 7, 8]])
        """
        if step < 0 or batch_size < 1:
            raise ValueError(f"expected step >= 0 and batch_size >= 1, found {step} and {batch_size}")
        rows = self._rows(self._starts(step * batch_size, batch_size))  # [B, T + 1]
        return np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, 1:])

    def positions(self, step: int, batch_size: int) -> npt.NDArray[np.int64]:
        """Return where the inputs of batch `step` stand in the text: [B, T], each one before its target.

        Example:
            >>> Windows(np.arange(100), context_length=4, seed=0).positions(step=3, batch_size=2).tolist()
            [[27, 28, 29, 30], [91, 92, 93, 94]]
        """
        return self._starts(step * batch_size, batch_size)[:, None] + np.arange(self.context_length)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return how many batches it takes until every window was dealt (the last one may begin the next epoch).

        Example:
            >>> Windows(np.arange(100), context_length=4, seed=0).steps_per_epoch(batch_size=10)
            3
        """
        return -(-self.n_windows // batch_size)

    def _starts(self, first: int, count: int) -> npt.NDArray[np.int64]:
        """Return where windows number first, first + 1, … (counted from the start of epoch 0) begin: [count]."""
        parts = []
        while count > 0:
            epoch, position = divmod(first, self.n_windows)
            here = min(count, self.n_windows - position)
            order, offset = _epoch(self.seed, epoch, self._n_offsets)
            windows = permute(np.arange(position, position + here), self.n_windows, order)
            parts.append(windows * self.context_length + offset)
            first, count = first + here, count - here
        return parts[0] if len(parts) == 1 else np.concatenate(parts)


@functools.lru_cache(maxsize=64)
def _epoch(seed: int, epoch: int, n_offsets: int) -> tuple[int, int]:
    """Return the key of the order and the offset that one epoch uses."""
    return derive_key(seed, epoch, 0), derive_key(seed, epoch, 1) % n_offsets
