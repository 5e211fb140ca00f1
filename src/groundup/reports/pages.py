"""A page that is one file: how it looks, and the rule that a command replaces its own pages and nobody else's."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from groundup import __version__
from groundup.download import local_path
from groundup.errors import InputError
from groundup.reports.pictures import MARK as PICTURE_MARK
from groundup.reports.tables import in_html
from groundup.training.run_folder import write_atomically

Kind = Literal["html", "markdown", "svg"]
"""Formats of pages and of pictures beside them."""
MARKS: dict[Kind, str] = {
    "html": '<meta name="generator" content="groundup',
    "markdown": "<!-- made by groundup",
    "svg": PICTURE_MARK,
}
"""What stands near the beginning of every page of ours, by which it is known."""
LOOKED_AT = 1_000
"""Characters in which the mark is looked for."""
STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d8dde3; --panel: #f6f8fa;
  --good: #1a7f37; --bad: #b3401c; --accent: #0072b2; }
@media (prefers-color-scheme: dark) {
:root { --page: #15191f; --ink: #e6edf3; --soft: #9aa5b1; --line: #323a44; --panel: #1c222a; --good: #56d364;
  --bad: #f08a4b; --accent: #79c0ff; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.55;
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", sans-serif; }
main { max-width: 86rem; margin: 0 auto; padding: 3rem 1.5rem 4rem; }
h1 { font-size: 1.75rem; line-height: 1.25; letter-spacing: -0.015em; font-weight: 680; margin: 0 0 .5rem;
  overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; line-height: 1.3; font-weight: 650; margin: 3rem 0 .75rem; }
p { margin: 0 0 1rem; max-width: 46rem; }
.lead { font-size: 1.1rem; margin-bottom: 1.5rem; }
.soft, small, .notes, footer { color: var(--soft); }
.notes { font-size: .9rem; margin: .9rem 0 0; padding-left: 1.1rem; max-width: 52rem; }
.notes li { margin: .2rem 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 0 -.55rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem; }
th, td { padding: .5rem .55rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; vertical-align: bottom; line-height: 1.3;
  border-bottom: 1.5px solid var(--soft); }
th:first-child { position: sticky; left: 0; background: var(--page); }
tbody th { font-weight: 600; min-width: 9.5rem; max-width: 22rem; overflow-wrap: anywhere; }
td { white-space: nowrap; }
.number { text-align: right; }
td small, th small { display: block; font-size: .82rem; font-weight: 400; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr)); gap: 1.5rem 2.5rem;
  margin-top: 1.75rem; }
figure { margin: 0; } figure img { display: block; width: 100%; height: auto; max-width: 46rem; }
footer { margin-top: 3.5rem; font-size: .85rem; }
@media (max-width: 40rem) { main { padding: 1.5rem 1rem 3rem; } h1 { font-size: 1.45rem; } }
@media print {
  :root { --page: #fff; --ink: #000; --soft: #444; --line: #bbb; --panel: #f4f4f4; }
  body { font-size: 10.5pt; } main { max-width: none; padding: 0; }
  .wide { overflow: visible; margin: 0; } table { font-size: 8pt; } th, td { padding: .25rem .4rem; }
  h2 { break-after: avoid; } tr, figure, .together { break-inside: avoid; }
}
"""


def html_page(title: str, parts: Iterable[str], *, style: str = "") -> str:
    """Return a page that needs no other file; light or dark as the reader's system is.

    It runs no script beside those among its parts, which must ask nobody for anything either.

    Args:
        title: of the window.
        parts: elements, their texts escaped.
        style: rules beside `STYLE`.
    """
    body = "\n".join(parts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{MARKS["html"]} {__version__}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{in_html(title)}</title>
<style>{STYLE}{style}</style>
</head>
<body>
<main>
{body}
<footer>Made by groundup {__version__}.</footer>
</main>
</body>
</html>
"""


def notes_list(notes: Iterable[str]) -> str:
    """Return remarks below a table as an element, or nothing for none.

    Example:
        >>> notes_list(["a < b"])
        '<ul class="notes"><li>a &lt; b</li></ul>'
    """
    items = "".join(f"<li>{in_html(note)}</li>" for note in notes)
    return f'<ul class="notes">{items}</ul>' if items else ""


def check_place(given: Path, kind: Kind) -> Path:
    """Return where a page may be written: a new file, or a page of ours, which it replaces.

    Raises:
        InputError: there is something else, or no folder can be there.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "page.html"
        >>> _ = path.write_text(html_page("Old", []))
        >>> check_place(path, "html") == path
        True
    """
    path = local_path(str(given))
    try:
        if path.exists():
            if not path.is_file() or not _is_ours(path, kind):
                found = "something else" if path.is_file() else "a folder"
                raise InputError(f"expected a new file or an earlier page of groundup's at {path}, found {found}: "
                                 "give another name")  # fmt: skip
        elif not next(folder for folder in path.absolute().parents if folder.exists()).is_dir():
            raise InputError(f"expected a folder for {path}, found a file on the way to it: give another name")
    except OSError as error:
        raise InputError(f"expected to look at {path}, found: {error.strerror or error}; give another name") from None
    return path


def write_page(path: Path, text: str) -> None:
    """Write a page whole, in a folder that is made where it is missing.

    Raises:
        InputError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text)
    except OSError as error:
        raise InputError(f"expected to write {path}, found: {error.strerror or error}; give another name") from None


def _is_ours(path: Path, kind: Kind) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return MARKS[kind] in file.read(LOOKED_AT)
