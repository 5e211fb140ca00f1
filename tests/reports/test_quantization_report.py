"""The figures of a report: what is said, for every kind of config."""

import json
import math
from dataclasses import replace

import pytest
from tests.reports.quantized import FOUND, PLAIN, SEARCHED

from groundup.configs.quantization import QuantizationConfig
from groundup.reports.quantization_report import (
    figures_of,
    notes_of,
    search_summary,
    search_table,
    settings,
    summary,
    table_of,
    worst_layers,
)
from groundup.reports.tables import aligned


def rows() -> dict[str, list[str]]:
    return {row[0].text: [str(cell) for cell in row[1:]] for row in table_of(FOUND).rows}


def test_each_figure_stands_in_its_row():
    found = rows()
    assert found["size"] == ["538 MB", "84.0 MB", "0.16×"]
    assert found["bits a parameter"] == ["32.0", "5.0", "–"]
    assert found["perplexity"] == ["20.086", "20.511", "+2.12% (+1.71% to +2.54%)"]
    assert found["KL divergence, nats a token"][2] == "0.021"
    assert found["same most likely token"][2] == "93%"
    assert found["largest difference of a logit"][2] == "3.21"
    assert found["reading, tokens/s"] == ["512", "490", "0.96×"]
    assert found["writing, tokens/s"] == ["18.0", "90.0", "5.00×"]


def test_the_sentence_says_what_was_saved_and_what_it_cost():
    assert summary(FOUND) == "0.16× the bytes, perplexity +2.12% (+1.71% to +2.54%), writing 5.00× as fast."
    assert summary(PLAIN).endswith("(+1.71% to +2.54%).")


def test_what_was_not_measured_is_not_told():
    shown = aligned(table_of(PLAIN)) + "\n".join(notes_of(PLAIN))
    assert "tokens/s" not in shown
    assert "Read to quantize" not in shown
    assert "Read to quantize: the first nine tenths of shakespeare." in notes_of(FOUND)


def test_the_worst_layers_come_first():
    errors = [one.error for one in sorted(FOUND.errors, key=lambda one: -one.error)]
    shown = [row[1].text for row in worst_layers(FOUND).rows]
    assert shown == [f"{100 * error:.1f}%" for error in errors[: len(shown)]]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (QuantizationConfig(), "int4, rounded to nearest, groups of 32"),
        (QuantizationConfig(method="fitted", activation_aware=True, embeddings=False),
         "int4, fitted by least squares, groups of 32, activation-aware, embeddings as they were"),
        (QuantizationConfig(to="int8"), "int8, a scale for each 32 neighbours"),
        (QuantizationConfig(to="int8", granularity="tensor", symmetric=False, activations="static", skip=("a", "b")),
         "int8, a scale for each matrix, affine, static activations, 2 skipped"),
    ],
)  # fmt: skip
def test_the_config_is_told_in_words(config: QuantizationConfig, expected: str):
    assert settings(replace(FOUND, config=config)) == expected


def test_a_search_tells_what_it_measured():
    assert search_summary(SEARCHED.search).startswith(
        "For perplexity to rise by at most 2.00%, 3 of 211 layers are left in 8 bits. "
        "Measured on the 8,192 tokens behind those that judge: +3.12% with 0, +2.07% with 2, +1.88% with 3. KL alone:"
    )
    assert settings(SEARCHED) == "int4, GPTQ, groups of 32, 3 layers in int8"
    only = replace(SEARCHED, config=QuantizationConfig())
    assert "Read to search: the first nine tenths of shakespeare." in notes_of(only)
    last = [row[-1].text for row in search_table(SEARCHED.search).rows]
    assert last[:4] == ["int8", "int8", "int8", ""]
    none = replace(SEARCHED.search, choice=replace(SEARCHED.search.choice, names=(), tried={0: 0.01}), finer="float")
    assert (
        "no layer needs more bits. Measured on the 8,192 tokens behind those that judge: +1.00% with 0."
        in search_summary(none)
    )


def test_a_search_is_in_the_figures_layer_by_layer():
    search = figures_of(SEARCHED)["search"]
    assert search["finer"] == dict.fromkeys(SEARCHED.search.choice.names, "int8")
    assert (search["most_increase"], search["increase"], search["n_tokens"]) == (0.02, 0.0188, 8192)
    assert "search" not in figures_of(FOUND)


def test_figures_beyond_any_measure_can_be_shown():
    lost = replace(FOUND.degradation, after=replace(FOUND.degradation.after, loss=900.0),
                   increase_interval=(3.0, math.inf))  # fmt: skip
    assert "inf" in aligned(table_of(replace(FOUND, degradation=lost)))
    assert json.loads(json.dumps(figures_of(replace(FOUND, degradation=lost)), allow_nan=False))["increase"] is None


def test_too_few_windows_have_no_interval():
    few = replace(FOUND, degradation=replace(FOUND.degradation, increase_interval=None, n_windows=7))
    assert "perplexity +2.12%, writing" in summary(few)
    assert "too few for an interval: 7." in "".join(notes_of(few))
    assert "(" not in aligned(table_of(few))


def test_figures_are_json():
    found = json.loads(json.dumps(figures_of(FOUND), allow_nan=False))
    assert found["perplexity"] == pytest.approx([20.086, 20.511], abs=1e-3)
    assert found["decode"] == [18.0, 90.0]
    assert len(found["layers"]) == len(FOUND.errors)
    assert "decode" not in figures_of(PLAIN)
