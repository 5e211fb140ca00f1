"""All that is said about a classifier's predictions on labelled texts: figures, intervals, each label, confusion."""

from collections.abc import Sequence
from dataclasses import dataclass

from groundup.evaluation.classification import (
    Floats,
    Labels,
    check,
    classification_intervals,
    classification_metrics,
    confusion_matrix,
    label_scores,
)


@dataclass(frozen=True, kw_only=True)
class LabelScores:
    """How well one label is predicted."""

    name: str
    """What it is called."""
    n: int
    """How many examples have it."""
    precision: float
    """Which part of its predictions is right."""
    recall: float
    """Which part of its examples is found."""
    f1: float
    """The harmonic mean of both."""


@dataclass(frozen=True, kw_only=True)
class ClassificationReport:
    """What was measured; `dataclasses.asdict` of it is JSON."""

    n: int
    """How many examples."""
    metrics: dict[str, float]
    """See `classification_metrics`."""
    intervals: dict[str, tuple[float, float]]
    """See `classification_intervals`."""
    labels: tuple[LabelScores, ...]
    """Each label, in its order."""
    confusion: tuple[tuple[int, ...], ...]
    """How often each label (row) was predicted as each (column)."""


def measure_classification(
    labels: Labels, probabilities: Floats, names: Sequence[str], *, seed: int = 0, resamples: int = 1_000
) -> ClassificationReport:
    """Measure probabilities [N, C] for labels [N], whose C names are given.

    Raises:
        ValueError: no example, or what does not fit together.

    Example:
        >>> import numpy as np
        >>> report = measure_classification(np.array([0, 1]), np.array([[0.9, 0.1], [0.7, 0.3]]), ["ham", "spam"])
        >>> report.labels[1], report.confusion
        (LabelScores(name='spam', n=1, precision=0.0, recall=0.0, f1=0.0), ((1, 0), (1, 0)))
    """
    labels, probabilities = check(labels, probabilities)
    if probabilities.shape[1] != len(names):
        raise ValueError(f"expected a name for each of {probabilities.shape[1]} labels, found {len(names)}")
    confusion = confusion_matrix(labels, probabilities.argmax(1), len(names))
    scores = zip(names, confusion.sum(1), *label_scores(confusion), strict=True)
    return ClassificationReport(
        n=len(labels),
        metrics=classification_metrics(labels, probabilities),
        intervals=classification_intervals(labels, probabilities, seed=seed, resamples=resamples),
        labels=tuple(
            LabelScores(name=name, n=int(n), precision=float(precision), recall=float(recall), f1=float(f1))
            for name, n, precision, recall, f1 in scores
        ),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )
