"""Pictures of predictions on images: the numbers are in them, mistakes come first, files are whole."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread

from groundup.evaluation import image_pictures
from groundup.evaluation.image_pictures import confusion_picture, mistakes_picture, worst_first, write_picture

NAMES = [f"$class_{{{i}$" for i in range(4)]  # what mathtext would stumble over


def sample(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (n, 6, 9), np.uint8), random.integers(0, 4, n), random.dirichlet(np.ones(4), n)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    text = Axes.text

    def listen(self: Axes, x: float, y: float, s: str, **named: object) -> object:
        said.append(s)
        return text(self, x, y, s, **named)

    monkeypatch.setattr(Axes, "text", listen)
    return said


def test_mistakes_come_first_and_the_surest_of_them():
    _, labels, probabilities = sample(50)
    order = worst_first(labels, probabilities)
    right = probabilities.argmax(1)[order] == labels[order]
    assert np.array_equal(right, np.sort(right))
    assert sorted(order.tolist()) == list(range(50))
    of_label = probabilities[order, labels[order]]
    assert (np.diff(of_label[~right]) >= 0).all()
    assert (np.diff(of_label[right]) >= 0).all()


def test_the_mistakes_are_named(written: list[str]):
    images, labels, probabilities = sample(50)
    picture = mistakes_picture(images, labels, probabilities, NAMES)
    assert picture.dtype == np.uint8
    assert picture.shape == (580, 720, 3)
    assert len(written) == 24
    i = worst_first(labels, probabilities)[0]
    said = probabilities[i].argmax()
    assert written[0] == f"{NAMES[labels[i]]}, said {NAMES[said]}\n{probabilities[i, said]:.0%} sure"


def test_few_images_have_a_picture_too(written: list[str]):
    images, _, probabilities = sample(2)
    mistakes_picture(images, probabilities.argmax(1), probabilities, NAMES)
    assert len(written) == 2


def test_the_confusion_holds_the_counts(written: list[str]):
    _, labels, probabilities = sample(50)
    picture = confusion_picture(labels, probabilities, NAMES)
    assert picture.shape == (520, 560, 3)
    assert sum(int(text.split("\n")[0]) for text in written) == 50


def test_a_picture_is_written_whole(tmp_path: Path):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    write_picture(tmp_path / "one.png", picture)
    assert [file.name for file in tmp_path.iterdir()] == ["one.png"]
    assert np.array_equal(np.round(imread(tmp_path / "one.png")[..., :3] * 255), picture)
    (tmp_path / "two.png").mkdir()
    with pytest.raises(OSError, match=r"two\.png"):
        write_picture(tmp_path / "two.png", picture)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_what_is_told_above():
    assert image_pictures._told(1, 3) == "1 of 3 wrong (33.3 %)"
