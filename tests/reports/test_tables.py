"""Tables: every cell in its place for each of the three readers, whatever the texts hold."""

import re
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.reports.tables import Cell, Column, Table, aligned, columns_of, html, in_html, markdown, printable

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=12)  # controls and lone surrogates too
TABLES = st.builds(
    lambda rows, kinds: Table(
        columns=tuple(Column(title=f"c{i}", is_number=kind) for i, kind in enumerate(kinds)),
        rows=tuple(tuple(Cell(*row[2 * i : 2 * i + 2]) for i in range(len(kinds))) for row in rows),
    ),
    st.lists(st.lists(ANY_TEXT, min_size=6, max_size=6), max_size=4),
    st.lists(st.booleans(), min_size=3, max_size=3),
)


class Texts(HTMLParser):
    """What a browser would show of each cell, and the elements that it would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells and data.strip("\n"):
            self.cells[-1] += data


def of(rows: list[tuple[str, ...]], *kinds: bool) -> Table:
    columns = tuple(Column(title=f"c{i}", is_number=kind) for i, kind in enumerate(kinds))
    return Table(columns=columns, rows=tuple(tuple(map(Cell, row)) for row in rows))


@settings(max_examples=25, derandomize=True)
@given(table=TABLES)
def test_markdown_has_one_line_a_row_and_no_more_bars_than_columns(table: Table):
    lines = markdown(table).split("\n")
    assert len(lines) == len(table.rows) + 2
    assert all(len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(table.columns) + 1 for line in lines)


@settings(max_examples=25, derandomize=True)
@given(table=TABLES)
def test_a_browser_shows_what_the_cells_hold_and_sees_no_other_elements(table: Table):
    seen = Texts(html(table))
    shown = [printable(cell.text + cell.note) for row in table.rows for cell in row]
    titles = [column.title for column in table.columns]
    assert [one.replace("\n", "") for one in seen.cells] == [*titles, *(one.replace("\n", "") for one in shown)]
    assert seen.tags <= {"div", "table", "thead", "tbody", "tr", "th", "td", "small", "span"}
    html(table).encode()


@settings(max_examples=25, derandomize=True)
@given(table=TABLES)
def test_aligned_columns_end_or_begin_at_one_edge(table: Table):
    lines = aligned(table).split("\n")
    assert len(lines) == len(table.rows) + 1
    assert not any(one in line for line in lines for one in "\x1b\x07\r\t\b")
    aligned(table).encode()


def test_numbers_end_and_words_begin_at_one_edge_also_with_wide_characters_and_notes():
    columns = (Column(title="run", is_number=False), Column(title="accuracy"), Column(title="n"))
    rows = (
        (Cell("损失"), Cell("98.7%", "97.4–100.0"), Cell("7")),
        (Cell("full"), Cell("5.0%", "1.0–9.0"), Cell("1,234")),
    )
    lines = aligned(Table(columns=columns, rows=rows)).split("\n")
    at = [columns_of(line[: line.index("%")]) for line in lines[1:]]
    assert at[0] == at[1]
    assert len({columns_of(line) for line in lines}) == 1


def test_what_does_not_fit_follows_below_with_the_names_once_more():
    table = of([("mine", "123456", "1234567", "9")], False, True, True, True)
    assert aligned(table, 20).split("\n\n") == ["c0        c1\nmine  123456", "c0         c2  c3\nmine  1234567   9"]
    assert aligned(table, 5).count("mine") == 3  # narrower than anything: a column at a time
    assert aligned(table, None).count("mine") == 1


def test_what_steers_a_terminal_is_shown():
    assert printable("a\x1b[2Jb\x9b\udc80", one_line=True) == "a␛[2Jb�?"
    assert in_html("<script>\x00&") == "&lt;script&gt;␀&amp;"
