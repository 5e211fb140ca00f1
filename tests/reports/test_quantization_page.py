"""The pages of a report: everything is in them, names are only text, and nothing is asked for from elsewhere."""

import re
from html import unescape

import pytest
from tests.reports.quantized import FOUND, HOSTILE, PLAIN, SEARCHED

from groundup.reports.quantization_page import SEARCH, html_of, markdown_of, terminal_text


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch):
    """Drawing takes longer than all else here, and is tested by itself."""
    pictures = dict.fromkeys(("attention", "feed_forward"), "<svg></svg>")
    monkeypatch.setattr("groundup.reports.quantization_page.layer_plots", lambda errors: pictures)


def test_the_page_needs_no_other_file():
    page = html_of(SEARCHED)
    outside = re.sub(r"base64,[^\"]*", "", page)
    assert re.findall(r'(?:src|href)="([^"]*)"', outside) == ["data:image/svg+xml;"] * 2
    assert "http" not in outside
    for shown in ("smollm2 in int4", "+2.12%", "+1.71% to +2.54%", "5.00×", SEARCH, "left in 8 bits"):
        assert shown in unescape(page)


def test_names_are_only_text():
    page = html_of(HOSTILE)
    assert "<script" not in page
    assert "\x1b" not in page
    page.encode()
    for text in markdown_of(HOSTILE).values():
        text.encode()
    assert "\x1b" not in terminal_text(HOSTILE)


def test_markdown_names_the_pictures_beside_it():
    files = markdown_of(SEARCHED)
    assert list(files) == ["report.md", "layers-attention.svg", "layers-feed-forward.svg"]
    assert re.findall(r"\]\(<([^>]*)>\)", files["report.md"]) == list(files)[1:]
    assert SEARCH in files["report.md"]
    assert SEARCH not in markdown_of(FOUND)["report.md"]


def test_the_terminal_keeps_to_its_width():
    assert max(map(len, terminal_text(SEARCHED, 60).split("\n\n")[0].splitlines())) <= 60
    assert "perplexity" in terminal_text(PLAIN)
