"""The page of a comparison: everything is in it, nothing that a model wrote is more than text."""

import re
from dataclasses import replace
from html import unescape

from tests.reports.comparisons import FOUND, NOTHING_READ

from groundup.evaluation.perplexity import Perplexity
from groundup.reports.comparison import Reading
from groundup.reports.comparison_page import html_of


def test_all_texts_are_in_it_and_are_only_text():
    page = html_of(FOUND)
    assert "<script" not in page
    assert "<i>" not in page
    assert "\x1b" not in page
    page.encode()
    shown = unescape(page)
    for text in ("Once upon", "a time\nthere was", "(nothing: it ended at once)", "and it was so", "␛[31mred ?"):
        assert text in shown
    assert page.count("<article>") == 2 * len(FOUND.prompts)
    assert page.count('dir="auto"') == 3 * len(FOUND.prompts)


def test_it_asks_for_nothing_from_elsewhere():
    page = re.sub(r"base64,[^\"]*", "", html_of(FOUND))
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["data:image/svg+xml;"]
    assert "http" not in page


def test_the_picture_is_left_out_where_nothing_can_be_drawn():
    assert "<img" not in html_of(NOTHING_READ)
    no_bytes = Perplexity(loss=1.0, n_tokens=3, n_bytes=0)
    assert "<img" not in html_of(replace(NOTHING_READ, domain=Reading(name="x", base=no_bytes, tuned=no_bytes)))


def test_names_of_any_length_leave_the_picture_its_room():
    """matplotlib warns where texts leave no room for axes, and warnings are errors here."""
    long = "a/folder/" * 12
    named = replace(FOUND, base=f"{long}base", tuned=f"{long}tuned")
    assert "<img" in html_of(named)
