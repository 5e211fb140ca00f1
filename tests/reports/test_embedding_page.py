"""The page of a map: complete, escaped, in one file that asks nobody; in a browser, where there is one, it draws."""

import base64
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tests.interpret.some_embeddings import some_embeddings

from groundup.errors import InputError
from groundup.interpret.embedding_map import EmbeddingMap, map_embeddings
from groundup.interpret.neighbours import nearest
from groundup.interpret.token_map import KINDS, TokenEmbeddings
from groundup.reports import embedding_page as module
from groundup.reports.embedding_page import STEPS, embedding_page, page_data, write_embedding_map
from groundup.tokenization.characters import CharacterTokenizer

SMALL = some_embeddings()
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def found() -> EmbeddingMap:
    return map_embeddings(SMALL, np.arange(len(SMALL)))


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def test_the_data_is_the_map(found: EmbeddingMap):
    data = page_data(found, chosen=SMALL.find("king"))
    N = len(found.tokens)
    assert data["ids"] == found.tokens.tolist()
    assert data["labels"] == found.labels
    assert data["labels"][data["chosen"]] == "␣king"
    assert [KINDS[int(kind)] for kind in data["kinds"]] == [KINDS[kind] for kind in found.kinds]
    places = unpacked(data["places"], "<u2").reshape(N, 2).astype(float)
    scale = np.ptp(found.places, axis=0).max() / STEPS
    moved = places * scale - found.places
    assert np.abs(moved - moved.mean(0)).max() < scale, "the same places, moved and enlarged, to one step of the grid"
    assert np.ptp(places, axis=0).max() == STEPS
    assert unpacked(data["first"], "<u4").tolist() == found.first_named.tolist()
    near = unpacked(data["near"], "<u2").reshape(N, -1)
    cosines = unpacked(data["cosines"], "<i1").reshape(N, -1)
    for row in (0, 100, N - 1):
        expected = nearest(SMALL.units, SMALL.units[row], near.shape[1], leave_out=[row])
        assert near[row].tolist() == [one.index for one in expected]
        np.testing.assert_allclose(cosines[row] / 100, [one.cosine for one in expected], atol=0.0051)  # hundredths


def test_a_large_map_has_no_neighbours(found: EmbeddingMap, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_WITH_NEIGHBOURS", 10)
    data = page_data(found)
    assert data["near"] == data["cosines"] == ""
    assert data["chosen"] is None


def test_points_in_one_place_or_one_line(found: EmbeddingMap):
    for places in (np.zeros((5, 2)), np.array([[0.0, 1.0]]) * np.arange(5.0)[:, None]):
        one = EmbeddingMap(embeddings=SMALL, tokens=np.arange(5), places=places, method="pca", made="", kept=0)
        assert unpacked(page_data(one)["places"], "<u2").max() <= STEPS


def test_the_page_asks_for_nothing_from_elsewhere(found: EmbeddingMap):
    page = embedding_page(found)
    for outside in ("http:", "https:", " src=", "<link", "@import", "url(", "fetch(", "XMLHttpRequest"):
        assert outside not in page
    assert "$" not in page.partition("<script")[0], "a place that nothing was put into"
    width, height = np.ptp(found.places, axis=0)
    wide = re.search(r"--wide: ([0-9.]+)\"", page)
    assert wide is not None
    assert 0.85 < float(wide[1]) / (width / height) < 1.15, "as the points are, and some room"
    assert f"All {len(SMALL):,} tokens, 12 numbers each, in the plane by PCA" in page
    assert "prefers-color-scheme: dark" in page


def test_what_tokens_spell_cannot_end_the_script():
    tokenizer = CharacterTokenizer("</script>!-\u2028")
    vectors = np.random.default_rng(0).normal(size=(tokenizer.vocab_size, 4))
    embeddings = TokenEmbeddings(vectors=vectors, tokenizer=tokenizer, source="</title><script>alert(1)</script>")
    page = embedding_page(map_embeddings(embeddings, np.arange(len(embeddings))))
    assert page.count("<script") == page.count("</script>") == 2
    assert "<script>alert" not in page
    data = re.search(r'id="data">(.*?)</script>', page, flags=re.DOTALL)
    assert data is not None
    assert "<" not in data[1]
    assert "<" in json.loads(data[1])["labels"]


def test_a_page_and_a_picture_that_replace_earlier_ones_alone(
    found: EmbeddingMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "draw_embedding_map", lambda path, found, marked: path.write_bytes(b"picture"))
    for _ in range(2):
        written = write_embedding_map(tmp_path / "new", found, marked=[SMALL.find("king")])
        assert [path.name for path in written] == ["small-pca.html", "small-pca.png"]
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["small-pca.html", "small-pca.png"]
    (tmp_path / "small-pca.png").write_bytes(b"my picture")
    with pytest.raises(InputError, match=r"expected a new file or an earlier picture of groundup's at .*, found some"):
        write_embedding_map(tmp_path, found)
    (tmp_path / "small-pca.html").write_text("my page")
    with pytest.raises(InputError, match="expected a new file or an earlier page of groundup's"):
        write_embedding_map(tmp_path, found)
    assert (tmp_path / "small-pca.png").read_bytes() == b"my picture"


def test_a_picture_that_cannot_be_written(found: EmbeddingMap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "draw_embedding_map", full)
    with pytest.raises(InputError, match=r"expected to write .*small-pca.png, found: No space left on device; give"):
        write_embedding_map(tmp_path, found)
    (tmp_path / "small-pca.png").mkdir()
    with pytest.raises(InputError, match="expected a new file or an earlier picture of groundup"):
        write_embedding_map(tmp_path, found)


def dom_of(address: str, profile: Path) -> str:
    """Return what a browser has made of a page once its scripts have run."""
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         f"--user-data-dir={profile}", "--window-size=1000,800", "--virtual-time-budget=3000", "--dump-dom", address],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


in_a_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


@pytest.mark.slow  # a browser takes seconds to start
@in_a_browser
@pytest.mark.parametrize(("address", "shown"), [("", "Choose a token"), ("#king", "Nearest by cosine, of those drawn")])
def test_a_browser_draws_it(address: str, shown: str, found: EmbeddingMap, tmp_path: Path):
    page, _ = write_embedding_map(tmp_path, found)
    made = dom_of(f"{page.as_uri()}{address}", tmp_path / "profile")
    assert f'data-drawn="{len(SMALL)}"' in made
    assert shown in made


USED = """<script>
const part = (id) => document.getElementById(id), canvas = part("map"), said = {};
const key = (name) => part("search").dispatchEvent(new KeyboardEvent("keydown", { key: name }));
part("search").value = "Queen";
part("search").dispatchEvent(new Event("input"));
said.searched = [...part("about").querySelectorAll("li span")].map((one) => one.textContent);
key("Enter");
said.entered = part("about").querySelector("h2").textContent;
said.near = [...part("about").querySelectorAll("li span")].map((one) => one.textContent);
said.address = location.hash;
key("Escape");
said.cleared = [part("search").value, part("about").querySelector("h2")];
canvas.setPointerCapture = () => {};  // there is no such pointer
const box = canvas.getBoundingClientRect(), tip = part("tip");
const point = (what, x, y) => canvas.dispatchEvent(
  new PointerEvent(what, { clientX: box.left + x, clientY: box.top + y, pointerId: 1 }));
let at = null;
for (let y = 4; y < box.height && !at; y += 8) for (let x = 4; x < box.width && !at; x += 8) {
  point("pointermove", x, y);
  if (!tip.hidden) at = [x, y];
}
said.hovered = [tip.querySelector("strong").textContent, tip.querySelector("small").textContent];
point("pointerdown", ...at);
point("pointerup", ...at);
said.clicked = part("about").querySelector("h2").textContent;
for (const button of part("kinds").children) button.click();
point("pointermove", ...at);
said.hidden = tip.hidden;
document.documentElement.dataset.said = JSON.stringify(said);
</script></body>"""
"""What a reader does with the page, and what the page says to it."""


@pytest.mark.slow  # a browser takes seconds to start
@in_a_browser
def test_a_browser_searches_hovers_and_chooses(found: EmbeddingMap, tmp_path: Path):
    page = tmp_path / "used.html"
    page.write_text(embedding_page(found).replace("</body>", USED), encoding="utf-8")
    told = re.search('data-said="([^"]*)"', dom_of(page.as_uri(), tmp_path / "profile"))
    assert told is not None
    said = json.loads(html.unescape(told[1]))
    assert said["searched"] == ["␣queen"], "whatever the case of its letters"
    assert said["entered"] == "␣queen"
    assert set(said["near"][:2]) == {"␣king", "␣prince"}
    assert said["address"] == "#queen"
    assert said["cleared"] == ["", None]
    label, kind = said["hovered"]
    assert KINDS[found.kinds[found.labels.index(label)]] == kind
    assert said["clicked"] == label
    assert said["hidden"] is True, "no kind is shown any more"
