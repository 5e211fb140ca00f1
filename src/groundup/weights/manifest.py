"""The manifest of a folder: size and SHA-256 of every file in it, so that damage is found and named before use."""

import hashlib
import json
import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from groundup.errors import InputError

MANIFEST = "manifest.json"
"""Its name in the folder it describes."""
FORMAT_VERSION = 1
"""Of the manifest; a folder of another version is refused."""
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*\.(json|safetensors)")
"""The files a checkpoint may hold: nothing that leads out of its folder."""


def write_manifest(folder: Path) -> None:
    """Force every file of `folder` to disk, then write its manifest, then force the names.

    Raises:
        OSError: no room, or a disk that fails.

    Example: see `verify_manifest`.
    """
    files = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb+") as file:
            files[path.name] = {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
            os.fsync(file.fileno())
    with (folder / MANIFEST).open("wb") as file:
        file.write(_render(files))
        file.flush()
        os.fsync(file.fileno())
    sync_names(folder)


def verify_manifest(folder: Path, *, only: Collection[str] | None = None, contents: bool = True) -> list[str]:
    """Return the names of the files that the manifest lists, after comparing them with it.

    Args:
        folder: what `write_manifest` described. Files it does not list are left alone.
        only: names without ending; other files are neither read nor returned. None: all.
        contents: compare checksums; False looks at names and sizes only, and reads nothing.

    Raises:
        InputError: naming the file that is missing, cut short or altered, or a name in `only` that is not listed.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "a.json").write_text("[1]")
        >>> write_manifest(folder)
        >>> verify_manifest(folder)
        ['a.json']
        >>> _ = (folder / "a.json").write_text("[2]")
        >>> try:
        ...     verify_manifest(folder)
        ... except InputError as error:
        ...     print(str(error).replace(str(folder), "here"))
        expected here/a.json as it was saved, found other bytes: this checkpoint is damaged, use another
    """
    files = _read(folder)
    chosen = [name for name in files if only is None or Path(name).stem in only]
    if missing := set(only or ()) - {Path(name).stem for name in chosen}:
        raise InputError(f"expected {', '.join(sorted(missing))} in {folder}, found no such file: use another")
    for name in chosen:
        path, told = folder / name, files[name]
        try:
            size = path.stat().st_size
            if size != told["size"]:
                raise damaged(path, f"{size} bytes instead of {told['size']}")
            if contents:
                with path.open("rb") as file:
                    if hashlib.file_digest(file, "sha256").hexdigest() != told["sha256"]:
                        raise damaged(path, "other bytes")
        except OSError as error:
            raise damaged(path, error.strerror or str(error)) from None
    return chosen


def damaged(path: Path, found: str) -> InputError:
    """Return the error for a file that is not as it was saved."""
    return InputError(f"expected {path} as it was saved, found {found}: this checkpoint is damaged, use another")


def sync_names(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _render(files: dict[str, Any]) -> bytes:
    """Write a manifest; it carries a checksum of its own, so that damage to it is not blamed on another file."""
    checksum = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    told = {"format_version": FORMAT_VERSION, "checksum": checksum, "files": files}
    return (json.dumps(told, indent=2) + "\n").encode()


def _read(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not folder.is_dir():
        raise InputError(f"expected the folder of a checkpoint, found none at {folder}: give the path of a saved one")
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from None
    try:
        told = json.loads(raw)
        version, files = told["format_version"], told["files"]
        # Written again it must be the same bytes: a change that JSON's reader forgives is a change all the same.
        intact = version != FORMAT_VERSION or _render(files) == raw
        intact = intact and all(FILE_NAME.fullmatch(name) for name in files)
    except (ValueError, KeyError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise damaged(path, "other bytes")
    if version != FORMAT_VERSION:
        raise InputError(
            f"expected a checkpoint of format {FORMAT_VERSION}, found {version!r} in {path}: "
            "read it with the version of groundup that wrote it"
        )
    return dict(files)
