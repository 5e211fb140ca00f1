"""Ids to ids: what `generate` leaves out and refuses."""

from dataclasses import replace

import pytest
import torch

from groundup.configs import GenerationConfig, GPTConfig
from groundup.configs.generation import BeamConfig
from groundup.errors import InputError
from groundup.generation import beam_search, generate
from groundup.models.gpt import GPT

torch.manual_seed(0)
MODEL = GPT(GPTConfig(vocab_size=10, context_length=32, d_model=8, n_layers=1, n_heads=2)).double()


@pytest.mark.parametrize("strategy", ["sample", "greedy", "beam"])
def test_the_end_token_is_left_out_only_where_it_ends(strategy: str):
    # One beam: of several, others would go on without that token.
    config = GenerationConfig(strategy=strategy, max_new_tokens=12, seed=2, beam=BeamConfig(n_beams=1))
    free = generate(MODEL, [[1, 2]], config)[0]
    end = free[-1]
    ended = generate(MODEL, [[1, 2]], config, end_id=end)[0]
    assert end not in ended
    assert len(ended) < 12
    assert generate(MODEL, [[1, 2]], replace(config, stop_at_end=False), end_id=end)[0] == free


def test_beams_give_the_best_hypothesis():
    config = GenerationConfig(strategy="beam", max_new_tokens=5)
    assert generate(MODEL, [[1], [2, 3]], config) == [
        best[0].tokens for best in beam_search(MODEL, [[1], [2, 3]], config)
    ]
    assert generate(MODEL, [], config) == []


@pytest.mark.parametrize("texts", ["stop", "banned"])
def test_texts_need_a_tokenizer(texts: str):
    with pytest.raises(InputError, match=f"cannot find the {texts} texts .'x',.; use generate_text"):
        generate(MODEL, [[1]], GenerationConfig(**{texts: ("x",)}))
