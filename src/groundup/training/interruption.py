"""Ctrl-C that never falls between two halves of a step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Interruption:
    """While active, Ctrl-C raises KeyboardInterrupt at once, except inside `deferred`, where it waits for the end.

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
            self._previous = signal.signal(signal.SIGINT, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_installed:
            signal.signal(signal.SIGINT, self._previous)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold Ctrl-C back until the block is done."""
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
