"""A stream that a thread of its own makes, so that whoever shows it is not kept waiting and can end it."""

import threading
import weakref
from collections.abc import Generator, Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

Piece = TypeVar("Piece")

_Sent = tuple[Piece] | BaseException | None  # one piece, what was raised, or the end
SECONDS_TO_END = 10.0
"""How long an abandoned stream is waited for: much longer than a step."""


class BackgroundStream(Generic[Piece]):
    """Iterates over `pieces`, which a thread of its own draws as fast as it can.

    What the thread raises is raised here, after the pieces before it. `stop` ends it within a step: the piece in the
    making is the last. A stream that is abandoned half-way (its `with` left, its last reference gone, the program at
    its end) is stopped, closed in its thread and waited for, so that the model is free again.

    Args:
        pieces: what `stream` returns, or any iterator; nobody else may touch it.
        stopped: an event that `pieces` look at and end by; then `stop` sets it and all that they still give is passed
            on. It stops beam search, which gives nothing before its end:
            `BackgroundStream(stream(…, is_stopped=stopped.is_set), stopped)`.

    Example:
        >>> list(BackgroundStream(iter("abc")))
        ['a', 'b', 'c']
        >>> with BackgroundStream(iter(range(10**9))) as numbers:
        ...     next(numbers), next(numbers)
        (0, 1)
    """

    def __init__(self, pieces: Iterator[Piece], stopped: threading.Event | None = None) -> None:
        self._stopped = threading.Event() if stopped is None else stopped
        self._sent: SimpleQueue[_Sent[Piece]] = SimpleQueue()
        self._is_over = False
        arguments = (pieces, self._sent, self._stopped, stopped is not None)
        # Nothing that the thread holds leads back here: else the last reference would never go.
        self._thread = threading.Thread(target=_work, args=arguments, name="groundup-stream", daemon=True)
        self._thread.start()
        self._end = weakref.finalize(self, _end, self._stopped, self._thread)

    def __iter__(self) -> "BackgroundStream[Piece]":
        """Return itself."""
        return self

    def __next__(self) -> Piece:
        """Wait for the next piece."""
        if self._is_over:
            raise StopIteration
        sent = self._sent.get()
        if isinstance(sent, tuple):
            return sent[0]
        self._is_over = True
        if sent is None:
            raise StopIteration
        raise sent

    def stop(self) -> None:
        """End the stream within a step, without waiting: what was drawn until then can still be iterated over.

        Any thread may call it, and more than once.
        """
        self._stopped.set()

    def close(self) -> None:
        """Stop, and wait until the thread has ended."""
        self._end()

    def __enter__(self) -> "BackgroundStream[Piece]":
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()


def _work(pieces: Iterator[Piece], sent: "SimpleQueue[_Sent[Piece]]", stopped: threading.Event, sees: bool) -> None:
    try:
        try:
            for piece in pieces:
                sent.put((piece,))
                if stopped.is_set() and not sees:
                    break
        finally:
            if isinstance(pieces, Generator):  # here: a generator cannot be closed while another thread runs it
                pieces.close()
    except BaseException as error:  # also a SystemExit: it is whoever iterates that it is meant for
        sent.put(error)
    else:
        sent.put(None)


def _end(stopped: threading.Event, thread: threading.Thread) -> None:
    stopped.set()
    if thread is not threading.current_thread():  # the collector may run anywhere
        thread.join(SECONDS_TO_END)
