"""The page of a map: complete, escaped, in one file that asks nobody; in a browser, where there is one, it draws."""

import base64
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
    assert "READ" not in page
    assert "KEPT" not in page
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


@pytest.mark.slow  # a browser takes seconds to start
@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize(("address", "shown"), [("", "Choose a token"), ("#king", "Nearest by cosine, of those drawn")])
def test_a_browser_draws_it(address: str, shown: str, found: EmbeddingMap, tmp_path: Path):
    page, _ = write_embedding_map(tmp_path, found)
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
         f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom",
         f"{page.as_uri()}{address}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert f'data-drawn="{len(SMALL)}"' in done.stdout
    assert shown in done.stdout
