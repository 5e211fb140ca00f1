"""One process at a time may train a run: a lock in its folder that dies with the process that holds it."""

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from groundup.errors import InputError

LOCK = ".lock"
"""Name of the file in the run's folder. It stays when the run ends: what counts is who holds it, not that it exists."""


@contextmanager
def locked(folder: Path, *, report: Callable[[str], None] = lambda line: None) -> Iterator[None]:
    """Hold the lock of a run while the block runs; whoever only reads a run needs none.

    The system gives the lock back when the process ends, whatever ends it (SIGKILL too), so it never needs to be
    removed by hand. Two blocks of one process exclude each other as well.

    Args:
        folder: the run.
        report: told when the file system has no locks; the block then runs without one.

    Raises:
        InputError: another process trains this run (which one, where, since when), or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with locked(folder):
        ...     try:
        ...         with locked(folder):
        ...             pass
        ...     except InputError as error:
        ...         print(str(error).partition(" by process ")[0].replace(str(folder), "runs/mine"))
        expected runs/mine to be free, found it being trained
        >>> with locked(folder):
        ...     pass
    """
    path = folder / LOCK
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"expected to write in {folder}, found: {error.strerror or error}; make it writable, or copy the run to a "
            "place that is"
        ) from None
    with file:
        try:
            _take(file)
        except BlockingIOError:
            raise InputError(
                f"expected {folder} to be free, found it being trained by {_holder(path)}: wait for its end, "
                "or end it and resume"
            ) from None
        except OSError as error:  # some network file systems
            report(f"no lock on {folder} ({error.strerror}): take care that no other process trains it")
        _sign(file)
        yield


def _sign(file: IO[str]) -> None:
    """Say who holds the lock, for the line that refuses others; on a full disk it stays unsigned."""
    since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
    told = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}) + "\n"
    with suppress(OSError):
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), told.encode())


def _holder(path: Path) -> str:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return f"process {told['pid']} on {told['host']} since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"  # it has taken the lock and not signed yet


if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[str]) -> None:
        file.seek(1 << 30)  # a byte far behind the text: Windows lets nobody read what is locked
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
        finally:
            file.seek(0)
else:
    import fcntl

    def _take(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
