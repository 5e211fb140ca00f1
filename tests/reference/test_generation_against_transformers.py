"""Decoding against `transformers.generate`: the same random weights, the same prompts, the same tokens."""

from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from groundup.configs import GenerationConfig
from groundup.generation import decode, generate
from groundup.models.gpt import GPT
from groundup.proofs.hf_weights import gpt_from_gpt2, gpt_from_llama

V, CONTEXT = 64, 96
PROMPTS = [[1, 2, 3], [7] * 20, list(range(40)), [63]]
N = 50


def random_gpt2() -> tuple[GPT, Any]:
    config = GPT2Config(
        vocab_size=V, n_positions=CONTEXT, n_embd=32, n_layer=3, n_head=4, bos_token_id=None, eos_token_id=None
    )
    return prepared(GPT2LMHeadModel(config), gpt_from_gpt2)


def random_llama() -> tuple[GPT, Any]:
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=None,
        eos_token_id=None,
    )
    return prepared(LlamaForCausalLM(config), gpt_from_llama)


def prepared(theirs: Any, convert: Any) -> tuple[GPT, Any]:
    """Larger weights than the initial ones, so that tokens depend on the past and are not close to ties."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.4, generator=generator)
    theirs.eval()
    theirs.generation_config.eos_token_id = theirs.generation_config.pad_token_id = None
    return convert(theirs), theirs


models = pytest.mark.parametrize("make", [random_gpt2, random_llama])


def their_tokens(theirs: Any, prompt: list[int], **settings: Any) -> list[int]:
    ids = torch.tensor([prompt])
    drawn = theirs.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=N, pad_token_id=0, **settings
    )
    return drawn[0, len(prompt) :].tolist()


@models
@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_equals_transformers(make: Any, use_cache: bool):
    ours, theirs = make()
    config = GenerationConfig(strategy="greedy", max_new_tokens=N, use_cache=use_cache)
    drawn = generate(ours, PROMPTS, config)
    assert drawn == [their_tokens(theirs, prompt) for prompt in PROMPTS]
    assert all(len(set(ids)) > 2 for ids in drawn)  # not one token over and over, which would prove little


@models
def test_no_token_was_decided_by_rounding(make: Any):
    """The margin under the equality above: the best token is ahead of the second by far more than rounding.

    1e-4: the largest difference between our logits and theirs that the layers are allowed; both may be off, so twice.
    """
    ours, _ = make()
    config = GenerationConfig(strategy="greedy", max_new_tokens=N, n_top=2)
    margins = [one.top[0][1] - one.top[1][1] for step in decode(ours, PROMPTS, config) for one in step]
    assert min(margins) > 2e-4


@models
def test_greedy_with_a_penalty_and_an_end_token_equals_transformers(make: Any):
    ours, theirs = make()
    config = GenerationConfig(strategy="greedy", max_new_tokens=N, repetition_penalty=1.3)
    end = generate(ours, PROMPTS, config)[1][10]
    for prompt, drawn in zip(PROMPTS, generate(ours, PROMPTS, config, end_id=end), strict=True):
        expected = their_tokens(theirs, prompt, repetition_penalty=1.3, eos_token_id=end)
        assert drawn == [token for token in expected if token != end]  # theirs keeps the end token, ours drops it


@models
def test_logprobs_equal_transformers(make: Any):
    ours, theirs = make()
    prompt = torch.tensor([PROMPTS[0]])
    out = theirs.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=False,
        max_new_tokens=N,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_logits=True,
    )
    config = GenerationConfig(strategy="greedy", max_new_tokens=N)
    draws = [step[0] for step in decode(ours, PROMPTS[:1], config)]
    for one, logits in zip(draws, out.logits, strict=True):
        # 2e-4: logits within 1e-4 each, and so their log-normalizer.
        assert one.logprob == pytest.approx(logits[0].log_softmax(-1)[one.token].item(), abs=2e-4)
