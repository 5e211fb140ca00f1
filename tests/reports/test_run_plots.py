"""Plots of runs: every run that has figures is in them, and nothing is drawn where there is nothing to see."""

import re
from collections.abc import Callable
from pathlib import Path

from groundup.configs.finetune_runs import ClassifyConfig
from groundup.reports.run_plots import loss_plot, quality_plot
from groundup.reports.run_report import Group, read_groups

ARun = Callable[..., Path]


def group_of(a_run: ARun, names: list[str], *, n_evaluations: int = 3, **files: dict[str, object]) -> Group:
    folders = []
    for i, name in enumerate(names):
        records = [{"kind": "validation", "step": 5 * k, "loss": 1 / k + i} for k in range(1, n_evaluations + 1)]
        folders.append(a_run(name, ClassifyConfig(), records, **files))
    return read_groups(folders)[0]


def resources(trainable: int) -> dict[str, object]:
    return {"trainable": trainable, "parameters": 10 * trainable}


def test_both_plots_name_every_run(a_run: ARun):
    names = ["_hidden", "$math$", "a<b", "x" * 60]
    test = {"n": 9, "metrics": {"accuracy": 0.9}, "intervals": {"accuracy": [0.8, 0.95]}}
    group = group_of(a_run, names, test=test, resources=resources(1_000))
    for svg in (quality_plot(group), loss_plot(group)):
        assert svg is not None
        for shown in ("_hidden", "$math$", "a&lt;b", "x" * 16 + "…" + "x" * 17):
            assert shown in svg
    assert "Test accuracy, with 95% intervals" in quality_plot(group)


def test_without_tests_quality_is_the_validations(a_run: ARun):
    group = group_of(a_run, ["a", "b"], resources=resources(1_000))
    svg = quality_plot(group)
    assert svg is not None
    assert "Validation loss" in svg
    assert "intervals" not in svg


def test_a_logarithmic_axis_of_like_runs_has_numbers(a_run: ARun):
    svg = quality_plot(group_of(a_run, ["a", "b"], resources=resources(460_800)))
    assert svg is not None
    assert re.search(r">\d+[kM]</text>", svg)


def test_nothing_is_drawn_where_there_is_nothing_to_see(a_run: ARun):
    one = group_of(a_run, ["one"], n_evaluations=1, resources=resources(10))
    assert quality_plot(one) is loss_plot(one) is None
    new = group_of(a_run, ["new", "newer"], n_evaluations=0, resources=resources(10))
    assert quality_plot(new) is loss_plot(new) is None
