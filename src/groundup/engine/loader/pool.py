"""The pool: worker processes as the loader sees them, from their start to their end, and the memory shared with them.

Each worker has one pipe and a few blocks of shared memory. The pool makes, gives out and frees all blocks, so that
whatever becomes of a worker, nothing is left behind. A batch is copied out of its block once, and the block is free
for the next: a batch that the caller keeps is the caller's own.

How a worker starts. `fork` copies this process as it is: in milliseconds, and the dataset is there, shared until
written to, picklable or not. Its danger is threads: a lock that another thread held is held for ever in the copy, which
is why Python 3.12 warns and Python 3.14 begins otherwise unless told. `spawn` and `forkserver` begin a new interpreter:
safe, but slower by the time of the imports, with a pickled copy of the dataset for each worker, and running the main
script's top level once more. The default is fork on Linux, where datasets of gigabytes and notebooks make its gains
count and a worker uses none of the main program's locks; spawn elsewhere, because system libraries of macOS use
threads of their own and Windows has no fork. Give `multiprocessing_context="forkserver"` in a program with threads.
"""

import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import BaseContext
from multiprocessing.reduction import ForkingPickler
from multiprocessing.shared_memory import SharedMemory
from typing import Any, Final

from groundup.engine.loader.fetching import END, Recipe, shortened
from groundup.engine.loader.packing import put_together
from groundup.engine.loader.workers import WorkerError, run_worker

_GRACE = 1.0
"""Seconds that a worker in the middle of a batch is given to end by itself."""
_LOOK = 1.0
"""Seconds between looks at whether a worker that says nothing is still alive."""
_LONG = 4_096
"""Indices of a batch that could fill a pipe: sent to an idle worker only, so that no two ends wait to write."""
_GUARD: Final = (
    "Under 'spawn' and 'forkserver' each worker imports the main script anew, so what stands at its top level runs "
    "again. Keep there only imports and definitions, and put what starts the work under\n\n"
    '    if __name__ == "__main__":\n        main()\n\n'
    "or use num_workers=0."
)


def start_context(chosen: str | BaseContext | None) -> BaseContext:
    """Return how workers start: what was chosen here or by `multiprocessing.set_start_method`, or the default.

    Raises:
        ValueError: a name that this platform does not have.
    """
    if isinstance(chosen, BaseContext):
        return chosen
    default = "fork" if sys.platform == "linux" else "spawn"
    name = chosen or multiprocessing.get_start_method(allow_none=True) or default
    known = multiprocessing.get_all_start_methods()
    if name not in known:
        raise ValueError(f"expected multiprocessing_context to be one of {', '.join(known)}, found {name!r}")
    return multiprocessing.get_context(name)


class WorkerPool:
    """Worker processes with a pipe each.

    Args:
        recipe: how they make batches.
        n_workers: how many.
        ahead: batches that a worker is asked for beyond the one that is waited for.
        context: how they start.
        timeout: seconds to wait for a batch; 0 for as long as it takes.

    Raises:
        TypeError: a dataset or function that cannot be sent to a process.
        RuntimeError: this process is itself a worker that is just starting.
    """

    def __init__(self, recipe: Recipe, n_workers: int, ahead: int, context: BaseContext, timeout: float) -> None:
        self.ahead, self.timeout = ahead, timeout
        self._method = context.get_start_method()
        self._owner = os.getpid()
        self._connections: list[Any] = []
        self._processes: list[Any] = []
        self._pending: list[deque[tuple[Any, int]]] = [deque() for _ in range(n_workers)]  # (indices, slot)
        self._sent = [0] * n_workers
        self._blocks: list[list[SharedMemory | None]] = [[None] * ahead for _ in range(n_workers)]
        self._answered = [False] * n_workers
        self.closed = False
        self.epochs = 0
        resource_tracker.ensure_running()  # before a fork, or each worker would start its own, which frees our blocks
        try:
            with _interrupts_held():
                for number in range(n_workers):
                    self._start(context, number, n_workers, recipe)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._pending)

    def _start(self, context: BaseContext, number: int, n_workers: int, recipe: Recipe) -> None:
        ours, theirs = context.Pipe()
        self._connections.append(ours)
        # A forked worker has copies of our ends; it closes them, or the pipes would not close when we close them.
        copies = self._connections if self._method == "fork" else []
        process = context.Process(  # type: ignore[attr-defined]
            target=run_worker,
            args=(theirs, number, n_workers, recipe, copies),
            name=f"loader worker {number}",
            daemon=True,
        )
        try:
            process.start()
        except RuntimeError as error:
            if "bootstrapping" not in str(error):
                raise
            raise RuntimeError(f"a DataLoader was started while a worker imports the main script. {_GUARD}") from None
        except Exception as error:
            raise _unpicklable(recipe, self._method, error) from error
        finally:
            theirs.close()  # the worker's is now the only one: its death closes the pipe
        self._processes.append(process)

    def begin_epoch(self, epoch: int) -> int:
        """Let the workers begin an epoch, throw away what they were still asked for; return how many were begun."""
        for worker, pending in enumerate(self._pending):
            while pending:
                self._take(worker)
        for worker in range(len(self)):
            self._send(worker, ("epoch", epoch))
        self.epochs += 1
        return self.epochs

    def has_room(self, worker: int, indices: Any) -> bool:
        """Return whether the worker can be asked for another batch."""
        waiting = len(self._pending[worker])
        return waiting == 0 or (waiting < self.ahead and not (isinstance(indices, list) and len(indices) > _LONG))

    def ask(self, worker: int, indices: Any) -> None:
        """Ask a worker for the batch of these indices (for a stream: of its next samples)."""
        slot = self._sent[worker] % self.ahead  # free: answers come in order, and `has_room` was asked
        block = self._blocks[worker][slot]
        self._sent[worker] += 1
        self._pending[worker].append((indices, slot))
        self._send(worker, ("fetch", indices, slot, block and block.name, block.size if block else 0))

    def receive(self, worker: int) -> Any:
        """Return the next batch that the worker was asked for, or END.

        Raises:
            Exception: what the worker raised, with its traceback as the cause.
            WorkerError: it is dead, or what it raised cannot be sent.
            TimeoutError: the batch took longer than `timeout`.
        """
        what, *rest, slot = self._take(worker)
        if what == "end":
            return END
        if what == "error":
            error, text = rest
            told = WorkerError(f"in worker {worker} (process {self._processes[worker].pid}):\n\n{text}")
            if error is None:
                raise told
            raise error from told
        skeleton, n_bytes, in_block = rest
        block = self._blocks[worker][slot]
        if in_block:
            assert block is not None
            return put_together(skeleton, block.buf)
        if n_bytes > (block.size if block else 0):
            self._blocks[worker][slot] = None
            _free(block)
            self._blocks[worker][slot] = _block(n_bytes + n_bytes // 4 if block else n_bytes)
        return skeleton

    def _take(self, worker: int) -> tuple[Any, ...]:
        connection, process = self._connections[worker], self._processes[worker]
        started = time.monotonic()
        look = min(_LOOK, self.timeout or _LOOK)
        try:
            while not connection.poll(look):
                if not process.is_alive() and not connection.poll(0):
                    raise EOFError
                if self.timeout and time.monotonic() - started >= self.timeout:
                    raise TimeoutError(
                        f"worker {worker} (process {process.pid}) has not given the batch of indices "
                        f"{shortened(self._pending[worker][0][0])} within timeout={self.timeout:g} s: __getitem__ or "
                        "collate_fn hangs or is slow; with num_workers=0 a debugger shows where"
                    )
            answer = connection.recv()
        except (EOFError, ConnectionResetError, BrokenPipeError):
            raise self._death(worker) from None
        self._answered[worker] = True
        return (*answer, self._pending[worker].popleft()[1])

    def _send(self, worker: int, message: tuple[Any, ...]) -> None:
        try:
            self._connections[worker].send(message)
        except (BrokenPipeError, ConnectionResetError):
            raise self._death(worker) from None

    def _death(self, worker: int) -> WorkerError:
        process = self._processes[worker]
        process.join(_LOOK)
        code = process.exitcode
        ended = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        doing = "before its first batch"
        if self._pending[worker]:
            doing = f"at the batch of indices {shortened(self._pending[worker][0][0])}"
        hint = "Its own output, above this, may say why."
        if code == -signal.SIGTERM or code == -getattr(signal, "SIGKILL", 9):
            hint = (
                "Nobody but you or the system does that, the system when memory runs out: take fewer workers, smaller "
                "batches or a smaller prefetch_factor."
            )
        elif code == -getattr(signal, "SIGBUS", 7):
            hint = "That is how shared memory that is full ends: take fewer workers or smaller batches."
        elif not self._answered[worker] and self._method != "fork":
            hint = _GUARD
        return WorkerError(f"worker {worker} (process {process.pid}) {ended} {doing}. {hint}")

    def close(self) -> None:
        """End the workers and free the blocks. Those that do not end by themselves soon are made to."""
        if self.closed or os.getpid() != self._owner:  # a copy of this pool in a forked process owns nothing
            return
        self.closed = True
        try:
            for connection in self._connections:
                connection.close()
            deadline = time.monotonic() + _GRACE
            for force in (None, "terminate", "kill"):
                for process in self._processes:
                    if force and process.is_alive():
                        getattr(process, force)()
                for process in self._processes:
                    process.join(max(0.0, deadline - time.monotonic()) if force is None else _GRACE)
            for process in self._processes:
                process.close()
        finally:
            for block in (block for blocks in self._blocks for block in blocks):
                _free(block)


def _block(n_bytes: int) -> SharedMemory | None:
    """Return a block, or None where shared memory has not that much left: pages that are not there kill who writes."""
    folder = "/dev/shm"
    if os.path.isdir(folder) and shutil.disk_usage(folder).free < n_bytes:  # noqa: PTH112
        return None
    return SharedMemory(create=True, size=n_bytes)


def _free(block: SharedMemory | None) -> None:
    if block:
        block.close()
        block.unlink()


def _unpicklable(recipe: Recipe, method: str, error: Exception) -> Exception:
    """Return an error that says which part of the recipe cannot be sent, or the one that was raised."""
    for name in ("dataset", "collate_fn", "worker_init_fn"):
        part = getattr(recipe, name)
        try:
            ForkingPickler.dumps(part)
        except Exception as reason:
            return TypeError(
                f"{name} ({getattr(part, '__qualname__', type(part).__qualname__)}) cannot be sent to a worker: under "
                f"{method!r} it is pickled, and {reason}. Define functions and classes at the top level of a module "
                "(no lambda, no function in a function; functools.partial is fine), open files in __getitem__ and not "
                "in __init__, or use num_workers=0"
            )
    return error


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold back Ctrl-C while processes start: they begin with it held back, and stay quiet until they can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
