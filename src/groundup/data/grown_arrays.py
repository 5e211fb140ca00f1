"""Folders of large arrays that are written block by block, go on where they were interrupted, and appear whole."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.download import sha256_of
from groundup.errors import InputError

FORMAT_VERSION = 1
"""Of arrays.json; a folder of another version is refused."""
DESCRIPTION = "arrays.json"
"""Name of the JSON beside the arrays."""
_PROGRESS = "progress.json"

Array = npt.NDArray[Any]
Block = Mapping[str, Array]
"""Rows to append to each array, by its name: as many for each."""


@dataclass(frozen=True)
class Column:
    """One array of a folder, [rows, width]."""

    dtype: str
    """NumPy's name of its element type, little-endian: "<u2"."""
    width: int
    """Elements of a row."""

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return np.dtype(self.dtype).itemsize * self.width


def write_arrays(
    folder: Path,
    columns: Mapping[str, Column],
    blocks: Callable[[int], Iterator[Block]],
    *,
    told: Mapping[str, object],
    report: Callable[[int], None] = lambda n_rows: None,
) -> None:
    """Write `folder`: NAME.bin for each column, and arrays.json. It appears complete or not at all.

    After each block what was written is forced to disk and counted, in a hidden folder beside. Whoever is stopped,
    killed or out of room goes on behind the last whole block when the same is asked for again. One process at a time:
    the caller sees to that.

    Args:
        folder: must not exist yet.
        columns: what is written, by name.
        blocks: from a number to an iterator over the blocks from that one on. A pure function: what was written before
            an interruption and after it must fit together.
        told: what the arrays hold, kept in the description. What was begun with other words is thrown away.
        report: told how many rows there are, after each block.

    Raises:
        InputError: the disk is full, or the place cannot be written; what is there stays.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "squares"
        >>> def blocks(first):
        ...     return ({"n": np.array([[i * i]], dtype="<i4")} for i in range(first, 4))
        >>> write_arrays(folder, {"n": Column("<i4", 1)}, blocks, told={"of": 4})
        >>> open_arrays(folder).column("n").ravel().tolist()
        [0, 1, 4, 9]
    """
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        n_blocks, n_rows = _begin(partial, columns, told)
        files = {name: (partial / f"{name}.bin").open("r+b") for name in columns}
        try:
            for name, file in files.items():
                file.truncate(n_rows * columns[name].row_bytes)
                file.seek(0, os.SEEK_END)
            for block in blocks(n_blocks):
                n_blocks, n_rows = n_blocks + 1, n_rows + _append(block, columns, files)
                _write_json(partial / _PROGRESS, {"told": dict(told), "blocks": n_blocks, "rows": n_rows})
                report(n_rows)
        finally:
            for file in files.values():
                file.close()
        _describe(partial, columns, n_rows, told)
        (partial / _PROGRESS).unlink()
        partial.rename(folder)
    except OSError as error:
        raise InputError(
            f"expected room to write {folder}, found: {error.strerror or error}; what was made so far is kept: make "
            "room, or choose another place"
        ) from None


@dataclass(frozen=True, kw_only=True)
class Arrays:
    """What `write_arrays` wrote, opened by `open_arrays`."""

    folder: Path
    """Where it is."""
    n_rows: int
    """Rows of each array."""
    columns: dict[str, Column]
    """The arrays by name."""
    sha256: dict[str, str]
    """Checksum of each file."""
    told: dict[str, Any]
    """What they hold."""

    def column(self, name: str) -> Array:
        """Return an array [rows, width], memory-mapped and read-only."""
        column = self.columns[name]
        path = self.folder / f"{name}.bin"
        return np.memmap(path, dtype=np.dtype(column.dtype), mode="r", shape=(self.n_rows, column.width))

    def verify(self) -> None:
        """Read every file and compare its checksum.

        Raises:
            InputError: naming the file that is not what was written.
        """
        for name, wanted in self.sha256.items():
            if (found := sha256_of(self.folder / f"{name}.bin")) != wanted:
                raise _damaged(self.folder / f"{name}.bin", f"SHA-256 {found} instead of {wanted}")


def open_arrays(folder: Path) -> Arrays:
    """Open what `write_arrays` wrote; reads nothing but the description and the sizes.

    Raises:
        InputError: no such folder, one of another version, or a file that is missing or cut short.
    """
    path = folder / DESCRIPTION
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        version = document["format_version"]
        kept = {str(name): dict(one) for name, one in document["columns"].items()}
        columns = {name: Column(str(one["dtype"]), int(one["width"])) for name, one in kept.items()}
        sha256 = {name: str(one["sha256"]) for name, one in kept.items()}
        n_rows, told = int(document["rows"]), dict(document["told"])
        sizes = {name: n_rows * column.row_bytes for name, column in columns.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path, getattr(error, "strerror", None) or "something else") from None
    if version != FORMAT_VERSION:
        raise _damaged(path, f"format_version {version!r} instead of {FORMAT_VERSION}")
    for name, size in sizes.items():
        file = folder / f"{name}.bin"
        found = file.stat().st_size if file.is_file() else None
        if found != size or n_rows < 1:
            raise _damaged(file, f"{'no file' if found is None else f'{found} bytes'} instead of {size} bytes")
    return Arrays(folder=folder, n_rows=n_rows, columns=columns, sha256=sha256, told=told)


def _begin(partial: Path, columns: Mapping[str, Column], told: Mapping[str, object]) -> tuple[int, int]:
    """Return how many blocks and rows an interrupted process has left; make the files where there are none."""
    try:
        progress = json.loads((partial / _PROGRESS).read_text(encoding="utf-8"))
        n_blocks, n_rows = int(progress["blocks"]), int(progress["rows"])
        sizes = {name: (partial / f"{name}.bin").stat().st_size for name in columns}
        is_ours = progress["told"] == json.loads(json.dumps(dict(told)))
        if is_ours and all(sizes[name] >= n_rows * column.row_bytes for name, column in columns.items()):
            return n_blocks, n_rows
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in columns:
        (partial / f"{name}.bin").touch()
    return 0, 0


def _describe(partial: Path, columns: Mapping[str, Column], n_rows: int, told: Mapping[str, object]) -> None:
    """Write what the files hold, with their checksums."""
    kept = {
        name: {"dtype": column.dtype, "width": column.width, "sha256": sha256_of(partial / f"{name}.bin")}
        for name, column in columns.items()
    }
    document = {"format_version": FORMAT_VERSION, "rows": n_rows, "columns": kept, "told": dict(told)}
    _write_json(partial / DESCRIPTION, document)


def _append(block: Block, columns: Mapping[str, Column], files: Mapping[str, Any]) -> int:
    """Write one block to its files and force it to disk; return its rows."""
    n_rows = {len(rows) for rows in block.values()}
    if block.keys() != columns.keys() or len(n_rows) != 1:
        raise ValueError(
            f"a block must have as many rows of each of {sorted(columns)}, found {sorted(block)}, {n_rows}"
        )
    for name, rows in block.items():
        if rows.shape[1:] != (columns[name].width,):
            raise ValueError(f"rows of {name} must have {columns[name].width} elements, found {rows.shape}")
        files[name].write(np.ascontiguousarray(rows, dtype=np.dtype(columns[name].dtype)).data)
        files[name].flush()
        os.fsync(files[name].fileno())
    return n_rows.pop()


def _write_json(path: Path, document: object) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _damaged(path: Path, found: str) -> InputError:
    return InputError(f"expected {path} as it was written, found {found}: remove {path.parent}, and it is made again")
