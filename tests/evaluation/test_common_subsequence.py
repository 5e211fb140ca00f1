"""The longest common subsequence in bits against the table written out, and its laws."""

from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.evaluation.common_subsequence import longest_common_length, longest_common_positions

TEXTS = st.text("abc", max_size=80)  # longer than a machine word


def table(a: str, b: str) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], diagonal + 1 if x == y else max(row[j], row[j - 1])
    return row[-1]


@settings(max_examples=25, derandomize=True)
@given(a=TEXTS, b=TEXTS)
def test_lengths_are_those_of_the_table_and_positions_spell_a_subsequence_of_both(a: str, b: str):
    length = longest_common_length(a, b)
    assert length == table(a, b) == longest_common_length(b, a)
    positions = longest_common_positions(a, b)
    assert len(positions) == length
    assert positions == sorted(set(positions))
    left = iter(b)
    assert all(a[i] in left for i in positions)  # each is found behind the one before


def test_one_walk_back_by_hand():
    # cd and ab both have length 2. From the ends, d against b: without b "cda" keeps 2, so does without d: pass over d.
    assert longest_common_positions("abcd", "cdab") == [0, 1]
