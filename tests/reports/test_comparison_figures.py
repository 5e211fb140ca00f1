"""Figures of a comparison: those of its parts, with changes that a reader can check."""

import math
from dataclasses import replace

import pytest
from tests.reports.comparisons import FOUND, NOTHING_READ

from groundup.configs.generation import GenerationConfig
from groundup.evaluation.perplexity import Perplexity
from groundup.reports.comparison import Comparison, Reading
from groundup.reports.comparison_figures import notes_of, settings, summary, table_of


def rows_of(found: Comparison) -> dict[str, list[str]]:
    return {str(row[0]): [str(cell) for cell in row[1:]] for row in table_of(found).rows}


def test_every_figure_is_that_of_its_part():
    rows = rows_of(FOUND)
    assert rows["perplexity, ours"] == [f"{math.exp(3):.1f}", f"{math.exp(2):.2f}", f"−{1 - 1 / math.e:.1%}"]
    bits = [3 * 100 / (400 * math.log(2)), 2 * 100 / (400 * math.log(2))]
    assert rows["bits per byte, ours"] == [f"{bits[0]:.3f}", f"{bits[1]:.3f}", "−33.3%"]
    assert rows["perplexity, <i>other</i>"][2] == f"+{math.exp(0.5) - 1:.1%}"
    assert rows["distinct-1"][0] == "1.000"
    assert rows["words a text"][0] == "2"  # a time there was; and none
    assert rows["ended by themselves"] == ["1 of 2", "0 of 2", ""]
    assert [column.title for column in table_of(FOUND).columns[1:3]] == [FOUND.base, FOUND.tuned]


def test_what_was_not_measured_has_no_row():
    assert not any("perplexity" in name or "bits" in name for name in rows_of(NOTHING_READ))
    assert summary(NOTHING_READ) == ""
    assert not any("windows" in note for note in notes_of(NOTHING_READ))


def test_perplexities_of_different_tokens_are_not_compared():
    found = replace(FOUND, same_tokens=False)
    rows = rows_of(found)
    assert rows["perplexity, ours"][2] == ""
    assert rows["bits per byte, ours"][2] == "−33.3%"
    assert summary(found).startswith("Bits per byte of")
    assert any("different vocabularies" in note for note in notes_of(found))
    assert not any("different vocabularies" in note for note in notes_of(FOUND))


def test_the_sentence_says_both_figures_and_the_change():
    change = f"(−{1 - 1 / math.e:.1%})"
    assert f"the text that was learned (ours) {math.exp(2):.2f} instead of {math.exp(3):.1f} {change}" in summary(FOUND)
    assert "other text (<i>other</i>)" in summary(FOUND)


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (2.0, 2.0, ["7.39", "7.39", "±0.0%"]),
        (2.0, 1_000.0, ["7.39", "∞", ""]),
        (1_000.0, 1_000.0, ["∞", "∞", ""]),
        (30.0, 30.0, ["1.1e+13", "1.1e+13", "±0.0%"]),
    ],
)
def test_extreme_figures(before: float, after: float, shown: list[str]):
    base, tuned = (Perplexity(loss=loss, n_tokens=9, n_bytes=9) for loss in (before, after))
    found = replace(FOUND, domain=Reading(name="ours", base=base, tuned=tuned), general=None)
    assert rows_of(found)["perplexity, ours"] == shown


def test_a_reader_can_draw_the_same_again():
    assert settings(GenerationConfig(strategy="greedy", stop=("\n",))) == (
        "strategy=greedy, max_new_tokens=200, stop=('\\n',)"
    )
    assert any("max_new_tokens=200, temperature=1.0, seed=0, top_p=0.9" in note for note in notes_of(FOUND))
