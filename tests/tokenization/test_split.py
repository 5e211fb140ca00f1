import sys
from itertools import pairwise

import pytest
import regex
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from groundup.tokenization import split as module
from groundup.tokenization.byte_alphabet import unspell
from groundup.tokenization.split import SPACES, encode_special, safe_pieces, special_pattern, split

# Characters of every class that the pattern knows, often enough to meet at every kind of border.
TRICKY = st.text(
    st.sampled_from("aélst'’ \t\n\r\x0b\x1c\x85\xa0\u2003 1²٣!?<|>-\u0301漢🦊\u0558\U000323b0"), max_size=40
)
ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
LIBRARY = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


@settings(max_examples=500)
@given(TRICKY | ANY)
def test_words_are_those_of_the_tokenizers_library(text):
    assert [word.encode() for word in split(text)] == [unspell(word) for word, _ in LIBRARY.pre_tokenize_str(text)]
    assert "".join(split(text)) == text


def test_every_code_point_has_the_class_that_tiktoken_gives_it():
    # If this fails after an update of tiktoken or regex, one of them knows a newer Unicode: see _AFTER_UNICODE_16.
    characters = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF]
    single_bytes = {bytes([byte]): byte for byte in range(256)}
    for ours, theirs in ((module._LETTER, r"\p{L}"), (module._NUMBER, r"\p{N}"), (r"\s", r"\s")):
        matched = tiktoken.Encoding("class", pat_str=theirs, mergeable_ranks=single_bytes, special_tokens={})
        expected = bytes(matched.encode_ordinary("".join(characters))).decode()  # what does not match is left out
        assert "".join(regex.findall(ours, "".join(characters), regex.V1)) == expected


def pieces_of(text, cuts):
    borders = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    return [text[start:end] for start, end in pairwise(borders)]


@settings(max_examples=500)
@given(TRICKY | ANY, st.lists(st.integers(0, 100), max_size=8), st.integers(1, 6), st.sampled_from([None, SPACES]))
def test_safe_pieces_split_as_the_whole_text_does(text, cuts, enough, places):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_ENOUGH", enough)  # cut as early as can be, or no text here would be cut at all
        pieces = list(safe_pieces(pieces_of(text, cuts), *([places] if places else [])))
    assert "".join(pieces) == text
    assert [word for piece in pieces for word in split(piece)] == split(text)


def test_memory_follows_the_pieces_not_the_text():
    longest = max(map(len, safe_pieces("some words, 12 or 13! " * 500 for _ in range(100))))
    assert longest < module._ENOUGH + 22 * 500


def test_text_without_spaces_is_cut_too():
    chinese = "狐狸跑过了河，猫头鹰在看。" * 20_000
    assert len(list(safe_pieces(chinese[start : start + 999] for start in range(0, len(chinese), 999)))) > 2


def test_one_endless_word_is_kept_whole_and_takes_linear_time():
    pieces = list(safe_pieces("a" * 100 for _ in range(20_000)))
    assert pieces == ["a" * 2_000_000]


def test_special_tokens_are_found_longest_first_and_none_without_any():
    assert special_pattern(["<a>", "<a><b>"]).split("x<a><b><a>") == ["x", "<a><b>", "", "<a>", ""]
    assert special_pattern([]).split("x<a>") == ["x<a>"]
    assert special_pattern([".*"]).split("ab.*c") == ["ab", ".*", "c"]
    assert encode_special("x<a>y", {"<a>": 7}, lambda text: [len(text)]) == [1, 7, 1]
