"""IDX files unpacked once: what is published gzipped can be memory-mapped from its second use on without unpacking."""

import contextlib
import os
from pathlib import Path

from groundup.data.image_idx import read_idx, write_idx
from groundup.download import cache_folder, sha256_of
from groundup.errors import InputError


def unpacked_idx(path: Path) -> Path:
    """Return an IDX file that can be memory-mapped: `path` itself, or if gzipped its content, in the cache.

    The copy is named by the checksum of what it was made from, so another file of the same name gets another copy. It
    appears complete or not at all.

    Raises:
        InputError: a file that is damaged, or no room in the cache.

    Example:
        >>> import gzip, tempfile
        >>> from unittest.mock import patch
        >>> import numpy as np
        >>> from groundup.data.image_idx import map_idx
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_idx(folder / "a.idx", np.arange(3, dtype=np.uint8))
        >>> _ = (folder / "b.idx.gz").write_bytes(gzip.compress((folder / "a.idx").read_bytes()))
        >>> with patch.dict(os.environ, GROUNDUP_CACHE=str(folder / "cache")):
        ...     map_idx(unpacked_idx(folder / "b.idx.gz")).tolist()
        [0, 1, 2]
    """
    if path.suffix != ".gz":
        return path
    found = cache_folder() / "idx" / f"{path.stem}-{sha256_of(path)[:16]}"
    if found.is_file():
        return found
    partial = found.with_name(f".{found.name}.{os.getpid()}.partial")
    try:
        found.parent.mkdir(parents=True, exist_ok=True)
        write_idx(partial, read_idx(path))
        partial.replace(found)
    except OSError as error:
        raise InputError(f"expected room to unpack {path} at {found}, found: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):  # it may not be there, nor its folder
            partial.unlink()
    return found
