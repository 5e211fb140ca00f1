"""The picture of a map: points in the colours of their kinds, names that do not cover each other."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from tests.interpret.some_embeddings import some_embeddings

from groundup.interpret.embedding_figure import COLOURS, Labels, draw_embedding_map, draw_points, name_points
from groundup.interpret.embedding_map import map_embeddings
from groundup.interpret.token_map import KINDS

SMALL = some_embeddings()


def test_a_colour_for_each_kind():
    assert len(COLOURS) == len(KINDS) == len({light for light, _ in COLOURS}) == len({dark for _, dark in COLOURS})


def test_the_picture_is_whole_and_alone(tmp_path: Path):
    path = tmp_path / "map.png"
    draw_embedding_map(path, map_embeddings(SMALL, np.arange(len(SMALL))), marked=[SMALL.find("king")])
    assert [file.name for file in tmp_path.iterdir()] == ["map.png"]
    pixels = imread(path)[..., :3]
    assert pixels.shape[0] > 1_000
    for kind in set(SMALL.kinds.tolist()):  # the legend has them full
        assert (np.abs(pixels - to_rgb(COLOURS[kind][0])).max(-1) < 0.02).sum() > 20, KINDS[kind]


@settings(max_examples=25, derandomize=True)
@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200), st.text("abc", max_size=9)), max_size=30))
def test_names_never_cover_each_other(wanted: list[tuple[float, float, str]]):
    labels = Labels(scale=1)
    placed = [labels.fits(*one) for one in wanted]
    assert len(labels.boxes) == sum(placed)
    for i, (a, b, c, d) in enumerate(labels.boxes):
        assert not any(a < f and e < b and c < h and g < d for e, f, g, h in labels.boxes[:i])


@pytest.mark.parametrize(("n_marked", "at_most", "expected"), [(0, 99, 1), (3, 99, 3), (3, 1, 3)])
def test_marked_points_are_named_whatever_they_cover(n_marked: int, at_most: int, expected: int):
    axes = Figure().add_subplot()
    places = np.array([[0.0, 0.0], [1e-4, 0.0], [0.0, 1e-4], [1.0, 1.0]])
    draw_points(axes, places, [0, 1, 2, 3])
    name_points(axes, places, ["␣one", "two", "$three", "four"], [0, 1, 2], n_marked=n_marked, at_most=at_most)
    written = [text.get_text() for text in axes.texts]
    assert written == ["one", "two", "$three"][:expected]


def test_a_name_with_letters_that_the_font_lacks_is_no_warning(tmp_path: Path):
    from groundup.interpret.token_map import TokenEmbeddings
    from groundup.tokenization.characters import CharacterTokenizer

    odd = CharacterTokenizer("ab$€東\u0301")
    embeddings = TokenEmbeddings(vectors=np.random.default_rng(0).normal(size=(6, 4)), tokenizer=odd, source="東")
    draw_embedding_map(tmp_path / "map.png", map_embeddings(embeddings, np.arange(6)), marked=range(6))
