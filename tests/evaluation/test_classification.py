"""Classification metrics against scikit-learn."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from groundup.evaluation.classification import (
    accuracy,
    check,
    classification_intervals,
    classification_metrics,
    confusion_matrix,
    label_scores,
    log_loss,
    macro_f1,
    roc_auc,
)

EXACT = 1e-12  # both work in float64; sums of up to hundreds of terms in another order


def draw(seed: int, n: int, n_labels: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities; with ties, of a few values only."""
    random = np.random.default_rng(seed)
    weights = random.integers(0, 4, (n, n_labels)) + 1e-9 if ties else random.exponential(size=(n, n_labels))
    return random.integers(0, n_labels, n), weights / weights.sum(1, keepdims=True)


SAMPLES = st.builds(
    draw, st.integers(0, 10_000), st.integers(1, 60), st.integers(2, 5), ties=st.booleans()
)  # small, so that labels are missing too


@settings(max_examples=25, derandomize=True)
@given(SAMPLES)
def test_everything_equals_scikit_learn(sample: tuple[np.ndarray, np.ndarray]):
    labels, probabilities = sample
    n_labels = probabilities.shape[1]
    predictions = probabilities.argmax(1)
    assert accuracy(labels, predictions) == pytest.approx(sk.accuracy_score(labels, predictions), abs=EXACT)
    confusion = confusion_matrix(labels, predictions, n_labels)
    np.testing.assert_array_equal(confusion, sk.confusion_matrix(labels, predictions, labels=range(n_labels)))
    expected = sk.precision_recall_fscore_support(labels, predictions, labels=range(n_labels), zero_division=0)
    for ours, theirs in zip(label_scores(confusion), expected, strict=False):
        np.testing.assert_allclose(ours, theirs, atol=EXACT)
    f1 = sk.f1_score(labels, predictions, average="macro", zero_division=0)
    assert macro_f1(labels, predictions, n_labels) == pytest.approx(f1, abs=EXACT)
    # Rows with a zero are renormalized there after clipping, by about the smallest step.
    loss = sk.log_loss(labels, probabilities, labels=range(n_labels))
    assert log_loss(labels, probabilities) == pytest.approx(loss, abs=1e-9)


@settings(max_examples=25, derandomize=True)
@given(SAMPLES)
def test_the_area_equals_scikit_learn_with_ties_too(sample: tuple[np.ndarray, np.ndarray]):
    labels, probabilities = sample
    n_labels = probabilities.shape[1]
    if len(set(labels.tolist())) < 2:
        assert np.isnan(roc_auc(labels, probabilities))
        assert "auc" not in classification_metrics(labels, probabilities)
        return
    chosen = [1] if n_labels == 2 else sorted(set(labels.tolist()))
    expected = np.mean([sk.roc_auc_score(labels == label, probabilities[:, label]) for label in chosen])
    assert roc_auc(labels, probabilities) == pytest.approx(expected, abs=EXACT)
    assert classification_metrics(labels, probabilities)["auc"] == roc_auc(labels, probabilities)


def test_several_labels_are_each_held_against_the_rest():
    labels, probabilities = draw(0, 200, 4, ties=True)
    expected = sk.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert roc_auc(labels, probabilities) == pytest.approx(expected, abs=EXACT)


def test_the_area_is_the_probability_of_the_right_order():
    labels, probabilities = draw(1, 40, 2, ties=True)
    scores = probabilities[:, 1]
    gaps = scores[labels == 1][:, None] - scores[labels == 0][None]
    assert roc_auc(labels, probabilities) == pytest.approx(np.mean((np.sign(gaps) + 1) / 2), abs=EXACT)
    assert roc_auc(labels, probabilities[:, ::-1]) == pytest.approx(1 - roc_auc(labels, probabilities), abs=EXACT)


def test_single_precision_is_taken():
    labels, probabilities = draw(2, 100, 3, ties=False)
    single = classification_metrics(labels.astype(np.int32), probabilities.astype(np.float32))
    # Rounding to 24 bits moves a probability by 6e-8, and none of these predictions.
    assert single == pytest.approx(classification_metrics(labels, probabilities), abs=1e-5)
    certain = classification_metrics(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]], dtype=np.float32))
    assert certain["log_loss"] == pytest.approx(-np.log(np.finfo(np.float64).eps) / 2)


def test_intervals_hold_their_figures_and_take_no_time():
    random = np.random.default_rng(0)
    p = random.uniform(size=2_000)
    labels, probabilities = (random.uniform(size=2_000) < p).astype(int), np.stack([1 - p, p], axis=1)
    begin = time.process_time()
    intervals = classification_intervals(labels, probabilities)
    seconds = time.process_time() - begin
    assert seconds < 5  # 0.4 on an idle machine: what is caught is a loop over examples
    figures = classification_metrics(labels, probabilities)
    assert list(intervals) == ["accuracy", "macro_f1", "auc", "log_loss"]
    for name, (low, high) in intervals.items():
        assert low < figures[name] < high
    low, high = intervals["accuracy"]
    expected = 2 * 1.96 * (figures["accuracy"] * (1 - figures["accuracy"]) / 2_000) ** 0.5
    assert high - low == pytest.approx(expected, rel=0.1)  # ends of 1,000 resamples scatter by a few percent


@pytest.mark.parametrize(
    ("labels", "probabilities", "found"),
    [
        ([], np.zeros((0, 2)), "N > 0"),
        ([0], [[0.5, 0.5], [0.5, 0.5]], r"found \(1,\), \(2, 2\)"),
        ([0], [0.5], r"\[N, C\]"),
        ([0, 2], [[0.5, 0.5]] * 2, r"in \[0, 2\), found 0 to 2"),
        ([-1], [[0.5, 0.5]], "found -1 to -1"),
        ([0], [[2.0, 3.0]], "apply a softmax"),
        ([0], [[1.5, -0.5]], "apply a softmax"),
        ([0], [[np.nan, 1.0]], "apply a softmax"),
    ],
)
def test_what_does_not_fit(labels: list[int], probabilities: object, found: str):
    with pytest.raises(ValueError, match=found):
        check(np.array(labels, dtype=np.int64), np.array(probabilities))
