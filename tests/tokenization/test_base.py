import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.errors import InputError
from groundup.tokenization import ByteBPE, CharacterTokenizer, FastTokenizer, IncrementalDecoder, Tokenizer, fingerprint
from groundup.tokenization.base import check_text


def test_incremental_decoder_gives_complete_characters_only():
    one_byte_a_token = ByteBPE(merges=[])
    decoder = IncrementalDecoder(one_byte_a_token)
    shown = [decoder.push(token) for token in one_byte_a_token.encode("é€𝄞!")]
    assert shown == ["", "é", "", "", "€", "", "", "", "𝄞", "!"]
    assert decoder.flush() == ""


def test_flush_shows_an_unfinished_character_as_replacement_and_starts_afresh():
    tokenizer = ByteBPE(merges=[])
    decoder = IncrementalDecoder(tokenizer)
    assert decoder.push(tokenizer.encode("€")[0]) == ""
    assert decoder.flush() == "\ufffd"
    assert decoder.push(tokenizer.encode("a")[0]) == "a"


@given(st.lists(st.integers(0, 399), max_size=60))
def test_pushed_text_is_the_decoded_text_for_any_ids(trained, ids):
    decoder = IncrementalDecoder(trained)
    assert "".join([decoder.push(token) for token in ids]) + decoder.flush() == trained.decode(ids)


def test_incremental_decoder_refuses_an_unknown_id(trained):
    with pytest.raises(InputError, match=r"expected token ids 0 … 399, found 400"):
        IncrementalDecoder(trained).push(400)


def test_fingerprint_names_the_vocabulary_not_the_class(trained):
    assert fingerprint(trained) == fingerprint(FastTokenizer(trained))
    assert fingerprint(trained) != fingerprint(ByteBPE(trained.merges[:-1], ["<|endoftext|>"]))
    assert fingerprint(ByteBPE([], ["<a>"])) != fingerprint(ByteBPE([], ["<b>"]))
    assert fingerprint(CharacterTokenizer("ab")) != fingerprint(CharacterTokenizer("ba"))
    assert len(fingerprint(trained)) == 64


def test_all_classes_keep_the_protocol(trained):
    def uses(tokenizer: Tokenizer) -> str:
        return tokenizer.decode(tokenizer.encode("the fox"))

    for tokenizer in (trained, FastTokenizer(trained), CharacterTokenizer.from_text(["the fox"])):
        assert uses(tokenizer) == "the fox"
        ids = tokenizer.encode("the fox")
        assert tokenizer.decode(np.array(ids, dtype=np.uint16)) == "the fox"
        assert b"".join(map(tokenizer.token_bytes, ids)) == b"the fox"


@pytest.mark.parametrize("wrong", [b"bytes", None, 3, ["a", "list"]])
def test_what_is_no_text_is_refused_in_one_line(wrong):
    with pytest.raises(InputError, match=r"expected text \(str\) to encode, found (bytes|NoneType|int|list)"):
        check_text(wrong)


def test_half_a_surrogate_pair_is_refused_with_its_place(trained):
    for tokenizer in (trained, FastTokenizer(trained)):
        with pytest.raises(InputError, match=r"lone surrogate U\+D83D at character 2"):
            tokenizer.encode("ab\ud83d")
        with pytest.raises(InputError, match="lone surrogate"):
            list(tokenizer.encode_iterable(["ab", "\ud83d"]))
        with pytest.raises(InputError, match="found bytes"):
            list(tokenizer.encode_iterable([b"ab"]))
