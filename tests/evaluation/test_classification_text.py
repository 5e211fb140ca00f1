"""The tables for a terminal: every number in its column, however many labels there are."""

import numpy as np
import pytest

from groundup.evaluation.classification_report import ClassificationReport, measure_classification
from groundup.evaluation.classification_text import classification_text


def report_of(names: list[str], n: int = 400) -> ClassificationReport:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(len(names)), n)
    return measure_classification(random.integers(0, len(names), n), probabilities, names, resamples=5)


def test_few_labels_have_a_matrix():
    report = report_of(["ham", "a name that is much too long", "ta\tb"])
    *_, matrix = classification_text(report).split("\n\n")
    head, *rows = matrix.splitlines()
    assert head.split("  ")[-1].strip() == "ta b"
    assert "a name that is …" in head
    assert [[int(n) for n in row[18:].split()] for row in rows] == [list(row) for row in report.confusion]
    assert len({len(line) for line in (head, *rows)}) == 1


def test_many_labels_have_a_list_of_what_is_confused_most():
    report = report_of([f"topic {i}" for i in range(12)], n=5_000)
    *_, worst = classification_text(report).split("\n\n")
    counts = [int(line.split()[-1]) for line in worst.splitlines()[1:]]
    wrong = [n for i, row in enumerate(report.confusion) for j, n in enumerate(row) if i != j]
    assert counts == sorted(wrong, reverse=True)[:10]


@pytest.mark.parametrize("n_labels", [2, 8, 9])
def test_it_fits_a_terminal(n_labels: int):
    text = classification_text(report_of([f"name {i}" for i in range(n_labels)], n=3_000))
    assert max(map(len, text.splitlines())) <= 100
    assert all(line == line.rstrip() for line in text.splitlines())
