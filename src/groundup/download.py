"""Published files: where they are on this machine, and the download when they are not, always checked by SHA-256."""

import hashlib
import os
from pathlib import Path

from groundup.errors import InputError


def find_file(file: str, *, url: str, sha256: str) -> Path:
    """Return the path of a published file: in `GROUNDUP_DATA`, else in the cache, else downloaded into the cache.

    Args:
        file: its path inside either folder, such as "tinyshakespeare/input.txt".
        url: where it is published.
        sha256: its checksum, hexadecimal.

    Raises:
        InputError: a file that is there but has another checksum (it is never used, nor replaced), a
            `GROUNDUP_DATA` that is no folder, or no network.

    Example:
        >>> import tempfile
        >>> from unittest.mock import patch
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.txt").write_bytes(b"abc")
        >>> with patch.dict(os.environ, GROUNDUP_DATA=str(folder)):
        ...     find_file("a.txt", url="https://example.org/a.txt", sha256=sha256_of(folder / "a.txt")).name
        'a.txt'
    """
    data = data_folder()
    if data is not None and not data.is_dir():
        raise InputError(f"expected GROUNDUP_DATA to name a folder, found {data}: create it, or unset the variable")
    here = look_for(file)
    if here is None:
        return _download(file, url, sha256)
    found = sha256_of(here)
    if found != sha256:
        raise InputError(
            f"expected {here} to have SHA-256 {sha256}, found {found}: replace it by {url}, or give its path to use it "
            "as it is"
        )
    return here


def look_for(file: str) -> Path | None:
    """Return where a published file lies on this machine, unchecked, or None.

    Example:
        >>> look_for("no/such/file.txt") is None
        True
    """
    folders = [folder for folder in (data_folder(), cache_folder()) if folder is not None]
    try:
        return next((path for folder in folders if (path := folder / file).is_file()), None)
    except OSError as error:
        raise InputError(f"expected to look for {file}, found: {error}") from None


def local_path(given: str) -> Path:
    """Return a path that a person gave, with `~` made out; nothing needs to be there.

    Raises:
        InputError: the home folder of a user who does not exist, or a path that the system cannot even look up.

    Example:
        >>> local_path("notes.txt").name
        'notes.txt'
    """
    try:
        path = Path(given).expanduser()
        path.exists()  # a name that is too long, or a folder that may not be entered
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such home folder"
        raise InputError(f"expected a path that can be used, found {given!r}: {reason}") from None
    return path


def data_folder() -> Path | None:
    """Return the folder that the environment variable `GROUNDUP_DATA` names, or None when it is unset.

    Example:
        >>> from unittest.mock import patch
        >>> with patch.dict(os.environ, GROUNDUP_DATA="/somewhere"):
        ...     data_folder().as_posix()
        '/somewhere'
    """
    named = os.environ.get("GROUNDUP_DATA")
    return local_path(named) if named else None


def cache_folder() -> Path:
    """Return the folder of downloads: `GROUNDUP_CACHE`, else groundup's in the platform's cache folder.

    Example:
        >>> from unittest.mock import patch
        >>> with patch.dict(os.environ, GROUNDUP_CACHE="/somewhere"):
        ...     cache_folder().as_posix()
        '/somewhere'
    """
    named = os.environ.get("GROUNDUP_CACHE")
    if named:
        return local_path(named)
    import pooch  # 0.2 s with what it imports: not for --help

    return Path(pooch.os_cache("groundup"))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal.

    Raises:
        InputError: it cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a"
        >>> _ = path.write_bytes(b"abc")
        >>> sha256_of(path)[:16]
        'ba7816bf8f01cfea'
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"expected a file that can be read, found {path}: {error.strerror or error}") from None


def _download(file: str, url: str, sha256: str) -> Path:
    import pooch

    target = cache_folder() / file
    pooch.get_logger().setLevel("WARNING")  # the progress bar says it all
    try:
        # Written to a temporary file, checked, and only then moved to its name.
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}",
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(progressbar=True, timeout=20),
        )
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
        reason = "its checksum is wrong" if isinstance(error, ValueError) else type(error).__name__
        raise InputError(
            f"expected to find or download {url}, found neither ({reason}): put {target.name} at "
            f"{data_folder() or '$GROUNDUP_DATA'}/{file}, or use what needs no file: groundup train tales"
        ) from None
    return target
