"""The map of token embeddings as a page of one file: to be searched, moved and zoomed, with every token's neighbours.

Shapes: N tokens drawn, K neighbours of each.
"""

import base64
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.download import local_path
from groundup.errors import InputError
from groundup.interpret.embedding_figure import COLOURS, draw_embedding_map
from groundup.interpret.embedding_map import NAMES, READ, EmbeddingMap, Method
from groundup.interpret.neighbours import all_nearest
from groundup.interpret.token_map import KINDS
from groundup.reports.pages import check_place, html_page, write_page
from groundup.reports.tables import in_html

N_NEIGHBOURS = 10
"""That the page shows of a token."""
MOST_WITH_NEIGHBOURS = 20_000
"""Tokens drawn whose neighbours are on the page: they take seconds and megabytes that grow with the square."""
STEPS = 65_535
"""Places in a row across the page: finer than any zoom shows."""


def map_files(folder: Path, source: str, method: Method) -> tuple[Path, Path]:
    """Return where the page and the picture of a map may be written: smollm2-pca.html and smollm2-pca.png.

    Raises:
        InputError: there is something else than an earlier map of ours.
    """
    page = check_place(folder / f"{source}-{method}.html", "html")
    picture = local_path(str(folder / f"{source}-{method}.png"))
    # The page is written first, so a picture without one is somebody else's.
    if picture.is_dir() or (picture.exists() and not page.exists()):
        raise InputError(
            f"expected a new file or an earlier picture of groundup's at {picture}, found something else: give another "
            "folder"
        )
    return page, picture


def write_embedding_map(folder: Path, found: EmbeddingMap, *, marked: Sequence[int] = ()) -> tuple[Path, Path]:
    """Write a map as a page that needs no other file and asks nobody for anything, and as a picture; return where.

    Args:
        folder: made where it is missing.
        found: the map.
        marked: ids of tokens that are named; the page opens with the first of them chosen.

    Raises:
        InputError: as `map_files`, or what cannot be written.
    """
    page, picture = map_files(folder, found.embeddings.source, found.method)
    write_page(page, embedding_page(found, chosen=marked[0] if marked else None))
    try:
        draw_embedding_map(picture, found, marked=marked)
    except OSError as error:
        raise InputError(
            f"expected to write {picture}, found: {error.strerror or error}; give another folder"
        ) from None
    return page, picture


def embedding_page(found: EmbeddingMap, *, chosen: int | None = None) -> str:
    """Return a map as a page.

    Args:
        found: the map.
        chosen: id of the token that is chosen when the page opens. None: the one in its address (page.html#king), or
            none.
    """
    source, N, V = found.embeddings.source, len(found.tokens), len(found.embeddings)
    D = found.embeddings.vectors.shape[1]
    how_many = f"All {V:,} tokens" if N == V else f"{N:,} of {V:,} tokens"
    lead = f"{how_many}, {D:,} numbers each, in the plane by {NAMES[found.method]}: {found.made}."
    data = json.dumps(page_data(found, chosen=chosen), ensure_ascii=False, separators=(",", ":"))
    data = data.replace("<", "\\u003c")  # which could end the element that the data is in
    parts = [
        f'<header><h1>Token embeddings of {in_html(source)}</h1><p class="lead soft">{in_html(lead)}</p></header>',
        Template(_resource("embedding_page.html")).substitute(
            wide=f"{_wide(found):.3f}", read=in_html(READ[found.method]), kept=in_html(_kept(found))
        ),
        f'<script type="application/json" id="data">{data}</script>',
        f"<script>{_resource('embedding_canvas.js')}{_resource('embedding_page.js')}</script>",
    ]
    return html_page(f"{source}: token embeddings", parts, style=_colours() + _resource("embedding_page.css"))


def page_data(found: EmbeddingMap, *, chosen: int | None = None) -> dict[str, Any]:
    """Return what the page draws: numbers as base64 of little-endian integers, which are a third of their text.

    places: [N, 2] from 0 to STEPS, equal steps in both directions, up is up. first: rows in the order in which they are
    named where there is room. near: rows of the K nearest among those drawn, by cosine; cosines: theirs, in hundredths.
    Both are empty with more than MOST_WITH_NEIGHBOURS.
    """
    N = len(found.tokens)
    low = found.places.min(0)
    extent = found.places.max(0) - low
    width = float(extent.max()) or 1.0
    places = (found.places - low + (width - extent) / 2) / width * STEPS
    near, cosines = np.empty((N, 0), dtype=np.int32), np.empty((N, 0), dtype=np.float32)
    if N <= MOST_WITH_NEIGHBOURS:
        near, cosines = all_nearest(found.embeddings.units[found.tokens], min(N_NEIGHBOURS, N - 1))
    rows = [] if chosen is None else np.flatnonzero(found.tokens == chosen).tolist()
    return {
        "ids": found.tokens.tolist(),
        "labels": found.labels,
        "kinds": "".join(map(str, found.kinds.tolist())),
        "names": KINDS,
        "places": _packed(places.round(), "<u2"),
        "first": _packed(found.first_named, "<u4"),
        "near": _packed(near, "<u2"),
        "cosines": _packed((100 * cosines).round(), "<i1"),
        "chosen": rows[0] if rows else None,
    }


def _wide(found: EmbeddingMap) -> float:
    """Return how wide the map is for its height, with room around it."""
    width, height = np.ptp(found.places, axis=0)
    room = 0.08 * max(width, height, 1e-9)
    return float((width + room) / (height + room))


def _kept(found: EmbeddingMap) -> str:
    n = len(found.tokens)
    chance = min(10, n - 1) / (n - 1)
    return (
        f"Of the ten tokens that point most nearly the same way as one, {found.kept:.1%} are among its ten nearest "
        f"here; by chance it would be {chance:.1%}."
    )


def _packed(numbers: npt.NDArray[Any], kind: str) -> str:
    return base64.b64encode(numbers.astype(kind).tobytes()).decode()


def _colours() -> str:
    """Return the colours of the kinds as rules, for a light page and a dark one."""
    light, dark = ("".join(f"--k{kind}: {pair[i]}; " for kind, pair in enumerate(COLOURS)) for i in (0, 1))
    return f"\n:root {{ {light}}}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n"


def _resource(name: str) -> str:
    return files("groundup.reports").joinpath(name).read_text(encoding="utf-8")
