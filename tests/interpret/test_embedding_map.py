"""Maps of tokens: each method draws them, says how it was made, and is judged by the neighbours that it keeps."""

from types import SimpleNamespace

import numpy as np
import pytest
from tests.interpret.some_embeddings import FAMILIES, some_embeddings

from groundup.errors import InputError
from groundup.interpret.embedding_map import EmbeddingMap, map_embeddings
from groundup.interpret.pca import fit_pca
from groundup.interpret.token_map import choose_tokens

SMALL = some_embeddings()
WORDS = choose_tokens(SMALL, 100, which="words")


def place(found: EmbeddingMap, word: str) -> np.ndarray:
    return found.places[found.labels.index(f"␣{word}")]


@pytest.mark.parametrize("method", ["pca", "tsne", pytest.param("umap", marks=pytest.mark.slow)])
def test_families_lie_together(method):
    found = map_embeddings(SMALL, WORDS, method)
    assert found.places.shape == (len(WORDS), 2)
    assert found.labels == [SMALL.labels[i] for i in WORDS]
    assert 10 / (len(WORDS) - 1) < found.kept <= 1, "better than chance"
    for family in FAMILIES:
        one, *others = family.split()
        strangers = [word for other in FAMILIES if other != family for word in other.split()]
        inside = max(np.linalg.norm(place(found, one) - place(found, word)) for word in others)
        outside = min(np.linalg.norm(place(found, one) - place(found, word)) for word in strangers)
        assert inside < outside


def test_pca_is_of_the_vectors_as_they_are():
    found = map_embeddings(SMALL, WORDS)
    fitted = fit_pca(SMALL.vectors[WORDS], 2)
    assert np.array_equal(found.places, fitted.transform(SMALL.vectors[WORDS]))
    assert found.made.startswith(f"{fitted.explained_variance_ratio.sum():.1%} of the variance (")


def test_tsne_goes_by_angles():
    longer = some_embeddings()
    longer.vectors[:] *= np.resize([0.5, 1, 8], len(longer)).astype(np.float32)[:, None]  # powers of two: exact
    one, other = (map_embeddings(some, WORDS, "tsne", perplexity=4) for some in (SMALL, longer))
    assert np.array_equal(one.places, other.places)
    assert one.made == "perplexity 4"
    assert map_embeddings(SMALL, WORDS[:10], "tsne").made == "perplexity 3"


@pytest.mark.parametrize(
    ("n", "asked", "said"),
    [
        (4, {}, "expected at least 5 tokens to draw, found 4: draw more of the"),
        (20, {"method": "tsne", "perplexity": 20}, "expected a perplexity from 1 to below 20"),
        (20, {"method": "umap", "n_neighbours": 20}, "expected 2 to 19 neighbours of 20 points"),
        (20, {"method": "mds"}, "expected a method, pca, tsne, umap, found 'mds'"),
    ],
)
def test_what_cannot_be_drawn(n: int, asked: dict[str, object], said: str):
    with pytest.raises(InputError, match=said):
        map_embeddings(SMALL, np.arange(n), **asked)


def test_words_are_named_before_pieces_and_bytes():
    labels = ["a", "␣of", "␣king", "ing", "⟨C3⟩", "␣queen", "⏎"]
    kinds = np.array([2, 0, 0, 2, 6, 0, 4], dtype=np.int8)
    some = SimpleNamespace(labels=labels, kinds=kinds)
    found = EmbeddingMap(
        embeddings=some, tokens=np.array([6, 0, 5, 4, 3, 2, 1]), places=np.zeros((7, 2)), method="pca", made="", kept=0
    )
    named = [found.labels[row] for row in found.first_named]
    assert named == ["␣queen", "␣king", "ing", "␣of", "⏎", "a", "⟨C3⟩"]
