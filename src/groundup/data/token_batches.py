"""Batches of pairs within a budget of tokens: which pairs is a pure function of (seed, step), each once an epoch.

Shapes: N pairs.
"""

import functools

import numpy as np
import numpy.typing as npt

from groundup.data.length_batches import BATCHES_IN_A_POOL
from groundup.data.permutation import derive_key, permute

Lengths = npt.NDArray[np.int64]
"""Tokens of both sides of each pair [N, 2]."""


class TokenBatches:
    """Deals out pairs so that every batch is about as much work, and padding costs little.

    A batch of B pairs, whose longest source has S tokens and whose longest target T, counts B · (S + T) tokens: what a
    model computes for it, padding included. It has as many pairs as the budget and `most_pairs` allow, and at least
    one. So short pairs come in large batches, and long ones in small batches.

    Each epoch puts the N pairs in another order, cuts it into pools, sorts each pool by length, cuts it into batches,
    and deals those of a pool in another order. How many batches an epoch has depends on what met in them, so step k is
    found by counting through the epochs before it; each is put in order once. `LengthBatches` deals a fixed number of
    texts, which needs no counting.

    Args:
        lengths: of both sides of each pair, in tokens [N, 2].
        most_pairs: most pairs of a batch.
        budget: most tokens of a batch, padding included; a longer pair is a batch of its own. None: `most_pairs` alone.
        seed: decides the order of each epoch.
        pool: batches, about, whose pairs are sorted together. 1 mixes fully, and pads as chance will.

    Raises:
        ValueError: no pair, or a size below 1.

    Example:
        >>> lengths = np.array([[9, 8], [2, 3], [8, 9], [1, 1], [2, 2], [3, 2]])
        >>> batches = TokenBatches(lengths, most_pairs=8, budget=40, seed=0)
        >>> [batches.batch(step).tolist() for step in range(2)], batches.n_batches(0)
        ([[3, 4, 5, 1], [0, 2]], 2)
    """

    def __init__(
        self, lengths: Lengths, *, most_pairs: int, budget: int | None, seed: int, pool: int = BATCHES_IN_A_POOL
    ) -> None:
        if min(len(lengths), most_pairs, pool, 1 if budget is None else budget) < 1:
            found = f"{len(lengths)}, {most_pairs=}, {budget=}, {pool=}"
            raise ValueError(f"expected pairs and positive sizes, found {found}")
        self._lengths = np.asarray(lengths, np.int64)
        self._most, self._seed = most_pairs, seed
        self._budget = np.iinfo(np.int64).max if budget is None else budget
        mean = float(self._lengths.sum(axis=1).mean())
        self._pool = pool * max(1, min(most_pairs, int(self._budget / mean)))  # pairs
        self._begins = [0]  # the first step of each epoch that was counted so far
        self._epoch = functools.lru_cache(maxsize=2)(self._dealt)

    def batch(self, step: int) -> npt.NDArray[np.int64]:
        """Return which pairs make up batch `step` (0, 1, 2, …).

        Raises:
            ValueError: a negative step.
        """
        if step < 0:
            raise ValueError(f"expected step >= 0, found {step}")
        while self._begins[-1] <= step:
            self._begins.append(self._begins[-1] + len(self._epoch(len(self._begins) - 1)))
        epoch = int(np.searchsorted(self._begins, step, side="right")) - 1
        return self._epoch(epoch)[step - self._begins[epoch]]

    def n_batches(self, epoch: int) -> int:
        """Return how many batches it takes until every pair was dealt in an epoch (0, 1, 2, …)."""
        return len(self._epoch(epoch))

    def _dealt(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Return the batches of one epoch in their order."""
        n = len(self._lengths)
        mixed = permute(np.arange(n), n, derive_key(self._seed, epoch))
        n_pools = max(1, n // self._pool)  # a rest below a pool is shared by all: no batch is small for it
        dealt: list[npt.NDArray[np.int64]] = []
        for i, pairs in enumerate(np.array_split(mixed, n_pools)):
            # By the longer side: of Multi30k (4,096 tokens a batch) padding is 8 %, by the target's side first 13 %.
            sides = self._lengths[pairs]
            batches = self._cut(pairs[np.lexsort((sides.sum(axis=1), sides.max(axis=1)))])
            turns = permute(np.arange(len(batches)), len(batches), derive_key(self._seed, epoch, i))
            dealt += [batches[turn] for turn in turns.tolist()]
        return dealt

    def _cut(self, pairs: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """Cut pairs in their order into batches, each as large as may be."""
        batches, first, longest = [], 0, np.zeros(2, np.int64)
        for i, sides in enumerate(self._lengths[pairs]):
            wider = np.maximum(longest, sides)
            n = i - first + 1
            if n > 1 and (n > self._most or n * int(wider.sum()) > self._budget):
                batches.append(pairs[first:i])
                first, wider = i, sides
            longest = wider
        return [*batches, pairs[first:]]
