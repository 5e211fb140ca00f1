"""Samplers: in which order a dataset is read, and how the order is cut into batches.

A sampler is an iterable of indices that knows its length. Those with a seed give another order each time they are
iterated, and each order is a pure function of (seed, epoch): `set_epoch(7)`, and the next one is that of epoch 7 again.
"""

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Protocol

import numpy as np

from groundup.engine.loader.seeds import generator_of_order


class Sampler(Iterable[int], Sized, Protocol):
    """Indices in some order, and how many there are."""


class SequentialSampler:
    """0, 1, 2, … in order.

    Example:
        >>> list(SequentialSampler("abc"))
        [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __len__(self) -> int:
        return len(self.data_source)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))


class RandomSampler:
    """Every index once, in an order that each epoch changes.

    Args:
        data_source: what has the length.
        replacement: draw each index independently of the others, so that some come twice and some not at all.
        num_samples: how many indices an epoch has; by default as many as there are samples. More than those are
            dealt from one order after another.
        seed: decides the order of each epoch.

    Raises:
        ValueError: `num_samples` below 1, or nothing to sample from.

    Example:
        >>> sampler = RandomSampler(range(6), seed=0)
        >>> first, second = list(sampler), list(sampler)  # epochs 0 and 1
        >>> sampler.set_epoch(0)
        >>> first == list(sampler), first == second, sorted(first)
        (True, False, [0, 1, 2, 3, 4, 5])
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, *, seed: int = 0
    ) -> None:
        if num_samples is not None and num_samples < 1:
            raise ValueError(f"RandomSampler: expected num_samples >= 1, found {num_samples}")
        if num_samples and not len(data_source):
            raise ValueError(f"RandomSampler: expected samples to draw {num_samples} from, found an empty dataset")
        self.data_source, self.replacement, self.num_samples, self.seed = data_source, replacement, num_samples, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be that of `epoch`."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.data_source) if self.num_samples is None else self.num_samples

    def __iter__(self) -> Iterator[int]:
        numbers = generator_of_order(self.seed, self.epoch)
        self.epoch += 1
        n, wanted = len(self.data_source), len(self)
        if self.replacement:
            order = numbers.integers(0, n, wanted)
        else:
            rounds = [numbers.permutation(n) for _ in range(-(-wanted // n) if n else 0)]
            order = np.concatenate([*rounds, np.zeros(0, np.int64)])[:wanted]
        return iter(order.tolist())


class WeightedRandomSampler:
    """Indices drawn in proportion to weights, as for classes of unequal size.

    Args:
        weights: one for each sample, not negative; they need not sum to 1.
        num_samples: how many indices an epoch has.
        replacement: whether an index may come more than once.
        seed: decides the draws of each epoch.

    Raises:
        ValueError: weights that are negative, not finite or all zero, or too few of them to draw without replacement.

    Example:
        >>> drawn = list(WeightedRandomSampler([1, 0, 3], num_samples=1_000))
        >>> drawn.count(1), 700 < drawn.count(2) < 800
        (0, True)
    """

    def __init__(self, weights: Sequence[float], num_samples: int, replacement: bool = True, *, seed: int = 0) -> None:
        found = np.asarray(weights, dtype=np.float64)
        if found.ndim != 1 or not np.isfinite(found).all() or (found < 0).any() or not found.sum() > 0:
            raise ValueError(
                f"WeightedRandomSampler: expected weights [N], finite, not negative and not all 0, found {weights}"
            )
        if num_samples < 1 or (not replacement and num_samples > np.count_nonzero(found)):
            raise ValueError(
                f"WeightedRandomSampler: expected 1 … {np.count_nonzero(found)} samples without replacement and at "
                f"least 1 with it, found {num_samples}"
            )
        self.shares, self.num_samples, self.replacement, self.seed = found / found.sum(), num_samples, replacement, seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be that of `epoch`."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        numbers = generator_of_order(self.seed, self.epoch)
        self.epoch += 1
        return iter(numbers.choice(len(self.shares), self.num_samples, self.replacement, self.shares).tolist())


class BatchSampler:
    """The order of a sampler, cut into lists of `batch_size` indices.

    Args:
        sampler: indices in order.
        batch_size: how many a batch has; the last has what is left.
        drop_last: leave out a last batch that is not full.

    Raises:
        ValueError: `batch_size` below 1.

    Example:
        >>> list(BatchSampler(range(7), batch_size=3))
        [[0, 1, 2], [3, 4, 5], [6]]
    """

    def __init__(self, sampler: Sampler, batch_size: int, drop_last: bool = False) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"expected batch_size to be a whole number >= 1, found {batch_size!r}")
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be that of `epoch`, if the sampler has epochs."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size if self.drop_last else -(-len(self.sampler) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch
