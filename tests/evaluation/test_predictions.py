"""predictions.tsv: the order of its lines, and texts that come back whole."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.evaluation.predictions import COLUMNS, write_predictions

BACK = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}


def unescaped(cell: str) -> str:
    pieces, i = [], 0
    while i < len(cell):
        size = 2 if cell[i] == "\\" else 1
        pieces.append(BACK[cell[i : i + 2]] if size == 2 else cell[i])
        i += size
    return "".join(pieces)


def lines_of(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_bytes().decode().split("\n")[:-1]]


def test_mistakes_come_first_the_surest_on_top(tmp_path: Path):
    sure = np.array([0.9, 0.6, 0.8, 0.7, 0.95])
    labels = np.array([0, 0, 1, 1, 0])  # label 0 is always predicted
    path = tmp_path / "predictions.tsv"
    write_predictions(path, labels, np.stack([sure, 1 - sure], 1), names=["ham", "spam"], texts=list("abcde"))
    header, *lines = lines_of(path)
    assert tuple(header) == COLUMNS
    assert [line[3] for line in lines] == ["c", "d", "b", "a", "e"]
    assert lines[0] == ["spam", "ham", "0.8000", "c"]
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.tsv"]


@settings(max_examples=25, derandomize=True)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6), st.text("a\t\\\n", min_size=1)
)
def test_texts_come_back_whole(tmp_path_factory: pytest.TempPathFactory, texts: list[str], name: str):
    path = tmp_path_factory.mktemp("written") / "predictions.tsv"
    same = np.full((len(texts), 2), 0.5)
    write_predictions(path, np.zeros(len(texts), dtype=int), same, names=[name, "b"], texts=texts)
    found = [[unescaped(cell) for cell in line] for line in lines_of(path)[1:]]
    assert found == [[name, name, "0.5000", text] for text in texts]


def test_what_does_not_fit(tmp_path: Path):
    with pytest.raises(ValueError, match="expected 1 texts and 2 names, found 2 and 2"):
        write_predictions(tmp_path / "p", np.array([0]), np.array([[0.5, 0.5]]), names=["a", "b"], texts=["x", "y"])
    assert not list(tmp_path.iterdir())
