"""Texts as JSON lines say what was drawn, how likely it was and why it ended."""

import json
import math
from dataclasses import replace

import pytest
import torch

from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.configs.model import GPTConfig
from groundup.generation.json_lines import json_lines
from groundup.models.gpt import GPT
from groundup.tokenization.bpe import ByteBPE

TOKENIZER = ByteBPE(merges=[], special_tokens=["<|endoftext|>"])


@pytest.fixture(scope="module")
def model() -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=TOKENIZER.vocab_size, context_length=64, d_model=16, n_layers=1, n_heads=2)).eval()


def lines(model: GPT, config: GenerationConfig, n_samples: int = 1) -> list[dict]:
    return [
        json.loads(line)
        for line in json_lines(model, TOKENIZER, TOKENIZER.encode("ab"), config, prompt="ab", n_samples=n_samples)
    ]


def test_each_sample_has_its_seed_and_is_what_that_seed_draws(model: GPT):
    first, second = lines(model, GenerationConfig(max_new_tokens=6, seed=5), n_samples=2)
    assert (first["seed"], second["seed"]) == (5, 6)
    assert lines(model, GenerationConfig(max_new_tokens=6, seed=6)) == [second]
    assert first["prompt"] == "ab"
    assert first["n_tokens"] == 6
    assert first["logprob"] < 0


def test_steps_are_told_where_alternatives_are_asked_for(model: GPT):
    (told,) = lines(model, GenerationConfig(max_new_tokens=4, n_top=2, strategy="greedy"))
    assert [len(step["top"]) for step in told["steps"]] == [2] * 4
    assert all(step["top"][0][0] == step["token"] for step in told["steps"])  # greedy takes the first alternative
    assert math.isclose(sum(step["logprob"] for step in told["steps"]), told["logprob"])
    assert "steps" not in lines(model, GenerationConfig(max_new_tokens=4))[0]


def test_it_says_why_a_text_ended(model: GPT):
    greedy = GenerationConfig(max_new_tokens=8, strategy="greedy")
    (told,) = lines(model, greedy)
    assert told["ended"] == "length"
    likely_end = GenerationConfig(max_new_tokens=8, strategy="greedy", logit_bias=((TOKENIZER.end_id, 100.0),))
    assert lines(model, likely_end)[0]["ended"] == "end"
    (letter,) = TOKENIZER.encode("q")
    stopped = GenerationConfig(max_new_tokens=8, strategy="greedy", logit_bias=((letter, 100.0),), stop=("qq",))
    assert (lines(model, stopped)[0]["ended"], lines(model, stopped)[0]["text"]) == ("stop", "")
    last = replace(stopped, max_new_tokens=2)  # the stop text is complete with the last token that is allowed
    assert (lines(model, last)[0]["ended"], lines(model, last)[0]["text"]) == ("stop", "")


def test_beams_have_scores(model: GPT):
    told = lines(model, GenerationConfig(max_new_tokens=4, strategy="beam", beam=BeamConfig(n_beams=3, n_best=2)))
    assert len(told) == 2
    assert told[0]["score"] >= told[1]["score"]
