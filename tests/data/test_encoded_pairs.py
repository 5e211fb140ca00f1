"""Pairs as tokens: both sides of the same pairs, and what is too long left out whole."""

from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.data.encoded_pairs import encode_pairs
from groundup.data.pairs import Pairs

TEXTS = st.lists(st.tuples(st.text("abc", max_size=6), st.text("abc", max_size=6)), max_size=12)


def spell(text: str) -> list[int]:
    return [*text.encode(), 0]


@settings(max_examples=25, derandomize=True)
@given(texts=TEXTS, most=st.integers(1, 8))
def test_nothing_is_cut_and_everything_counted(texts: list[tuple[str, str]], most: int):
    pairs = Pairs(source=tuple(s for s, _ in texts), target=tuple(t for _, t in texts))
    found = encode_pairs(pairs, spell, spell, max_tokens=most)
    assert list(found.pairs) == [(s, t) for s, t in texts if max(len(s), len(t)) < most]
    assert len(found.pairs) + found.n_too_long == len(texts)
    assert [row.tolist() for row in found.source] == [spell(text) for text in found.pairs.source]
    assert found.lengths.tolist() == [[len(s) + 1, len(t) + 1] for s, t in found.pairs]
