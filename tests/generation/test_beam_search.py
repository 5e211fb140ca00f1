"""Beam search: exhaustive search where it can be afforded, and neither cache nor batch nor prefix changes a beam."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from groundup.configs import GenerationConfig, GPTConfig
from groundup.configs.generation import BeamConfig, CacheKind
from groundup.errors import InputError
from groundup.generation import beam_search, generate
from groundup.generation.prefix import Prefix
from groundup.models.gpt import GPT

V, CONTEXT, END = 11, 24, 7
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10, 0, 1, 2, 3, 4, 5], [3, 2]]
GPT2 = GPTConfig(vocab_size=V, context_length=CONTEXT, d_model=16, n_layers=2, n_heads=4)
LLAMA = replace(GPT2, position="rotary", norm="rms", activation="swiglu", n_kv_heads=2, bias=False)


def random_model(config: GPTConfig) -> GPT:
    """float64: batches and caches add up in other orders, which in float32 could swap two close beams."""
    torch.manual_seed(1)
    model = GPT(config).double()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


def beams(max_new_tokens: int = 10, *, changes: dict[str, Any] | None = None, **beam: Any) -> GenerationConfig:
    searched = BeamConfig(**({"n_beams": 4, "n_best": 4} | beam))
    return GenerationConfig(strategy="beam", max_new_tokens=max_new_tokens, beam=searched, **(changes or {}))


@pytest.fixture(params=[GPT2, LLAMA], ids=["gpt2", "llama"])
def model(request: pytest.FixtureRequest) -> GPT:
    return random_model(request.param)


def an_end(model: GPT, config: GenerationConfig) -> int:
    """A token that comes in the middle of what is found."""
    return beam_search(model, PROMPTS, config)[0][0].tokens[5]


def told(found: Any) -> list[list[tuple[list[int], float]]]:
    return [[(one.tokens, pytest.approx(one.score, abs=1e-9)) for one in best] for best in found]  # float64 sums


def log_probability(model: GPT, prompt: list[int], tokens: list[int]) -> list[float]:
    """Of each token, from one pass over the whole text."""
    with torch.no_grad():
        logprobs = F.log_softmax(model(torch.tensor([[*prompt, *tokens]]))[0], dim=-1)
    return [logprobs[len(prompt) - 1 + i, token].item() for i, token in enumerate(tokens)]


def test_enough_beams_find_the_most_likely_texts_of_all(model: GPT):
    found = beam_search(model, PROMPTS[:1], beams(2, n_beams=V, n_best=5, length_penalty=0.0))[0]
    everything = [[*pair] for pair in product(range(V), repeat=2)]
    likely = sorted(((sum(log_probability(model, PROMPTS[0], one)), one) for one in everything), reverse=True)
    assert [one.tokens for one in found] == [tokens for _, tokens in likely[:5]]


def test_scores_and_log_probabilities_are_those_of_the_text_itself(model: GPT):
    for prompt, best in zip(PROMPTS, beam_search(model, PROMPTS, beams(length_penalty=0.7), end_id=END), strict=True):
        for one in best:
            expected = log_probability(model, prompt, one.tokens)
            assert one.logprobs == pytest.approx(expected, abs=1e-9)  # float64, other orders of sums
            assert one.score == pytest.approx(sum(expected) / len(expected) ** 0.7, abs=1e-9)
        assert [one.score for one in best] == sorted((one.score for one in best), reverse=True)
        assert len({tuple(one.tokens) for one in best}) == 4


@pytest.mark.parametrize("early", ["no", "yes", "never"])
def test_neither_the_cache_nor_the_other_prompts_change_a_beam(model: GPT, early: str):
    config = beams(early_stopping=early, changes={"repetition_penalty": 1.3})
    end = an_end(model, config)
    together = beam_search(model, PROMPTS, config, end_id=end)
    alone = [beam_search(model, [prompt], config, end_id=end)[0] for prompt in PROMPTS]
    anew = beam_search(model, PROMPTS, replace(config, use_cache=False), end_id=end)
    assert told(together) == told(alone)
    assert told(together) == told(anew)
    ends = {one.tokens.index(end) if end in one.tokens else None for best in together for one in best}
    assert len(ends) > 1  # prompts were done at different steps


@pytest.mark.parametrize("early", ["no", "yes"])
def test_one_beam_is_greedy_decoding(model: GPT, early: str):
    greedy = generate(model, PROMPTS, GenerationConfig(strategy="greedy", max_new_tokens=10), end_id=END)
    assert generate(model, PROMPTS, beams(n_beams=1, n_best=1, early_stopping=early), end_id=END) == greedy


def test_alternatives_come_with_each_token(model: GPT):
    best = beam_search(model, PROMPTS, beams(changes={"n_top": 3}), end_id=END)[1][0]
    with torch.no_grad():
        logits = model(torch.tensor([[*PROMPTS[1], *best.tokens]]))[0, len(PROMPTS[1]) - 1 : -1]
    ids = logits.topk(3, dim=-1).indices.tolist()
    assert [[token for token, _ in draw.top] for draw in best.draws] == ids
    assert {draw.row for draw in best.draws} == {1}


def test_beams_end_at_the_contexts_end(model: GPT):
    found = beam_search(model, [PROMPTS[2], [1] * CONTEXT], beams(100))
    assert [{len(one.tokens) for one in best} for best in found] == [{CONTEXT + 1 - 12}, {1}]


def test_the_end_token_may_be_a_token_like_any_other(model: GPT):
    config = beams(changes={"stop_at_end": False})
    found = beam_search(model, PROMPTS, config, end_id=an_end(model, config))
    assert {len(one.tokens) for best in found for one in best} == {10}
    assert told(found) == told(beam_search(model, PROMPTS, config))


def test_what_the_caller_ends_ends_there(model: GPT):
    found = beam_search(model, PROMPTS, beams(), is_finished=lambda tokens: tokens[-1] in (0, 1, 2))
    for one in (one for best in found for one in best):
        assert not {0, 1, 2} & {*one.tokens[:-1]}
        assert one.tokens[-1] in (0, 1, 2) or len(one.tokens) == 10


@pytest.mark.parametrize("n", [1, 3])
def test_a_stopped_search_gives_what_a_shorter_one_would(model: GPT, n: int):
    asked = iter([False] * (n - 1) + [True])
    stopped = beam_search(model, PROMPTS, beams(), is_stopped=lambda: next(asked))
    assert told(stopped) == told(beam_search(model, PROMPTS, beams(n)))


def test_a_vocabulary_smaller_than_the_beams(model: GPT):
    found = beam_search(model, PROMPTS[:2], beams(1, n_beams=20, n_best=20), vocab_size=8)
    assert [len(best) for best in found] == [8, 8]
    found = beam_search(model, PROMPTS[:2], beams(3, n_beams=20, n_best=20), vocab_size=8)
    assert [len({tuple(one.tokens) for one in best}) for best in found] == [20, 20]


@pytest.mark.parametrize("cache", ["float", "int8"])
def test_a_prefix_changes_no_beam_and_is_used(model: GPT, cache: CacheKind):
    prefix, prompts, config = Prefix(model), [[1, 2, 3, 4], [1, 2, 3, 5, 6]], beams(changes={"cache": cache})
    generate(model, [[1, 2, 3, 9]], GenerationConfig(max_new_tokens=2))
    plain = beam_search(model, prompts, config, end_id=END)
    for _ in range(2):
        assert told(beam_search(model, prompts, config, end_id=END, prefix=prefix)) == told(plain)
    assert prefix.n_reused == 3
    assert told(beam_search(model, prompts[:1], config, end_id=END, prefix=prefix)) == told(plain[:1])


@pytest.mark.parametrize("penalty", [-100.0, 100.0])
def test_absurd_penalties_do_not_overflow(penalty: float):
    model = random_model(replace(GPT2, context_length=1_400, n_layers=1))
    found = beam_search(model, [[1] * 5], beams(3, length_penalty=penalty))[0]
    assert len(found) == 4


def test_the_mode_of_the_model_is_restored_also_after_an_error(model: GPT):
    model.train()
    beam_search(model, PROMPTS, beams())
    with pytest.raises(ZeroDivisionError):
        beam_search(model, PROMPTS, beams(), is_finished=lambda tokens: 1 / 0 > 0)
    assert model.training


def test_no_prompts_and_bad_prompts(model: GPT):
    assert beam_search(model, [], beams()) == []
    with pytest.raises(InputError, match=f"at most {CONTEXT} tokens, this model's context_length, found {CONTEXT + 1}"):
        beam_search(model, [[1] * (CONTEXT + 1)], beams())
    with pytest.raises(InputError, match="found an empty one and no end-of-text token"):
        beam_search(model, [[]], beams())
    assert beam_search(model, [[]], beams(), end_id=END) == beam_search(model, [[END]], beams(), end_id=END)
    with pytest.raises(InputError, match=r"expected token ids 0 … 10, found 11 \(prompt 1\)"):
        beam_search(model, [[1], [11]], beams())
    with pytest.raises(InputError, match="use_cache=True with a prefix"):
        beam_search(model, PROMPTS, beams(changes={"use_cache": False}), prefix=Prefix(model))
    model.final_norm.weight.data.fill_(torch.nan)
    with pytest.raises(InputError, match="expected finite logits, found NaN"):
        beam_search(model, PROMPTS, beams())
