"""Marked checkpoints: kept for good, whatever else a run prunes. The mark is an empty file inside the checkpoint."""

import errno
import os
from pathlib import Path

from groundup.errors import InputError

MARK = "marked"
"""Name of that file. Inside the folder it cannot part from it, and no other process need be told."""


def is_marked(folder: Path) -> bool:
    """Tell whether a checkpoint is kept for good."""
    return (folder / MARK).exists()


def set_mark(folder: Path, *, marked: bool) -> None:
    """Mark a checkpoint, or take its mark away; doing so twice is no error.

    Raises:
        InputError: no such checkpoint, or a place that cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> set_mark(folder, marked=True)
        >>> is_marked(folder)
        True
        >>> set_mark(folder, marked=False)
        >>> is_marked(folder)
        False
    """
    try:
        if marked:
            (folder / MARK).touch()
        elif folder.is_dir():
            (folder / MARK).unlink(missing_ok=True)
        else:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    except OSError as error:
        raise InputError(
            f"expected a checkpoint to {'mark' if marked else 'unmark'} at {folder}, found: {error.strerror}; "
            "see groundup checkpoints RUN"
        ) from None
