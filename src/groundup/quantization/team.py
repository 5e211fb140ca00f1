"""Threads that do one compiled function together: each its share, all waiting for each other where they must.

numba's own parallel loops are not used: a step would need a hundred and fifty of them, at some microseconds each, and
their OpenMP ends a program that forks.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from groundup.quantization.compiler import cgutils, compiled, intrinsic, ir, types

SPINS = 2_000
"""Looks at the counter, some microseconds, before the processor is offered to others at each look."""
BEYOND = 1 << 62
"""More than any goal: with it in the counter nobody waits."""


def _atomic(kind: str) -> Any:  # noqa: ANN401 - numba's own
    """Return an intrinsic on the int64 at an address, seen by all threads in one order: "add" 1, or "load" it."""

    @intrinsic
    def operation(typing: Any, address: Any) -> Any:  # noqa: ANN401
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
            place = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
            if kind == "add":
                return builder.atomic_rmw("add", place, ir.IntType(64)(1), "seq_cst")
            return builder.load_atomic(place, "seq_cst", 8)

        return types.int64(types.int64), generate

    return operation


_add_one, _look = _atomic("add"), _atomic("load")


@intrinsic
def _yield(typing: Any) -> Any:  # noqa: ANN401
    """Offer the processor to other threads, where the system is POSIX."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        if os.name == "posix":
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


@compiled()
def all_here(counter: int, goal: int, n: int) -> int:
    """Say that this thread is here, and return the next goal when all `n` are: `goal` counts those of all waits."""
    _add_one(counter)
    looks = 0
    while _look(counter) < goal:
        looks += 1
        if looks > SPINS:
            _yield()
    return goal + n


@compiled()
def share_of(n_rows: int, thread: int, n: int) -> tuple[int, int]:
    """Return a thread's first row and, exclusive, its last.

    Example:
        >>> [share_of(7, thread, 2) for thread in range(2)]
        [(0, 3), (3, 7)]
    """
    return thread * n_rows // n, (thread + 1) * n_rows // n


def work(share: Callable[[int, int, int], object], *, n: int | None = None) -> None:
    """Call share(thread, n, counter) on n threads, this one among them; None: on as many as torch is told to use.

    `counter` is the address of a number for `all_here`. Pieces of work that come at once are done in turn. What
    stops this thread (Ctrl-C) lets the others through all their waits: what they write is then nobody's.

    Example:
        >>> done = []
        >>> work(lambda thread, n, counter: done.append(thread))
        >>> sorted(done) == list(range(torch.get_num_threads()))
        True
    """
    n = torch.get_num_threads() if n is None else n
    counter = np.zeros(1, np.int64)
    if n == 1:
        _take(share, 0, 1, counter)
        return
    lock, pool = _crew(os.getpid(), n)
    with lock:  # two pieces at once would wait for each other's threads
        others: list[Future[None]] = []
        try:
            for thread in range(1, n):
                others.append(pool.submit(_take, share, thread, n, counter))
            _take(share, 0, n, counter)
        except BaseException:
            counter[0] = BEYOND
            raise
        finally:
            for other in others:
                other.result()


def _take(share: Callable[[int, int, int], object], thread: int, n: int, counter: npt.NDArray[np.int64]) -> None:
    """Do one share; whoever is at it keeps the counter's memory."""
    share(thread, n, counter.ctypes.data)


@cache
def _crew(process: int, n: int) -> tuple[Lock, ThreadPoolExecutor]:
    """Return the threads beside the calling one; a forked process has none of its parent's, so it gets its own."""
    return Lock(), ThreadPoolExecutor(n - 1, thread_name_prefix="groundup-team")
