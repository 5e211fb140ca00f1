import pytest
from tokenizers import pre_tokenizers

from groundup.tokenization.byte_alphabet import BYTES, spell, unspell


def test_every_byte_has_its_character_and_gpt2s_place():
    assert sorted(BYTES) == [bytes([byte]) for byte in range(256)]
    assert {spell(token) for token in BYTES} == set(pre_tokenizers.ByteLevel.alphabet())
    assert [spell(token) for token in BYTES] == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert all(unspell(spell(token)) == token for token in BYTES)


def test_a_character_outside_the_alphabet_is_an_error():
    with pytest.raises(KeyError):
        unspell("a b")
