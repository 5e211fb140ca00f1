"""Banned texts as tokens: alone and behind a space, and with the chain they are not written."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.generation.random_logits import LAW

from groundup.configs import GenerationConfig
from groundup.errors import InputError
from groundup.generation.banned import banned_sequences
from groundup.generation.processors import chain
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.characters import CharacterTokenizer

BPE = ByteBPE(merges=[(b"n", b"o"), (b" ", b"no")])


def test_a_text_is_banned_alone_and_behind_a_space_each_once():
    assert banned_sequences(BPE, ["no", " no", "no"]) == [BPE.encode(text) for text in ("no", " no", "  no")]
    assert banned_sequences(BPE, []) == []


def test_a_vocabulary_without_a_space_bans_the_text_alone():
    assert banned_sequences(CharacterTokenizer("abc"), ["cab"]) == [[2, 0, 1]]


@pytest.mark.parametrize(("text", "found"), [("", "found '', which has no tokens"), ("xyz", "'x'")])
def test_texts_without_tokens_are_refused(text: str, found: str):
    with pytest.raises(InputError, match=found) as raised:
        banned_sequences(CharacterTokenizer("abc"), ["a", text])
    assert "\n" not in str(raised.value)


@LAW
@given(st.lists(st.text("ab ", min_size=2, max_size=4), min_size=1, max_size=3), st.integers(0, 2**31))
def test_with_one_token_a_character_a_banned_text_is_never_written(texts: list[str], seed: int):
    tokenizer = CharacterTokenizer("ab c")  # c is never banned: something is always left
    process = chain(GenerationConfig(), banned_sequences(tokenizer, texts))
    generator, ids = torch.Generator().manual_seed(seed), list[int]()
    for _ in range(30):
        probabilities = process(torch.zeros(1, 4), torch.tensor([ids], dtype=torch.int64)).softmax(-1)[0]
        ids.append(int(torch.multinomial(probabilities, 1, generator=generator)))
    assert not any(text in tokenizer.decode(ids) for text in texts)
