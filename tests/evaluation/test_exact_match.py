"""Exact match by hand."""

import pytest

from groundup.evaluation.exact_match import ExactMatch
from groundup.evaluation.text_metric import corpus_score


@pytest.mark.parametrize(
    ("texts", "references", "lowercase", "share"),
    [
        (["2026-11-22 ", "1999"], [["2026-11-22", "1998"]], False, 50),
        (["b", "b"], [["a", "a"], ["b", "c"]], False, 50),  # any reference will do
        (["Yes", "é"], [["yes", "e\u0301"]], False, 0),  # letter for letter: composed or not is not the same
        (["Yes", "NO"], [["yes", "no"]], True, 100),
        (["a  b"], [["a b"]], False, 0),
        ([""], [[" "]], False, 100),
    ],
)
def test_by_hand(texts: list[str], references: list[list[str]], lowercase: bool, share: float):
    assert corpus_score(ExactMatch(lowercase=lowercase), texts, references) == share
