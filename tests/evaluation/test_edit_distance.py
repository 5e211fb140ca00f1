"""Edit distance in bits against the table written out, its laws as a metric, and error rates by hand."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.errors import InputError
from groundup.evaluation.edit_distance import ErrorRate, edit_distance
from groundup.evaluation.text_metric import corpus_score

TEXTS = st.text("abc", max_size=80) | st.text(max_size=5)  # longer than a machine word, and of any character


def table(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


@settings(max_examples=25, derandomize=True)
@given(a=TEXTS, b=TEXTS, c=TEXTS)
def test_it_is_the_table_s_and_a_metric(a: str, b: str, c: str):
    distance = edit_distance(a, b)
    assert distance == table(a, b) == edit_distance(b, a)
    assert (distance == 0) == (a == b)
    assert distance <= edit_distance(a, c) + edit_distance(c, b)
    assert abs(len(a) - len(b)) <= distance <= max(len(a), len(b))


def test_a_thousand_changes_among_ten_thousand_words_are_found():
    words = [str(i) for i in range(10_000)]
    assert edit_distance(words, [word if i % 10 else "x" for i, word in enumerate(words)]) == 1_000


@pytest.mark.parametrize(
    ("unit", "texts", "references", "rate"),
    [
        ("words", ["the cat sat", "yes"], [["the cat sat down", "yes"]], 100 / 5),
        ("characters", ["abc", "x"], [["abd", "y"]], 100 * 2 / 4),
        ("words", ["a b c d"], [["e"]], 400.0),
        ("words", ["a b"], [["x y", "x"][:1], ["a c"]], 50.0),  # of two references the nearer
        ("words", [""], [["  "]], 0.0),
        ("words", ["a"], [[""]], float("inf")),
        ("words", [" a  b "], [["a b"]], 0.0),  # spaces part words, how many does not matter
        ("characters", ["Grüße"], [["grüße"]], 20.0),
    ],
)
def test_rates_by_hand(unit: str, texts: list[str], references: list[list[str]], rate: float):
    assert corpus_score(ErrorRate(unit=unit), texts, references) == pytest.approx(rate)


def test_case_need_not_count():
    assert corpus_score(ErrorRate(unit="characters", lowercase=True), ["Grüße"], [["grüße"]]) == 0


def test_an_unknown_unit_is_refused():
    with pytest.raises(InputError, match="unknown unit 'bytes': known are words, characters"):
        ErrorRate(unit="bytes")
