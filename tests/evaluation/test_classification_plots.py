"""The picture of predictions: drawn for any number of labels, without a stray file, and it shows the numbers."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from groundup.evaluation import classification_plots
from groundup.evaluation.classification_plots import draw_classification


def sample(n: int, n_labels: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(0, n_labels, n), random.dirichlet(np.ones(n_labels), n)


@pytest.mark.parametrize(("n", "n_labels"), [(1, 2), (60, 50)])
def test_any_number_of_labels_has_a_picture(tmp_path: Path, n: int, n_labels: int):
    labels, probabilities = sample(n, n_labels)
    names = [f"$x_{{{i}$ and a long name" for i in range(n_labels)]
    draw_classification(tmp_path / "test.png", labels, probabilities, names=names, title="a run $_{$")
    assert (tmp_path / "test.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert [file.name for file in tmp_path.iterdir()] == ["test.png"]


def test_it_shows_the_counts_and_the_bins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: (drawn.append(self), Path(path).touch()))
    labels, probabilities = sample(200, 2)
    draw_classification(tmp_path / "test.png", labels, probabilities, names=["ham", "spam"], title="a run")
    matrix, reliability, spread = drawn[0].axes
    predictions = probabilities.argmax(1)
    expected = [int(((labels == i) & (predictions == j)).sum()) for i in (0, 1) for j in (0, 1)]
    assert [int(text.get_text().split("\n")[0]) for text in matrix.texts] == expected
    heights = [bar.get_height() for bar in spread.patches]
    assert sum(heights) == pytest.approx(1)
    right = sum(  # the bins together are all predictions: their accuracy, weighted, is the accuracy
        bar.get_height() * heights[round(bar.get_x() * len(heights))] for bar in reliability.patches if bar.get_height()
    )
    assert right == pytest.approx(np.mean(predictions == labels))
    assert classification_plots.FEW == 10
