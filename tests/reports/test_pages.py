"""Pages: files of their own that replace earlier pages of ours, and nothing else."""

from pathlib import Path

import pytest

from groundup.errors import InputError
from groundup.reports.pages import MARKS, Kind, check_place, html_page, notes_list, write_page

PAGES: dict[Kind, str] = {
    "html": html_page("T", ["<p>one</p>"], style=".a { color: red; }"),
    "markdown": f"{MARKS['markdown']} -->\n\n# T\n",
    "svg": f"{MARKS['svg']}\n<svg/>",
}


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_replaces_an_earlier_one(kind: Kind, tmp_path: Path):
    path = tmp_path / "new" / "folder" / "page"
    for text in (PAGES[kind], PAGES[kind] + "later"):
        write_page(check_place(path, kind), text)
        assert path.read_text(encoding="utf-8") == text
    assert [one.name for one in path.parent.iterdir()] == ["page"]


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("content", [b"my thesis", b"", b"\xff\xfe", b"x" * 2_000 + b"<!-- made by groundup -->"])
def test_nothing_else_is_replaced(content: bytes, kind: Kind, tmp_path: Path):
    path = tmp_path / "page"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^expected a new file or an earlier page .* found something else: give ano"):
        check_place(path, kind)
    assert path.read_bytes() == content


def test_a_page_of_another_kind_is_something_else(tmp_path: Path):
    write_page(tmp_path / "page", PAGES["html"])
    with pytest.raises(InputError, match="something else"):
        check_place(tmp_path / "page", "markdown")


def test_no_place_for_a_page(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for path, found in ((tmp_path, "found a folder"), (tmp_path / "file" / "page", "found")):
        with pytest.raises(InputError, match=found):
            check_place(path, "html")
    with pytest.raises(InputError, match="expected to write"):
        write_page(tmp_path / "file" / "page", "")


def test_a_page_asks_for_nothing_from_elsewhere():
    page = PAGES["html"]
    assert page.startswith("<!DOCTYPE html>")
    for outside in ("http:", "https:", "src=", "<script", "<link", "@import", "url("):
        assert outside not in page
    assert "<p>one</p>" in page
    assert ".a { color: red; }" in page


def test_titles_and_notes_are_escaped():
    assert "<title>&lt;b&gt;</title>" in html_page("<b>", [])
    assert "&lt;i&gt;" in notes_list(["<i>"])
    assert notes_list([]) == ""
