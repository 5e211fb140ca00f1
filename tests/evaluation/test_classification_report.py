"""The report: its parts agree with each other, and it is JSON."""

import dataclasses
import json

import numpy as np
import pytest

from groundup.evaluation.classification_report import measure_classification


def test_the_parts_agree():
    random = np.random.default_rng(0)
    labels, probabilities = random.integers(0, 3, 90), random.dirichlet(np.ones(3), 90)
    report = measure_classification(labels, probabilities, ["a", "b", "c"], resamples=20)
    assert report.n == 90 == sum(map(sum, report.confusion))
    assert [label.n for label in report.labels] == np.bincount(labels).tolist()
    assert report.metrics["accuracy"] == sum(report.confusion[i][i] for i in range(3)) / 90
    assert report.metrics["macro_f1"] == pytest.approx(np.mean([label.f1 for label in report.labels]))
    assert report.metrics["accuracy"] == pytest.approx(sum(label.n * label.recall for label in report.labels) / 90)
    assert set(report.metrics) - set(report.intervals) == {"calibration_error"}
    again = json.loads(json.dumps(dataclasses.asdict(report), allow_nan=False))
    assert again["labels"][1]["name"] == "b"
    assert again["intervals"]["accuracy"] == list(report.intervals["accuracy"])
    assert report == measure_classification(labels, probabilities, ["a", "b", "c"], resamples=20)


def test_one_label_alone_is_json_too():
    report = measure_classification(np.array([0, 0]), np.array([[0.9, 0.1]] * 2), ["a", "b"], resamples=5)
    assert "auc" not in report.metrics
    json.dumps(dataclasses.asdict(report), allow_nan=False)


def test_names_for_all_labels():
    with pytest.raises(ValueError, match="a name for each of 2 labels, found 1"):
        measure_classification(np.array([0]), np.array([[0.9, 0.1]]), ["a"])
