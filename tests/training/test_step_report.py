"""The report on a step: what JSON and a terminal show of it, at its edges."""

import json
import math

import pytest

from groundup.training.step_report import MOST_LAYERS, MOST_TEXT, Cause, Layer, StepReport, larger, layer_of


def cause(module: str = "blocks.1.norm", **fields: object) -> Cause:
    told = {"phase": "forward", "what": "it broke", "reason": "it was so", "advice": "mend it", "micro_batch": 2}
    return Cause(module=module, **{**told, **fields})


def report(n_layers: int = 3, **fields: object) -> StepReport:
    layers = tuple(
        Layer(name=f"blocks.{i}", gradient_norm=0.5, n_values=9, n_nan=0, n_infinite=0, largest_output=2.0)
        for i in range(n_layers)
    )
    told = {"step": 7, "loss": 2.0, "gradient_norm": 0.5, "learning_rate": 1e-3, "layers": layers}
    return StepReport(**{**told, **fields})


def test_json_holds_numbers_that_are_not_finite_as_texts():
    broken = report(loss=math.nan, gradient_norm=math.inf, outputs={"a": -math.inf, "b": 1.5}, cause=cause(rows=(2,)))
    held = json.loads(json.dumps(broken.document(), allow_nan=False))
    assert (held["loss"], held["gradient_norm"], held["learning_rate"]) == ("nan", "inf", 1e-3)
    assert held["outputs"] == {"a": "-inf", "b": 1.5}
    assert held["cause"]["rows"] == [2]
    assert held["layers"][1]["name"] == "blocks.1"


def test_the_layer_that_broke_is_marked():
    lines = report(cause=cause()).lines()
    assert [line.split()[0] for line in lines if line.endswith("<- first")] == ["blocks.1"]
    assert lines[0] == "step 7: the gradient is not finite"
    assert report(loss=math.nan, cause=cause()).lines()[0] == "step 7: the loss is not finite"


def test_a_deep_model_shows_its_ends_and_the_layer_that_broke():
    lines = report(100, cause=cause("blocks.50.attention")).lines()
    rows = [line for line in lines if line.startswith("blocks.") or line == "…"]
    assert rows[0].startswith("blocks.0 ")
    assert rows[-1].startswith("blocks.99")
    assert next(row for row in rows if "first" in row).startswith("blocks.50 ")
    assert rows.count("…") == 2
    assert len(rows) == MOST_LAYERS + 3
    assert sum(line.startswith("blocks.") for line in report(100).lines(full=True)) == 100


def test_gradients_that_are_not_finite_are_counted():
    for n_nan, n_infinite, told in (
        (12_000, 3, "12,000 NaN, 3 infinite of 12,003 values"),
        (12_003, 0, "all 12,003 values NaN"),
        (0, 7, "7 infinite of 12,003 values"),
    ):
        layer = Layer(
            name="a", gradient_norm=1.0, n_values=12_003, n_nan=n_nan, n_infinite=n_infinite, largest_output=None
        )
        assert report(layers=(layer,)).lines()[-1].split("  ")[-1].strip() == told


def test_long_lines_are_cut_or_folded_to_the_width():
    text = "\n".join("x" * 300 for _ in range(20))
    told = report(text=text, cause=cause(what="word " * 60))
    lines = told.lines(width=70)
    assert max(map(len, lines)) == 70
    assert sum(line.strip().startswith("xxx") for line in lines) == MOST_TEXT
    assert lines[-1] == "  … 12 more"
    assert "x" * 300 in "\n".join(told.lines(width=60, full=True))


def test_the_rows_that_broke_are_the_ones_shown():
    text = "\n".join(f"row {i}" for i in range(1, 21))
    lines = report(text=text, cause=cause(rows=(13, 17)), n_micro_batches=3).lines()
    assert lines[-4:] == ["batch (micro-batch 2 of 3)", "  row 13", "  row 17", "  … 18 more"]


@pytest.mark.parametrize(("a", "b"), [(1.0, 2.0), (math.inf, 0.0), (math.nan, 1.0), (math.nan, math.inf)])
def test_the_larger_size_does_not_depend_on_the_order(a: float, b: float):
    assert str(larger(a, b)) == str(larger(b, a))
    assert math.isnan(larger(a, b)) == math.isnan(a)


def test_layers_of_names():
    assert layer_of("encoder.blocks.11.norm") == "encoder.blocks.11"
    assert layer_of("layers.2") == "layers.2"
