"""One table for three readers: aligned text for a terminal, Markdown, and HTML."""

import re
import unicodedata
from dataclasses import dataclass
from html import escape

MISSING = "–"
"""Stands where a figure is not known."""
GAP = "  "
"""Between two columns of a terminal."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """What stands above a column, and how its cells are set."""

    title: str
    """In a few words."""
    is_number: bool = True
    """Numbers end at the same edge; words begin at one."""


@dataclass(frozen=True)
class Cell:
    """What stands in a cell."""

    text: str = MISSING
    """The figure or the words."""
    note: str = ""
    """Beside it, less loud: an interval."""

    def __str__(self) -> str:
        """Both in one line."""
        return f"{self.text} ({self.note})" if self.note else self.text


@dataclass(frozen=True, kw_only=True)
class Table:
    r"""Columns and rows. The first column names the rows.

    Example:
        >>> columns = (Column(title="run", is_number=False), Column(title="loss"))
        >>> table = Table(columns=columns, rows=((Cell("mine"), Cell("1.5")), (Cell("a|b"), Cell("12.25", "±0.1"))))
        >>> print(aligned(table))
        run           loss
        mine    1.5
        a|b   12.25 (±0.1)
        >>> print(markdown(table))
        | run | loss |
        |:---|---:|
        | mine | 1.5 |
        | a\|b | 12.25 (±0.1) |
    """

    columns: tuple[Column, ...]
    """From left to right."""
    rows: tuple[tuple[Cell, ...], ...]
    """A cell for each column."""


def aligned(table: Table, width: int | None = None) -> str:
    """Return the table as text of lines that are equally wide.

    Args:
        table: what to show.
        width: columns of the terminal. What does not fit beside the first column follows below, under the first column
            once more. None: as wide as it is.
    """
    columns = [_column(table, i) for i in range(len(table.columns))]
    lines = list(zip(*columns, strict=True))
    widths = [max(columns_of(line[i]) for line in lines) for i in range(len(table.columns))]
    blocks = [[0]]
    for i in range(1, len(table.columns)):
        used = sum(widths[j] + len(GAP) for j in blocks[-1])
        if width is not None and len(blocks[-1]) > 1 and used + widths[i] > width:
            blocks.append([0])
        blocks[-1].append(i)
    texts = []
    for block in blocks:
        cells = ([_padded(line[i], widths[i], table.columns[i].is_number) for i in block] for line in lines)
        texts.append("\n".join(GAP.join(line).rstrip() for line in cells))
    return "\n\n".join(texts)


def markdown(table: Table) -> str:
    """Return the table in Markdown, whatever its cells hold."""
    rules = "|".join("---:" if column.is_number else ":---" for column in table.columns)
    rows = [[column.title for column in table.columns], *([str(cell) for cell in row] for row in table.rows)]
    lines = [f"| {' | '.join(map(markdown_text, row))} |" for row in rows]
    return "\n".join([lines[0], f"|{rules}|", *lines[1:]])


def html(table: Table) -> str:
    """Return the table as an element; a wide one scrolls in its own frame."""
    head = "".join(f'<th scope="col"{_kind(column)}>{in_html(column.title)}</th>' for column in table.columns)
    body = []
    for row in table.rows:
        first = f'<th scope="row"{_kind(table.columns[0])}>{_content(row[0])}</th>'
        rest = (
            f"<td{_kind(column)}>{_content(cell)}</td>" for column, cell in zip(table.columns[1:], row[1:], strict=True)
        )
        body.append(f"<tr>{first}{''.join(rest)}</tr>")
    rows = "\n".join(body)
    inner = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>"
    return f'<div class="wide" tabindex="0"><table>\n{inner}\n</table></div>'


def printable(text: str, *, one_line: bool = False) -> str:
    r"""Return a text in which what steers a terminal, or cannot be written as UTF-8, is a character to be seen.

    Args:
        text: from a model, a file or a path.
        one_line: show line breaks too.

    Example:
        >>> printable("a\x1b[31mb\tc\n"), printable("a\nb", one_line=True)
        ('a␛[31mb\tc\n', 'a␊b')
    """
    kept = "" if one_line else "\n\t"
    shown = "".join(
        one if one in kept or unicodedata.category(one) != "Cc" else chr(0x2400 + ord(one)) if one < " " else "�"
        for one in text
    )
    return shown.encode("utf-8", "replace").decode()


def in_html(text: str) -> str:
    """Return a text escaped for an element or a quoted attribute.

    Example:
        >>> in_html('<b> & "c"')
        '&lt;b&gt; &amp; &quot;c&quot;'
    """
    return escape(printable(text))


def markdown_text(text: str) -> str:
    r"""Return a text as Markdown shows it, in one line.

    Example:
        >>> print(markdown_text("a_b <c>|*"))
        a\_b \<c\>\|\*
    """
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", printable(text, one_line=True))


def columns_of(text: str) -> int:
    """Return the columns that a text takes in a terminal: wide characters take two, marks on others none.

    Example:
        >>> columns_of("loss"), columns_of("损失")
        (4, 4)
    """
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) > 0 for one in text)


def _column(table: Table, i: int) -> list[str]:
    """Return title and cells of a column, notes below notes so that figures end at the same edge."""
    cells = [(printable(row[i].text, one_line=True), printable(row[i].note, one_line=True)) for row in table.rows]
    notes = [f" ({note})" if note else "" for _, note in cells]
    room = max(map(columns_of, notes), default=0)
    noted = [text + note + " " * (room - columns_of(note)) for (text, _), note in zip(cells, notes, strict=True)]
    return [printable(table.columns[i].title, one_line=True), *noted]


def _padded(text: str, width: int, to_right: bool) -> str:
    space = " " * (width - columns_of(text))
    return space + text if to_right else text + space


def _kind(column: Column) -> str:
    return ' class="number"' if column.is_number else ""


def _content(cell: Cell) -> str:
    if cell.text == MISSING and not cell.note:
        return f'<span class="soft">{MISSING}</span>'
    note = f"<small>{in_html(cell.note)}</small>" if cell.note else ""
    return in_html(cell.text) + note
