"""A folder that is there whole or not at all: written beside its place, then renamed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from groundup.errors import InputError


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to write a model into, which becomes `folder` at the end, and vanishes if anything goes wrong.

    Its name holds the number of this process: of two that write to one place at once, the first to end has it.

    Raises:
        InputError: `folder` is in use, a full disk, or a place that cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "model"
        >>> with new_folder(folder) as beside:
        ...     _ = (beside / "a.json").write_text("[1]")
        ...     folder.exists()
        False
        >>> (folder / "a.json").read_text()
        '[1]'
    """
    folder = Path(folder).absolute()  # "." has no name to write beside
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    try:
        refuse_in_use(folder)
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed and had the same number
        partial.mkdir(parents=True)
        yield partial
        refuse_in_use(folder)  # another process may have been faster
        partial.rename(folder)
    except (OSError, SafetensorError) as error:
        found = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise InputError(
            f"expected to write a model at {folder}, found: {found}; make room or name another place"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_in_use(folder: Path) -> None:
    """Raise InputError unless `folder` is new or empty: ask before work that takes long."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"expected a new or empty folder to write to, found {folder} in use: name another")
