"""The word of each token is the one of the split in which it begins, whatever the tokens are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.tokenization.base import Tokenizer
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer
from groundup.tokenization.split import split
from groundup.tokenization.word_numbers import word_numbers

BPE = ByteBPE([(b"t", b"h"), (b"th", b"e"), (b" ", b"the"), (b" ", b"c")])


@given(st.text(st.sampled_from("the c.'s1\n é"), max_size=30))
@settings(max_examples=25, derandomize=True, deadline=None)
def test_tokens_of_a_word_joined_are_the_word(text: str):
    tokenizers: list[Tokenizer] = [BPE, CharacterTokenizer("".join(sorted(set(text))) or "a")]
    for tokenizer in tokenizers:
        ids = tokenizer.encode(text)
        numbers = word_numbers(tokenizer, ids)
        words = [b""] * len(split(text))
        for number, token in zip(numbers, ids, strict=True):
            words[number] += tokenizer.token_bytes(token)
        assert [word.decode() for word in words] == split(text)


@pytest.mark.parametrize("cut", [1, 2])
def test_half_a_character_at_an_end_is_no_error(cut: int):
    ids = BPE.encode("the €")
    assert word_numbers(BPE, ids[:-cut]).tolist() == [0, 1, 1, 1][: len(ids) - cut]


def test_no_token_has_no_number():
    assert word_numbers(BPE, []).tolist() == []
