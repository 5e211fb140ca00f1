from itertools import pairwise

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.errors import InputError
from groundup.tokenization import END_OF_TEXT, ByteBPE
from groundup.tokenization.bpe import merge

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
WORDS = st.text(st.sampled_from("the fox's river wA9!ß狐🦊\n\t "), max_size=60)


@given(ANY | WORDS)
def test_every_text_comes_back(trained, text):
    assert trained.decode(trained.encode(text)) == text


@settings(max_examples=300)
@given(ANY | WORDS, st.lists(st.integers(0, 60), max_size=6))
def test_streaming_gives_the_ids_of_the_whole(trained, text, cuts):
    borders = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[start:end] for start, end in pairwise(borders)]
    assert list(trained.encode_iterable(pieces)) == trained.encode(text)


def test_streaming_gives_the_ids_of_the_whole_over_many_cuts(trained):
    text = "The fox's kite, 12 or 13 of them — Über 狐狸。\n\n  “Where?” " * 3_000
    assert list(
        trained.encode_iterable(text[start : start + 777] for start in range(0, len(text), 777))
    ) == trained.encode(text)


def test_ids_are_gpt2s_bytes_then_merges_then_special_tokens(trained):
    assert trained.vocabulary[0] == b"!"
    assert trained.vocabulary[220] == b" "
    assert [trained.vocabulary[256 + rank] for rank in range(len(trained.merges))] == [a + b for a, b in trained.merges]
    assert trained.special_tokens == {END_OF_TEXT: trained.vocab_size - 1}
    assert trained.end_id == trained.vocab_size - 1


def test_special_tokens_are_ordinary_text_unless_allowed(trained):
    text = f"a{END_OF_TEXT}b"
    assert trained.end_id not in trained.encode(text)
    allowed = trained.encode(text, allow_special=True)
    assert allowed == [*trained.encode("a"), trained.end_id, *trained.encode("b")]
    assert trained.decode(allowed) == trained.decode(trained.encode(text)) == text


def test_without_special_tokens_nothing_is_special():
    bare = ByteBPE([])
    assert bare.end_id is None
    assert bare.vocab_size == 256
    assert bare.encode(END_OF_TEXT, allow_special=True) == bare.encode(END_OF_TEXT)


@pytest.mark.parametrize(
    ("spelled", "shown"),
    [(b"\xff", "\ufffd"), (b"a\xe2\x82", "a\ufffd"), (b"\xe2\x82b", "\ufffdb"), (b"\xed\xa0\x80", "\ufffd" * 3)],
)
def test_invalid_utf8_becomes_the_replacement_character(spelled, shown):
    bytes_only = ByteBPE([])
    ids = {token: number for number, token in bytes_only.vocabulary.items()}
    assert bytes_only.decode(ids[spelled[place : place + 1]] for place in range(len(spelled))) == shown


@pytest.mark.parametrize("token", [-1, 400, 10**9])
def test_ids_outside_the_vocabulary_are_refused(trained, token):
    with pytest.raises(InputError, match=f"expected token ids 0 … 399, found {token}"):
        trained.decode([0, token])
    with pytest.raises(InputError):
        trained.token_bytes(token)


def test_the_word_memory_is_bounded(trained, monkeypatch):
    monkeypatch.setattr("groundup.tokenization.bpe._WORDS_REMEMBERED", 3)
    text = "one two three four five six seven one two"
    assert trained.decode(trained.encode(text)) == text
    assert len(trained._remembered) <= 3


def test_merges_apply_in_the_order_they_were_learned():
    ranks = {(b"b", b"c"): 0, (b"a", b"b"): 1}
    assert merge(b"abc", ranks) == [b"a", b"bc"]
    assert merge(b"", ranks) == []
    assert merge(b"aaaa", {(b"a", b"a"): 0, (b"aa", b"aa"): 1}) == [b"aaaa"]
    assert merge(b"aaa", {(b"a", b"a"): 0}) == [b"aa", b"a"]


@given(st.data())
@settings(max_examples=200)
def test_ids_are_those_of_the_tokenizers_library(trained, library, data):
    text = data.draw(ANY | WORDS)
    assert trained.encode(text) == library.encode(text).ids
    assert trained.decode(library.encode(text).ids) == library.decode(trained.encode(text))


@pytest.fixture(scope="module")
def library(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "tokenizer.json"
    trained.save(path)
    library = tokenizers.Tokenizer.from_file(str(path))
    library.encode_special_tokens = True
    return library


@pytest.mark.parametrize(
    ("merges", "special", "vocabulary", "found"),
    [
        ([(b"ab", b"c")], [], None, r"found b'ab' \+ b'c' as merge 0"),
        ([(b"a", b"b"), (b"a", b"b")], [], None, "two ids spell the same"),
        ([], ["a"], None, "two ids spell the same"),
        ([], [], {0: b"a"}, "found none for byte 33"),
        ([], [], {1: b"a"}, "without gaps"),
        ([], [], dict(ByteBPE([]).vocabulary) | {256: b"extra"}, "found 257"),
    ],
)
def test_vocabularies_that_do_not_fit_are_refused(merges, special, vocabulary, found):
    with pytest.raises(InputError, match=found):
        ByteBPE(merges, special, vocabulary=vocabulary)
