"""Labelled texts in .csv, .tsv and .jsonl files, read by column; what would be read nearly right is refused."""

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from groundup.errors import InputError

SUFFIXES = (".csv", ".tsv", ".jsonl")
"""What labelled texts are read from."""
Cells = Iterator[tuple[int, list[str]]]
"""Number of a line in its file, counted from 1, and what stands in its columns."""


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """What a file holds: texts without the space around them, and labels as they are spelled there."""

    texts: tuple[str, ...]
    """None of them empty."""
    labels: tuple[str, ...]
    """The label of each text."""
    n_empty: int = 0
    """How many rows were left out because their text is empty."""


def read_labelled(path: Path, *, text_column: str, label_column: str, suffix: str | None = None) -> LabelledRows:
    r"""Read a file of labelled texts.

    .csv is read with quotes (RFC 4180). In .tsv a tab always ends a column and a quote is a quote. Each line of .jsonl
    is an object. A column is given by its name in the first line; if both are given by number, counted from 0, the
    first line is a row like any other.

    Args:
        path: the file, UTF-8; a byte order mark is skipped.
        text_column: where the texts are: a name or a number; of .jsonl, a key.
        label_column: where the labels are.
        suffix: which of SUFFIXES it is. None: what the path ends in.

    Raises:
        InputError: no such file or column, another kind of file, bytes that are not UTF-8, a row with more or fewer
            columns than the first, a text without a label, no text at all.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "mail.tsv"
        >>> _ = path.write_text('kind\ttext\nham\tSee you "there"\nspam\tYou won!\nham\t \n')
        >>> read_labelled(path, text_column="text", label_column="kind")
        LabelledRows(texts=('See you "there"', 'You won!'), labels=('ham', 'spam'), n_empty=1)
    """
    kind = path.suffix.lower() if suffix is None else suffix
    if kind not in SUFFIXES:
        raise InputError(f"expected labelled texts in a {', '.join(SUFFIXES)} file, found {path}: give it its suffix")
    if text_column == label_column:
        raise InputError(f"expected texts and labels in two columns, found {text_column!r} for both: name another one")
    content = decode_text(path, _bytes_of(path))
    if kind == ".jsonl":
        rows = _objects(path, content, text_column, label_column)
    else:
        rows = _columns(path, _quoted(path, content) if kind == ".csv" else _tabbed(content), text_column, label_column)
    texts, labels, n_empty = [], [], 0
    for line, text, label in rows:
        if not text.strip():
            n_empty += 1
        elif not label.strip():
            raise InputError(f"expected a label in line {line} of {path}, found none: fill it in, or delete the line")
        else:
            texts.append(text.strip())
            labels.append(label.strip())
    if not texts:
        found = f"{n_empty:,} empty ones" if n_empty else "no row"
        raise InputError(f"expected texts in {path}, found {found}: is {text_column!r} their column?")
    return LabelledRows(texts=tuple(texts), labels=tuple(labels), n_empty=n_empty)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"expected labelled texts that can be read, found {path}: {error.strerror or error}") from None


def decode_text(path: Path, content: bytes) -> str:
    r"""Return what a file holds as text; a byte order mark is left out.

    Args:
        path: where it came from, for messages.
        content: UTF-8.

    Raises:
        InputError: bytes that are not UTF-8, with the line and what would convert them.

    Example:
        >>> decode_text(Path("mail.tsv"), b"\xef\xbb\xbfham")
        'ham'
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"expected UTF-8 in {path}, found UTF-16: convert it, with iconv -f utf-16 -t utf-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _not_utf8(path, content) from None


def _not_utf8(path: Path, content: bytes) -> InputError:
    """Tell a file in another encoding, which converts as a whole, from one that mixes two, which does not."""
    lines = content.split(b"\n")  # no character of UTF-8 has this byte inside
    bad = [i for i, line in enumerate(lines, 1) if not _is_utf8(line)]
    more = f" and {len(bad) - 1:,} more lines" if len(bad) > 1 else ""
    if any(not line.isascii() and _is_utf8(line) for line in lines):
        return InputError(
            f"expected UTF-8 in all of {path}, found a mix of encodings: line {bad[0]:,}{more} not in UTF-8, others in "
            f"it: correct those lines, or leave their bad bytes out with iconv -c -f utf-8 -t utf-8"
        )
    return InputError(
        f"expected UTF-8 in {path}, found another encoding in line {bad[0]:,}{more}: convert the file, for example "
        "with iconv -f latin1 -t utf-8"
    )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _quoted(path: Path, content: str) -> Cells:
    # Strict: otherwise one quote that is never closed would make a single text of the rest of the file.
    reader = csv.reader(io.StringIO(content, newline=""), strict=True)
    begin = 1
    try:
        for cells in reader:
            if cells:
                yield begin, cells
            begin = reader.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"expected CSV in {path}, found in the row that begins in line {begin}: {error}; a text with quotes is put "
            'in quotes, and its own are doubled: "so ""called"" news"'
        ) from None


def _tabbed(content: str) -> Cells:
    for number, line in enumerate(content.split("\n"), 1):  # splitlines would also cut inside texts, as at U+2028
        if line.removesuffix("\r"):
            yield number, line.removesuffix("\r").split("\t")


def _columns(path: Path, rows: Cells, text_column: str, label_column: str) -> Iterator[tuple[int, str, str]]:
    first = next(rows, None)
    if first is None:
        raise InputError(f"expected labelled texts in {path}, found an empty file: give another one")
    names = first[1]
    if text_column.isdecimal() and label_column.isdecimal():
        rows, by_number = chain([first], rows), True
    else:
        by_number = False
    text_at, label_at = (_place(path, names, column, by_number) for column in (text_column, label_column))
    for line, cells in rows:
        if len(cells) != len(names):
            raise InputError(
                f"expected {len(names)} columns in line {line} of {path}, as in its first, found {len(cells)}: what "
                f"separates columns is inside a text, which only a .csv file allows, in quotes"
            )
        yield line, cells[text_at], cells[label_at]


def _place(path: Path, names: list[str], column: str, by_number: bool) -> int:
    if not by_number and column in names:
        return names.index(column)
    if column.isdecimal() and int(column) < len(names):
        return int(column)
    shown = ", ".join(repr(name if len(name) <= 30 else name[:27] + "...") for name in names[:12])
    raise InputError(
        f"expected a column {column!r} in {path}, found {len(names)} in its first line: {shown}; name one of them, or "
        "if that is no header, give both columns by number, the first is 0"
    )


def _objects(path: Path, content: str, text_column: str, label_column: str) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        where = f"line {number} of {path}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"expected a JSON object in {where}, found: {error}; write one a line") from None
        if not isinstance(entry, dict):
            raise InputError(f"expected a JSON object in {where}, found {line[:40]!r}: write one a line")
        for column in (text_column, label_column):
            if column not in entry:
                shown = ", ".join(map(repr, entry)) or "none"
                raise InputError(f"expected a key {column!r} in {where}, found {shown}: name one of them as the column")
        yield number, _text(entry[text_column], where), _label(entry[label_column], where)


def _text(value: Any, where: str) -> str:  # noqa: ANN401 - whatever JSON holds
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"expected a text in {where}, found {json.dumps(value)[:40]}: put it in quotes")
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON can spell what Unicode has not
        raise InputError(f"expected whole characters in {where}, found half a surrogate pair: remove it") from None
    return value


def _label(value: Any, where: str) -> str:  # noqa: ANN401 - whatever JSON holds
    if value is None or isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return json.dumps(value)
    raise InputError(f"expected a word or a number as the label in {where}, found {json.dumps(value)[:40]}")
