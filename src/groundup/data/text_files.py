"""Text files in pieces: any size in little memory, byte for byte, refusing what is not UTF-8."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from groundup.errors import InputError

SUFFIXES = (".txt", ".md")
"""What counts as a text in a folder."""
PIECE_BYTES = 1_000_000
"""How much of a file is read at once."""


def read_pieces(path: Path, *, max_bytes: int | None = None, piece_bytes: int = PIECE_BYTES) -> Iterator[str]:
    r"""Yield the text of a UTF-8 file in pieces of about `piece_bytes`.

    The text is exact: line ends stay as they are in the file (`\r\n` is two characters), and so does a byte order
    mark. With `max_bytes` only the first bytes are read, and a character that they cut apart is left out.

    Raises:
        InputError: the file cannot be read, or is not UTF-8; then the error names the offset of the first bad byte.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
        >>> _ = path.write_bytes("naïve\r\n".encode())
        >>> list(read_pieces(path, piece_bytes=3)), list(read_pieces(path, max_bytes=3))
        (['na', 'ïve', '\r\n'], ['na'])
    """
    decoder = codecs.getincrementaldecoder("utf-8")("strict")
    read = 0
    try:
        with path.open("rb") as file:
            while block := file.read(piece_bytes if max_bytes is None else min(piece_bytes, max_bytes - read)):
                waiting = len(decoder.getstate()[0])  # first bytes of a character whose rest comes in this block
                try:
                    piece = decoder.decode(block)
                except UnicodeDecodeError as error:
                    raise _not_utf8(path, read - waiting + error.start) from None
                read += len(block)
                if piece:
                    yield piece
    except OSError as error:
        raise _unreadable(path, error) from None
    waiting = len(decoder.getstate()[0])
    if waiting and (max_bytes is None or read < max_bytes):
        raise _not_utf8(path, read - waiting)


def text_paths(folder: Path) -> list[Path]:
    """Return the texts in `folder` and its subfolders, sorted by path; empty and hidden ones are left out.

    Raises:
        InputError: there is none.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.md", "a.txt", "picture.png", ".hidden.txt"):
        ...     _ = (folder / name).write_text("x")
        >>> [path.name for path in text_paths(folder)]
        ['a.txt', 'b.md']
    """
    found = []
    try:
        for path in folder.rglob("*"):
            inner = path.relative_to(folder)
            hidden = any(part.startswith(".") for part in inner.parts)
            if path.suffix.lower() in SUFFIXES and not hidden and path.is_file() and path.stat().st_size:
                found.append(path)
    except OSError as error:
        raise _unreadable(folder, error) from None
    if not found:
        names = " or ".join(f"*{suffix}" for suffix in SUFFIXES)
        raise InputError(f"expected texts ({names}, not empty) in the folder {folder}, found none: put some there")
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def size_of(path: Path) -> int:
    """Return the bytes in a text file.

    Raises:
        InputError: the file cannot be looked at, or is empty.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
        >>> _ = path.write_text("four")
        >>> size_of(path)
        4
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise _unreadable(path, error) from None
    if not size:
        raise InputError(f"expected a text in {path}, found an empty file: put text in it, or give another file")
    return size


def _not_utf8(path: Path, offset: int) -> InputError:
    return InputError(
        f"expected UTF-8 text in {path}, found a byte that is not at offset {offset}: convert it, for example with "
        f"iconv -f latin1 -t utf-8"
    )


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"expected a text that can be read, found {path}: {error.strerror or error}")
