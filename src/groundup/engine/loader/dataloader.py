"""DataLoader: a dataset in batches, shuffled by seed and epoch, made here or by worker processes ahead of time."""

import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from multiprocessing.context import BaseContext
from typing import Any

from groundup.engine.loader.dataset import is_stream
from groundup.engine.loader.fetching import END, Recipe, start_fetching
from groundup.engine.loader.pool import WorkerPool, start_context
from groundup.engine.loader.samplers import BatchSampler, RandomSampler, Sampler, SequentialSampler
from groundup.engine.loader.seeds import enter_epoch
from groundup.engine.random import Generator, default_generator


class DataLoader:
    """Iterates a dataset in batches of tensors; each iteration is an epoch, and its order that of (seed, epoch).

    The batches and their order do not depend on `num_workers`, nor do the numbers that `__getitem__` draws from
    `sample_generator(index)`. Workers pay when making a batch takes longer than what is done with it and there is a
    core for them; they cost a start (milliseconds forked, most of a second spawned) and a copy per batch.

    Args:
        dataset: by index (`Dataset`) or a stream (`IterableDataset`).
        batch_size: samples in a batch. None: each key of the sampler, or each element of a stream, gives a batch.
        shuffle: another order each epoch.
        sampler: the order, instead of `shuffle`.
        batch_sampler: lists of indices, instead of `batch_size`, `shuffle`, `sampler` and `drop_last`.
        num_workers: processes that make batches; 0 makes them here, when asked.
        collate_fn: the batch from a list of samples, instead of `default_collate`.
        drop_last: leave out a last batch that is not full. Of a stream: the last batch of each worker.
        seed: decides every order and `sample_generator`; by default it is drawn from `generator`.
        generator: by default the engine's own, which `manual_seed` seeds.
        prefetch_factor: batches that each worker makes ahead.
        persistent_workers: keep the workers, and their copies of the dataset, for the next epoch.
        worker_init_fn: called in each worker, with its number, before its first batch.
        timeout: seconds to wait for a batch from a worker; 0 for as long as it takes.
        multiprocessing_context: "fork", "forkserver" or "spawn" (see `pool`); by default fork on Linux, else spawn.

    Raises:
        ValueError: settings that contradict each other or are out of range.
        TypeError: what is neither a dataset by index nor a stream; or cannot be sent to a worker.
        WorkerError: while iterating: a worker that died, or whose exception cannot be sent. Other exceptions of the
            dataset arrive as they are, with a note of the index and, from a worker, its traceback.

    Example:
        >>> loader = DataLoader([10, 20, 30, 40, 50], batch_size=2, shuffle=True, seed=1)
        >>> list(loader)
        [tensor([20, 50]), tensor([10, 40]), tensor([30])]
        >>> list(loader)  # the next epoch
        [tensor([40, 20]), tensor([50, 30]), tensor([10])]
        >>> len(loader)
        3
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Sampler | None = None,
        batch_sampler: Iterable[list[int]] | None = None,
        *,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        drop_last: bool = False,
        seed: int | None = None,
        generator: Generator | None = None,
        prefetch_factor: int = 2,
        persistent_workers: bool = False,
        worker_init_fn: Callable[[int], object] | None = None,
        timeout: float = 0,
        multiprocessing_context: str | BaseContext | None = None,
    ) -> None:
        _at_least(0, num_workers=num_workers, timeout=timeout)
        _at_least(1, prefetch_factor=prefetch_factor, **({} if batch_size is None else {"batch_size": batch_size}))
        self._is_stream = is_stream(dataset)
        _no_contradiction(self._is_stream, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if seed is None:
            seed = int((generator or default_generator).numbers.integers(2**63))
        self.dataset, self.batch_size, self.drop_last, self.seed = dataset, batch_size, drop_last, seed
        self.num_workers, self.persistent_workers = num_workers, persistent_workers
        self.epoch = 0
        self.sampler: Sampler | None = sampler
        self.batch_sampler = batch_sampler
        if not self._is_stream and batch_sampler is None:
            if sampler is None and not hasattr(dataset, "__len__"):
                raise TypeError(f"DataLoader: {type(dataset).__name__} has no __len__; write it, or give a sampler")
            self.sampler = sampler or (RandomSampler(dataset, seed=seed) if shuffle else SequentialSampler(dataset))
            self.batch_sampler = BatchSampler(self.sampler, batch_size, drop_last) if batch_size else None
        self._recipe = Recipe(
            dataset=dataset, collate_fn=collate_fn, batch_size=batch_size, drop_last=drop_last, seed=seed,
            worker_init_fn=worker_init_fn,
        )  # fmt: skip
        self._context = start_context(multiprocessing_context)
        self._ahead, self._timeout = prefetch_factor, timeout
        self._kept: WorkerPool | None = None

    def set_epoch(self, epoch: int) -> None:
        """Let the next iteration be that of `epoch`, as when a run is resumed."""
        if epoch < 0:
            raise ValueError(f"set_epoch: expected an epoch >= 0, found {epoch}")
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches in an epoch.

        Raises:
            TypeError: a stream that does not know its length.
        """
        if not self._is_stream:
            order: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
            return len(order)
        if not hasattr(self.dataset, "__len__"):
            raise TypeError(f"DataLoader: the stream {type(self.dataset).__name__} has no __len__, so neither has this")
        n, size = len(self.dataset), self.batch_size or 1
        return n // size if self.drop_last else -(-n // size)

    def __iter__(self) -> Iterator[Any]:
        epoch = self.epoch
        self.epoch += 1
        keys = self._keys(epoch)
        if not self.num_workers:
            return self._here(keys, epoch)
        return _FromWorkers(self._pool(), keys, epoch, keep=self.persistent_workers)

    def _pool(self) -> WorkerPool:
        if self._kept and not self._kept.closed:
            return self._kept
        pool = WorkerPool(self._recipe, self.num_workers, self._ahead, self._context, self._timeout)
        if self.persistent_workers:
            self._kept = pool
            weakref.finalize(self, pool.close)
        return pool

    def _keys(self, epoch: int) -> Iterator[Any]:
        """Return what the batches are asked for by: lists of indices, single keys, or for a stream nothing."""
        if self._is_stream:
            return iter(count())
        order: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        if hasattr(order, "set_epoch"):
            order.set_epoch(epoch)
        return iter(order)

    def _here(self, keys: Iterator[Any], epoch: int) -> Iterator[Any]:
        enter_epoch(self.seed, epoch)
        fetch = start_fetching(self._recipe)
        for key in keys:
            enter_epoch(self.seed, epoch)  # another loader may have been asked in between
            batch = fetch(key)
            if batch is END:
                return
            yield batch


class _FromWorkers:
    """One epoch from a pool: the workers are asked in turn and answer in turn, so nothing has to be put in order."""

    def __init__(self, pool: WorkerPool, keys: Iterator[Any], epoch: int, *, keep: bool) -> None:
        self._pool, self._keys = pool, keys
        self._key = next(keys, END)  # what is asked for next, END when there is nothing
        self._turn = 0
        self._asked: deque[int] = deque()  # workers, in the order of the batches
        self._ended: set[int] = set()
        # Closes when the loop is left by break or by an exception, and at the latest when the interpreter ends.
        self._finish = weakref.finalize(self, _nothing if keep else pool.close)
        try:
            self._epoch = pool.begin_epoch(epoch)
            self._ask_ahead()
        except BaseException:
            pool.close()
            raise

    def __iter__(self) -> "_FromWorkers":
        return self

    def __next__(self) -> Any:
        if not self._finish.alive:
            raise StopIteration
        if self._epoch != self._pool.epochs:
            raise RuntimeError("a newer iteration of the same DataLoader has taken over its persistent workers")
        try:
            while self._asked:
                worker = self._asked.popleft()
                batch = self._pool.receive(worker)
                if batch is END:
                    self._ended.add(worker)
                self._ask_ahead()
                if batch is not END:
                    return batch
        except BaseException:
            self._finish()
            self._pool.close()  # not to be kept: a worker has failed, or stands in the middle of a message
            raise
        self._finish()
        raise StopIteration

    def _ask_ahead(self) -> None:
        n_workers = len(self._pool)
        while self._key is not END and len(self._ended) < n_workers:
            worker = self._turn % n_workers
            if worker not in self._ended:
                if not self._pool.has_room(worker, self._key):
                    return
                self._pool.ask(worker, self._key)
                self._asked.append(worker)
                self._key = next(self._keys, END)
            self._turn += 1


def _nothing() -> None:
    """Do not close a pool that is kept."""


def _at_least(least: int, **settings: float) -> None:
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, int if name != "timeout" else int | float) or value < least:
            raise ValueError(f"DataLoader: expected {name} to be a number >= {least}, found {value!r}")


def _no_contradiction(
    stream: bool, batch_size: int | None, shuffle: bool, sampler: object, batch_sampler: object, drop_last: bool
) -> None:
    if stream and (shuffle or sampler is not None or batch_sampler is not None):
        raise ValueError(
            "DataLoader: a stream (IterableDataset) has its own order: shuffle inside its __iter__, and give neither "
            "shuffle nor sampler nor batch_sampler"
        )
    if sampler is not None and shuffle:
        raise ValueError("DataLoader: sampler and shuffle both decide the order: give one of them")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError(
            "DataLoader: batch_sampler decides batch_size, shuffle, sampler and drop_last: give none of these with it"
        )
    if batch_size is None and drop_last:
        raise ValueError("DataLoader: drop_last is about batches made here: with batch_size=None there are none")
