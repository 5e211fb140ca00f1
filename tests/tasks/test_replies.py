"""Sampled replies: what `decode` draws behind the opening, within the context."""

import numpy as np
import torch

from groundup.configs import GenerationConfig, GPTConfig
from groundup.data.packing import Example
from groundup.generation import decode
from groundup.models.gpt import GPT
from groundup.tasks.replies import opening_of, sample_reply
from groundup.tokenization import ByteBPE
from groundup.tokenization.base import END_OF_TEXT

TOKENIZER = ByteBPE([], special_tokens=[END_OF_TEXT])


def model() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=260, context_length=12, d_model=16, n_layers=1, n_heads=2))


def test_the_opening_ends_before_the_first_reply():
    assert opening_of(Example(np.arange(5), np.array([0, 0, 1, 0, 1], bool))) == [0, 1]


def test_a_reply_is_what_decode_draws():
    gpt, opening = model(), TOKENIZER.encode("Hi")
    config = GenerationConfig(max_new_tokens=6, seed=3)
    drawn = [one.token for step in decode(gpt, [opening], config, end_id=256, vocab_size=257) for one in step]
    found = sample_reply(gpt, TOKENIZER, opening, n_tokens=6, seed=3)
    assert found == TOKENIZER.decode([*opening, *(token for token in drawn if token != 256)])


def test_a_reply_stays_in_the_context_and_may_have_no_room():
    gpt = model()
    for n_opening, n_drawn in ((10, 2), (11, 1)):
        found = sample_reply(gpt, TOKENIZER, [40] * n_opening, n_tokens=99, seed=0)
        config = GenerationConfig(max_new_tokens=n_drawn, seed=0)
        drawn = [one.token for step in decode(gpt, [[40] * n_opening], config, vocab_size=257) for one in step]
        assert found == TOKENIZER.decode([*[40] * n_opening, *drawn])
    assert sample_reply(gpt, TOKENIZER, [40] * 12, n_tokens=9, seed=0) == ""
    assert sample_reply(gpt, TOKENIZER, [40], n_tokens=0, seed=0) == ""
