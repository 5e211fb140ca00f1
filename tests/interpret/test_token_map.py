"""Which tokens are drawn and what is written beside them: every token has a kind and a name that can be seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.interpret.some_embeddings import some_embeddings

from groundup.errors import InputError
from groundup.interpret.token_map import KINDS, TokenEmbeddings, choose_tokens, count_tokens, token_kind, visible
from groundup.tokenization.base import END_OF_TEXT
from groundup.tokenization.characters import CharacterTokenizer

SMALL = some_embeddings()


def test_every_token_has_a_text_a_label_and_a_kind():
    assert len(SMALL) == len(SMALL.texts) == len(SMALL.labels) == len(SMALL.kinds)
    king = SMALL.find("king")
    assert (SMALL.texts[king], SMALL.labels[king], KINDS[SMALL.kinds[king]]) == (" king", "␣king", "word")
    byte = SMALL.tokenizer.encode("é")[0]
    assert (SMALL.texts[byte], SMALL.labels[byte], SMALL.kinds[byte]) == ("", "⟨C3⟩", 6)
    end = SMALL.find(END_OF_TEXT)
    assert (SMALL.texts[end], SMALL.labels[end], SMALL.kinds[end]) == ("", END_OF_TEXT, 6)
    assert all(label for label in SMALL.labels)
    np.testing.assert_allclose(np.linalg.norm(SMALL.units, axis=1), 1, atol=1e-6)  # float32


@settings(max_examples=25, derandomize=True)
@given(st.text(max_size=8))
def test_any_text_has_a_kind_and_can_be_seen(text: str):
    assert 0 <= token_kind(text) < len(KINDS)
    assert visible(text).isprintable()
    assert " " not in visible(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (" the", "word"),
        (" The", "capitalized word"),
        ("the", "piece of a word"),
        (" don't", "piece of a word"),
        (" größe", "word"),
        ("2024", "number"),
        ("\n\n", "sign or space"),
        (" 東京", "another script"),
        ("", "special or bytes"),
    ],
)
def test_kinds(text: str, kind: str):
    assert KINDS[token_kind(text)] == kind


def test_a_word_is_found_as_it_stands_in_a_text_first():
    assert SMALL.texts[SMALL.find("red")] == " red"
    assert SMALL.texts[SMALL.find("r")] == " r"
    assert SMALL.texts[SMALL.find("z")] == "z"
    assert SMALL.find("␣red") == SMALL.find("red"), "as a label shows it"
    assert SMALL.texts[SMALL.find("⏎")] == "\n"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("kingdom", "expected a word that is one token of small, found 'kingdom', which is 4 (␣king d o m): take anot"),
        ("", "found '', which"),
        ("two words", "found 'two words', which is 7 (␣two"),
    ],
)
def test_a_word_that_is_no_token(word: str, said: str):
    if word == "":
        assert SMALL.texts[SMALL.find(word)] == " "  # the space itself
        return
    with pytest.raises(InputError) as refused:
        SMALL.find(word)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_letter_that_cannot_be_spelled():
    letters = TokenEmbeddings(vectors=np.eye(2), tokenizer=CharacterTokenizer("ab"), source="letters")
    assert letters.find("b") == 1
    with pytest.raises(InputError, match="found 'c', which it cannot spell"):
        letters.find("c")
    with pytest.raises(InputError, match="expected tokens of letters that begin a word, found none"):
        choose_tokens(letters, 10, which="words")


def test_which_are_drawn():
    assert choose_tokens(SMALL, 7).tolist() == list(range(7))
    words = choose_tokens(SMALL, 1_000, which="words")
    assert {SMALL.find(word) for word in ("king", "red", "three")} < set(words.tolist())
    assert (SMALL.kinds[words] <= 1).all()
    assert len(choose_tokens(SMALL, 10**9)) == len(SMALL)


def test_the_most_frequent_of_a_text():
    counts = count_tokens(SMALL, ["a red king, a r", "ed queen"])
    assert counts.sum() == len(SMALL.tokenizer.encode("a red king, a red queen"))
    found = choose_tokens(SMALL, 100, counts=counts)
    assert SMALL.texts[found[0]] == "a"  # the first of those that occur twice
    assert set(found.tolist()) == set(np.flatnonzero(counts).tolist())
    assert [SMALL.texts[i] for i in choose_tokens(SMALL, 2, which="words", counts=counts)] == [" red", " king"]
    with pytest.raises(InputError, match="expected tokens of small that occur in the text, found none"):
        choose_tokens(SMALL, 5, counts=np.zeros(len(SMALL), dtype=int))


def test_some_are_drawn_in_any_case():
    king = SMALL.find("king")
    found = choose_tokens(SMALL, 5, always=[king, 3, king])
    assert found.tolist() == [king, 3, 0, 1, 2]
