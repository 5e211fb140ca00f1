"""Workers: what a worker process does, what it knows about itself, and how streams are shared out among them."""

import signal
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from multiprocessing.shared_memory import SharedMemory
from typing import Any, TypeVar

from groundup.engine.loader.fetching import END, Recipe, start_fetching
from groundup.engine.loader.packing import take_apart, write
from groundup.engine.loader.seeds import enter_epoch, seed_worker

T = TypeVar("T")


class WorkerError(RuntimeError):
    """A worker process that ended, or what it reported when it failed."""


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """What code that runs in a worker can know about it."""

    id: int
    """0 … num_workers - 1."""
    num_workers: int
    seed: int
    """What the global random generators of this worker began this epoch with."""
    dataset: Any
    """This process's own copy."""
    batch_size: int | None


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Return what this worker process is; None in the main process.

    Example:
        >>> get_worker_info() is None
        True
    """
    return _info


def shard(samples: Iterable[T]) -> Iterator[T]:
    """Yield the part of a stream that belongs to this worker; all of it in the main process.

    The stream is dealt by whole batches: with W workers, worker w keeps batches w, w + W, w + 2W, … Since the loader
    asks the workers in turn, it hands out the same batches in the same order with any number of workers. Each worker
    still runs through the whole stream and drops what is not its own, so this suits streams that are cheap to read and
    costly to work on: wrap the reading, then work on what is left. Where reading is the cost, open other files in each
    worker instead, by `get_worker_info().id`.

    Example:
        >>> list(shard("abc"))  # no worker here
        ['a', 'b', 'c']
    """
    info = get_worker_info()
    if info is None:
        yield from samples
        return
    for i, sample in enumerate(samples):
        if i // (info.batch_size or 1) % info.num_workers == info.id:
            yield sample


def run_worker(
    connection: Connection, number: int, n_workers: int, recipe: Recipe, not_ours: Iterable[Connection]
) -> None:
    """Serve the loader at the other end of the pipe, until it closes.

    It sends ("epoch", epoch) or ("fetch", indices, slot, name, size): the shared block that is free for the batch, or
    None and 0 for the last two. The answers to a fetch come in its order: ("batch", skeleton, bytes, in_block);
    ("end",); or ("error", exception or None, its text).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: the main one acts and closes the pipe
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a forked worker would run the main program's handler
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # held back by the loader until the line above
    for end in not_ours:
        end.close()
    blocks: dict[int, SharedMemory] = {}
    try:
        _serve(connection, blocks, number, n_workers, recipe)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the loader has closed its end, or is gone
    finally:
        for block in blocks.values():
            block.close()


def _serve(connection: Connection, blocks: dict[int, SharedMemory], number: int, n: int, recipe: Recipe) -> None:
    fetch: Any = None
    failed: Any = None
    begun = False
    while True:
        what, *rest = connection.recv()
        try:
            if what == "epoch":
                failed = None
                _enter(recipe, rest[0], number, n)
                if not begun and recipe.worker_init_fn:
                    recipe.worker_init_fn(number)
                begun = True
                fetch = start_fetching(recipe)
                continue
            answer = failed or _message(_packed(fetch(rest[0]), blocks, *rest[1:]))
        except Exception as error:
            answer = _message(("error", _portable(error), traceback.format_exc()))
            if what == "epoch":
                failed = answer  # told at the first fetch: what the loader reads are answers to those only
                continue
        connection.send_bytes(answer)


def _enter(recipe: Recipe, epoch: int, number: int, n_workers: int) -> None:
    global _info
    seed = seed_worker(recipe.seed, epoch, number)
    _info = WorkerInfo(
        id=number, num_workers=n_workers, seed=seed, dataset=recipe.dataset, batch_size=recipe.batch_size
    )
    enter_epoch(recipe.seed, epoch)


def _packed(batch: Any, blocks: dict[int, SharedMemory], slot: int, name: str | None, size: int) -> tuple[Any, ...]:
    """Return the answer that carries a batch: by the block if it fits there, else through the pipe."""
    if batch is END:
        return ("end",)
    skeleton, arrays, n_bytes = take_apart(batch)
    if name is None or n_bytes > size or not arrays:
        return "batch", batch, n_bytes, False
    if slot in blocks and blocks[slot].name != name:  # it was too small, and the loader has made another
        blocks.pop(slot).close()
    if slot not in blocks:
        blocks[slot] = SharedMemory(name)
    buffer = blocks[slot].buf
    assert buffer is not None
    write(arrays, buffer)
    return "batch", skeleton, n_bytes, True


def _message(answer: tuple[Any, ...]) -> Any:
    """Return the bytes of an answer: made before anything is written, so that what cannot be sent can be told."""
    try:
        return ForkingPickler.dumps(answer)
    except Exception as error:
        error.add_note("raised while a batch was sent from a worker: it holds something that cannot be pickled")
        raise


def _portable(error: Exception) -> Exception | None:
    """Return the error if it survives the way through the pipe."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:
        return None
    return error
