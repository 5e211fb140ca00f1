"""A comparison in a terminal: complete and within its width, with nothing that steers it."""

import io

import pytest
from rich.console import Console
from tests.reports.comparisons import FOUND

from groundup.reports.comparison_terminal import show


@pytest.mark.parametrize("width", [40, 80, 140])
def test_everything_is_shown_and_steers_nothing(width: int):
    said = io.StringIO()
    show(FOUND, Console(file=said, width=width, highlight=False))
    text = said.getvalue()
    assert "\x1b" not in text
    text.encode()
    words = " ".join(text.split())
    for found in ("Once upon", "there was", "(nothing: it", "and it was so", "<i>other</i>", "−63.2%", "1 of 2"):
        assert found in words


def test_texts_stand_beside_each_other_where_there_is_room():
    lines: dict[int, list[str]] = {}
    for width in (60, 100):
        said = io.StringIO()
        show(FOUND, Console(file=said, width=width, highlight=False))
        lines[width] = said.getvalue().splitlines()
    assert any("(nothing" in line and "and it was so" in line for line in lines[100])
    assert not any("(nothing" in line and "and it was so" in line for line in lines[60])
