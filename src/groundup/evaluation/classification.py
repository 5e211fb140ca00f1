"""How well labels are predicted: accuracy, precision, recall, F1, area under the ROC curve, confusion, log loss.

Shapes: N examples, C labels. Labels and predictions are integers in [0, C), probabilities are [N, C] with rows that add
up to 1.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.evaluation.bootstrap import confidence_intervals
from groundup.evaluation.calibration import expected_calibration_error

Labels = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.floating[Any]]
Counts = npt.NDArray[np.int64]


def classification_metrics(labels: Labels, probabilities: Floats) -> dict[str, float]:
    """Return accuracy, macro_f1, auc, log_loss and calibration_error of probabilities [N, C] for labels [N].

    "auc" is left out where it does not exist: if all labels are equal.

    Raises:
        ValueError: no example, or labels and probabilities that do not fit together.

    Example:
        >>> figures = classification_metrics(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]))
        >>> {name: round(value, 3) for name, value in figures.items()}
        {'accuracy': 0.667, 'macro_f1': 0.667, 'auc': 1.0, 'log_loss': 0.415, 'calibration_error': 0.3}
    """
    labels, probabilities = check(labels, probabilities)
    figures = _figures(labels, probabilities)
    figures["calibration_error"] = expected_calibration_error(labels, probabilities)
    return {name: figure for name, figure in figures.items() if not np.isnan(figure)}


def classification_intervals(
    labels: Labels, probabilities: Floats, *, seed: int = 0, resamples: int = 1_000
) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals (low, high) of those metrics; see `confidence_intervals`.

    The calibration error has none: examples drawn twice look like a worse calibration, so its interval would be too
    high.

    Example:
        >>> labels, probabilities = np.array([0, 1] * 50), np.array([[0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0, 1]] * 25)
        >>> intervals = classification_intervals(labels, probabilities, resamples=100)
        >>> [round(end, 2) for end in intervals["accuracy"]]
        [0.67, 0.84]
    """
    labels, probabilities = check(labels, probabilities)
    return confidence_intervals(
        lambda drawn: _figures(labels[drawn], probabilities[drawn]), len(labels), seed=seed, resamples=resamples
    )


def _figures(labels: Counts, probabilities: Floats) -> dict[str, float]:
    predictions = probabilities.argmax(1)
    return {
        "accuracy": accuracy(labels, predictions),
        "macro_f1": macro_f1(labels, predictions, probabilities.shape[1]),
        "auc": roc_auc(labels, probabilities),
        "log_loss": log_loss(labels, probabilities),
    }


def check(labels: Labels, probabilities: Floats) -> tuple[Counts, npt.NDArray[np.float64]]:
    """Return both as int64 [N] and float64 [N, C].

    Raises:
        ValueError: no example, shapes that do not fit, a label outside [0, C), or rows that are no probabilities.

    Example:
        >>> check(np.array([2]), np.array([[0.5, 0.5]]))
        Traceback (most recent call last):
        ValueError: expected labels in [0, 2), found 2 to 2
    """
    right, rows = np.asarray(labels), np.asarray(probabilities, dtype=np.float64)
    if right.ndim != 1 or rows.ndim != 2 or len(right) != len(rows) or not len(right):
        raise ValueError(f"expected labels [N], probabilities [N, C], N > 0, found {right.shape}, {rows.shape}")
    if right.min() < 0 or right.max() >= rows.shape[1]:
        raise ValueError(f"expected labels in [0, {rows.shape[1]}), found {right.min()} to {right.max()}")
    # Written so that a value that is no number fails, too. Half precision adds up to 1 within about 1e-3.
    if not (rows.min() >= 0 and np.abs(rows.sum(1) - 1).max() < 1e-2):
        raise ValueError("expected rows of probabilities that add up to 1, found others: apply a softmax")
    return right.astype(np.int64), rows


def accuracy(labels: Labels, predictions: Labels) -> float:
    """Return which part of the predictions [N] is right.

    Example:
        >>> accuracy(np.array([0, 1, 1, 1]), np.array([0, 1, 0, 1]))
        0.75
    """
    return float(np.mean(labels == predictions))


def confusion_matrix(labels: Labels, predictions: Labels, n_labels: int) -> Counts:
    """Return how often each label (row) was predicted as each (column): [C, C].

    Example:
        >>> confusion_matrix(np.array([0, 1, 1, 1]), np.array([0, 1, 0, 1]), 2).tolist()
        [[1, 0], [1, 2]]
    """
    return np.bincount(labels * n_labels + predictions, minlength=n_labels**2).reshape(n_labels, n_labels)


def label_scores(confusion: Counts) -> tuple[Floats, Floats, Floats]:
    """Return precision, recall and F1 of each label [C] from a confusion matrix [C, C]; 0 where nothing is counted.

    Precision: how many of its predictions are right. Recall: how many of its examples are found. F1: their harmonic
    mean.

    Example:
        >>> precision, recall, f1 = label_scores(np.array([[1, 0], [1, 2]]))
        >>> precision.tolist(), recall.round(3).tolist(), f1.round(3).tolist()
        ([0.5, 1.0], [1.0, 0.667], [0.667, 0.8])
    """
    right, actual, predicted = np.diag(confusion).astype(np.float64), confusion.sum(1), confusion.sum(0)
    return (
        right / np.maximum(predicted, 1),
        right / np.maximum(actual, 1),
        2 * right / np.maximum(predicted + actual, 1),
    )


def macro_f1(labels: Labels, predictions: Labels, n_labels: int) -> float:
    """Return the mean F1 of all labels that occur or are predicted: a rare label counts as much as a common one.

    Example:
        >>> macro_f1(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), 2)  # accuracy 0.75, and 1 is never found
        0.42857142857142855
    """
    confusion = confusion_matrix(labels, predictions, n_labels)
    present = confusion.sum(0) + confusion.sum(1) > 0
    return float(label_scores(confusion)[2][present].mean())


def roc_auc(labels: Labels, probabilities: Floats) -> float:
    """Return the area under the ROC curve: how often an example of a label outscores one of another; ties count half.

    Of two labels it is label 1's area. Of more it is the mean of each label against the rest (Fawcett 2006, section
    9.2, unweighted), over the labels that have examples. nan if all labels are equal.

    From ranks (Hanley and McNeil 1982): the area is the Mann-Whitney U divided by the number of pairs.

    Example:
        >>> roc_auc(np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.65, 0.35], [0.2, 0.8]]))
        0.75
    """
    n_labels = probabilities.shape[1]
    chosen = [1] if n_labels == 2 else range(n_labels)
    areas = [area for label in chosen if not np.isnan(area := _area(labels == label, probabilities[:, label]))]
    return float(np.mean(areas)) if areas else float("nan")


def log_loss(labels: Labels, probabilities: Floats) -> float:
    """Return the mean negative log-probability of the right label, in nats; one of 0 counts as the least float64 step.

    Example:
        >>> round(log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]])), 3)  # (ln 2 + ln 4) / 2
        1.04
    """
    right = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(right, np.finfo(np.float64).eps)).mean())


def _area(is_positive: npt.NDArray[np.bool_], scores: Floats) -> float:
    n_positive = int(is_positive.sum())
    n_pairs = n_positive * (len(scores) - n_positive)
    if not n_pairs:
        return float("nan")
    order = np.argsort(scores)
    ordered = scores[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))  # of each run of equal scores
    positives = np.add.reduceat(is_positive[order].astype(np.int64), begins)
    sizes = np.diff(np.append(begins, len(scores)))
    below = begins - (np.cumsum(positives) - positives)  # negatives that score less
    return float((positives * (below + (sizes - positives) / 2)).sum() / n_pairs)
