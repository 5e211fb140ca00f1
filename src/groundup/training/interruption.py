"""Ctrl-C, and a polite request to end, that never fall between two halves of a step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what `kill`, systemd, Slurm and preemptible machines send before they end a process by force."""


class Interruption:
    """While active, either signal raises KeyboardInterrupt at once, except inside `deferred`: there it waits.

    A forward or backward pass can be dropped at any point: weights have not changed. The update of weights, counters
    and records must be whole. Only the main thread receives signals; elsewhere this does nothing.

    Example:
        >>> with Interruption() as interruption:
        ...     try:
        ...         with interruption.deferred():
        ...             signal.raise_signal(signal.SIGINT)
        ...             print("the update is finished")
        ...     except KeyboardInterrupt:
        ...         print("then it stops")
        the update is finished
        then it stops
    """

    def __init__(self) -> None:
        self._is_deferring = False
        self._is_pending = False

    def __enter__(self) -> "Interruption":
        self._is_installed = threading.current_thread() is threading.main_thread()
        if self._is_installed:
            self._previous = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_installed:
            for number, handler in self._previous.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold the signals back until the block is done."""
        self._is_deferring = True
        try:
            yield
        finally:
            self._is_deferring = False
        if self._is_pending:
            self._is_pending = False
            raise KeyboardInterrupt

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self._is_deferring:
            raise KeyboardInterrupt
        self._is_pending = True
