"""Conversations and pairs as examples: cut where asked, counted, and refused with their beginning."""

import numpy as np
import pytest

from groundup.chat import ChatTemplate
from groundup.chat.examples import encode_chats, encode_pairs
from groundup.data.preferences import Preference
from groundup.errors import InputError
from groundup.tokenization import ByteBPE

TOKENIZER = ByteBPE([], special_tokens=["<end>"])
TEMPLATE = ChatTemplate("{% for m in messages %}{{ m.content + '<end>' }}{% endfor %}")
USER = ("user", "1234")  # with its end 5 tokens


def test_cut_conversations_keep_what_is_left_and_those_with_nothing_left_are_counted():
    chats = [(USER, ("assistant", "ab")), (USER, ("assistant", "abcdef")), (("user", "x" * 9), ("assistant", "ab"))]
    found = encode_chats(TOKENIZER, TEMPLATE, chats, max_tokens=8)
    assert [TOKENIZER.decode(one.ids.tolist()) for one in found.examples] == ["1234<end>ab<end>", "1234<end>abc"]
    assert [one.is_learned.tolist() for one in found.examples] == [[False] * 5 + [True] * 3] * 2
    assert (found.n_cut, found.n_left_out) == (2, 1)


def test_pairs_that_are_alike_before_the_cut_or_have_no_reply_before_it_are_left_out():
    preferences = [
        Preference((USER,), "abc", "abd"),
        Preference((USER,), "abcd", "abce"),  # alike in their first 8 tokens
        Preference((("user", "x" * 9),), "abc", "abd"),
        Preference((USER,), "ab", "a"),
    ]
    found = encode_pairs(TOKENIZER, TEMPLATE, preferences, max_tokens=8)
    said = [[TOKENIZER.decode(one.ids[one.is_learned].tolist()) for one in pair] for pair in found.pairs]
    assert said == [["abc", "abd"], ["ab<end>", "a<end>"]]
    assert (found.n_cut, found.n_left_out) == (3, 2)


def test_of_a_pair_only_the_reply_is_learned():
    before = (USER, ("assistant", "ab"), ("user", "c"))
    [pair] = encode_pairs(TOKENIZER, TEMPLATE, [Preference(before, "d", "e")], max_tokens=99).pairs
    assert np.flatnonzero(pair.chosen.is_learned).tolist() == [10, 11]
    assert TOKENIZER.decode(pair.rejected.ids.tolist()) == "1234<end>ab<end>c<end>e<end>"


def test_nothing_left_is_refused():
    with pytest.raises(InputError, match="conversation with something to learn in its first 5 tokens, found none: rai"):
        encode_chats(TOKENIZER, TEMPLATE, [(USER, ("assistant", "ab"))], max_tokens=5)
    with pytest.raises(InputError, match="pair of replies with something to learn in its first 5 tokens, found none"):
        encode_pairs(TOKENIZER, TEMPLATE, [Preference((USER,), "a", "b")], max_tokens=5)


def test_a_refusal_says_which_conversation():
    strict = ChatTemplate(
        "{% if messages | length > 3 %}{{ raise_exception('too long') }}{% endif %}" + TEMPLATE.source
    )
    long = (USER, ("assistant", "a"), ("user", "b"), ("assistant", "c"))
    with pytest.raises(InputError) as caught:
        encode_chats(TOKENIZER, strict, [(USER, ("assistant", "a")), (("system", "Be."), *long)], max_tokens=99)
    assert str(caught.value).endswith("too long: change the messages (in the conversation that begins '1234')")
