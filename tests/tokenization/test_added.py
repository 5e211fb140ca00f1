"""Special tokens added to any tokenizer: old ids stay, new ones follow, and a file keeps them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.errors import InputError
from groundup.tokenization import (
    END_OF_TEXT,
    ByteBPE,
    CharacterTokenizer,
    FastTokenizer,
    PublishedTokenizer,
    Tokenizer,
    load_tokenizer,
)
from groundup.tokenization.added import with_end_token, with_special_tokens

PAD = "<|pad|>"
TEXT = f"the other\nthe{PAD} 3é"


def byte_bpe() -> ByteBPE:
    return ByteBPE([(b"t", b"h"), (b"th", b"e"), (b" ", b"the")], [END_OF_TEXT])


MAKE = {
    "by hand": byte_bpe,
    "fast": lambda: FastTokenizer(byte_bpe()),
    "published": lambda: with_end_token(with_special_tokens(byte_bpe(), ["<s>"]), "<s>"),
    "characters": lambda: CharacterTokenizer("".join(sorted(set(TEXT)))),
}


@pytest.fixture(params=MAKE)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return MAKE[request.param]()


def test_old_ids_stay_and_new_ones_follow(tokenizer: Tokenizer, tmp_path: Path):
    more = with_special_tokens(tokenizer, [PAD, "<|a|>", PAD])
    n = tokenizer.vocab_size
    assert more.special_tokens == {**tokenizer.special_tokens, PAD: n, "<|a|>": n + 1}
    assert more.vocab_size == n + 2
    assert more.end_id == tokenizer.end_id
    assert more.encode(TEXT) == tokenizer.encode(TEXT)  # unless allowed, the spelling is ordinary text
    before, after = TEXT.split(PAD)
    expected = [*tokenizer.encode(before), n, *tokenizer.encode(after)]
    assert more.encode(TEXT, allow_special=True) == expected
    assert more.decode(expected) == TEXT
    assert b"".join(map(more.token_bytes, expected)).decode() == TEXT
    more.save(tmp_path / "tokenizer.json")
    back = load_tokenizer(tmp_path / "tokenizer.json")
    assert back.special_tokens == more.special_tokens
    assert back.encode(TEXT, allow_special=True) == expected


def test_what_is_special_already_changes_nothing(tokenizer: Tokenizer):
    assert with_special_tokens(tokenizer, list(tokenizer.special_tokens)) is tokenizer
    assert with_special_tokens(tokenizer, []) is tokenizer


def test_an_ordinary_token_or_nothing_is_refused(tokenizer: Tokenizer):
    for name, said in (("t", "found 't', an ordinary token"), ("", "found nothing"), ("\ud800", "lone surrogate")):
        with pytest.raises(InputError, match=said):
            with_special_tokens(tokenizer, [name])


@given(text=st.text(alphabet="0123456789+= "))
@settings(max_examples=25, derandomize=True)
def test_an_alphabet_without_letters_keeps_its_ids(text: str):
    digits = CharacterTokenizer(" +0123456789=")
    more = with_special_tokens(digits, [PAD])
    assert more.encode(text) == digits.encode(text)
    assert b"".join(map(more.token_bytes, more.encode(text))).decode() == text
    with pytest.raises(InputError):
        more.encode(text + "x")


def test_another_end_of_text_can_be_chosen(tokenizer: Tokenizer):
    more = with_special_tokens(tokenizer, [PAD])
    ended = with_end_token(more, PAD)
    assert isinstance(ended, PublishedTokenizer)
    assert ended.end_id == tokenizer.vocab_size
    assert ended.encode(TEXT) == tokenizer.encode(TEXT)
    assert with_end_token(ended, PAD) is ended
    assert with_special_tokens(ended, ["<|b|>"]).end_id == ended.end_id
    with pytest.raises(InputError, match=r"found '<\|c\|>': known are"):
        with_end_token(more, "<|c|>")


def test_gaps_between_ids_are_refused():
    text = (
        '{"added_tokens": [{"id": 7, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, '
        '"normalized": false, "special": true}], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}'
    )
    gappy = PublishedTokenizer(text, Path("x"), end_token="<s>")
    if gappy.vocab_size == 2:  # the library numbers it anew
        assert with_special_tokens(gappy, [PAD]).special_tokens[PAD] == 2
        return
    with pytest.raises(InputError, match="expected ids without gaps"):
        with_special_tokens(gappy, [PAD])
