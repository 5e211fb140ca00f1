"""A disk that is full is reported once, although TensorBoard writes in a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_report() -> Iterator[None]:
    """Keep threads from printing a traceback of an OSError; TensorBoard raises the same one again where it is used.

    Example:
        >>> def fails():
        ...     raise OSError(28, "No space left on device")
        >>> with one_report():
        ...     thread = threading.Thread(target=fails)
        ...     thread.start()
        ...     thread.join()
    """
    show = threading.excepthook

    def show_others(found: threading.ExceptHookArgs) -> None:
        if not isinstance(found.exc_value, OSError):
            show(found)

    threading.excepthook = show_others
    try:
        yield
    finally:
        threading.excepthook = show
