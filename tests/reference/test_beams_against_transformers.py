"""Beam search against `transformers.generate`: the same random weights and prompts, the same beams and scores."""

from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, StoppingCriteriaList

from groundup.configs import GenerationConfig
from groundup.configs.generation import BeamConfig
from groundup.generation import Hypothesis, beam_search, generate
from groundup.models.gpt import GPT
from groundup.proofs.hf_weights import gpt_from_gpt2, gpt_from_llama

V, CONTEXT, N, END, PAD = 64, 96, 12, 50, 62
PROMPTS = [[1, 2, 3], [7] * 20, list(range(40)), [63]]
LONGEST = max(map(len, PROMPTS))
NO_ENDS = {"bos_token_id": None, "eos_token_id": None}
EARLY = {"no": False, "yes": True, "never": "never"}
COMPARISONS: list[Any] = [("no", 1.0), ("yes", 1.0), ("never", 1.0), ("no", 0.0), ("yes", -0.5), ("never", 2.0)]
SCORE = {"rel": 1e-4, "abs": 1e-4}
"""A score is a sum of up to 12 log-probabilities, each within 2e-4 (logits within 1e-4 and so their normalizer), as
deviations of either sign; penalties below 0 multiply it by its length, hence the relative part."""


def random_gpt2() -> tuple[GPT, Any]:
    config = GPT2Config(vocab_size=V, n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=4, **NO_ENDS)
    return prepared(GPT2LMHeadModel(config), gpt_from_gpt2)


def random_llama() -> tuple[GPT, Any]:
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        **NO_ENDS,
    )
    return prepared(LlamaForCausalLM(config), gpt_from_llama)


def prepared(theirs: Any, convert: Any) -> tuple[GPT, Any]:
    """Weights of a size that makes tokens depend on the past and beams differ, without deciding all in one step."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2, generator=generator)
    theirs.eval()
    return convert(theirs), theirs


MODELS = {"gpt2": random_gpt2(), "llama": random_llama()}
models = pytest.mark.parametrize("kind", MODELS)


def their_beams(theirs: Any, beam: BeamConfig, **settings: Any) -> list[list[tuple[list[int], float]]]:
    """All prompts in one batch: padded on the left and masked, as `transformers` needs it."""
    ids = torch.tensor([[PAD] * (LONGEST - len(prompt)) + prompt for prompt in PROMPTS])
    mask = torch.tensor([[0] * (LONGEST - len(prompt)) + [1] * len(prompt) for prompt in PROMPTS])
    out = theirs.generate(
        ids,
        attention_mask=mask,
        do_sample=False,
        num_beams=beam.n_beams,
        num_return_sequences=beam.n_best,
        length_penalty=beam.length_penalty,
        early_stopping=EARLY[beam.early_stopping],
        max_new_tokens=N,
        pad_token_id=PAD,
        return_dict_in_generate=True,
        output_scores=True,
        **settings,
    )
    pairs = list(zip(out.sequences[:, LONGEST:].tolist(), out.sequences_scores.tolist(), strict=True))
    return [pairs[i : i + beam.n_best] for i in range(0, len(pairs), beam.n_best)]


def check_equal(found: list[list[Hypothesis]], expected: list[list[tuple[list[int], float]]]) -> None:
    assert [len(ours) for ours in found] == [len(theirs) for theirs in expected]
    for ours, (tokens, score) in ((o, t) for pair in zip(found, expected, strict=True) for o, t in zip(*pair)):  # noqa: B905 - lengths compared above
        assert ours.tokens == tokens[: len(ours.tokens)]
        assert set(tokens[len(ours.tokens) :]) <= {PAD, -1}  # shorter ones are filled up
        assert ours.score == pytest.approx(score, **SCORE)


@models
@pytest.mark.parametrize(("n_beams", "n_best"), [(2, 1), (3, 3), (5, 4)])
def test_beams_and_scores_equal_transformers(kind: str, n_beams: int, n_best: int):
    ours, theirs = MODELS[kind]
    results, lengths = set(), set()
    for early, penalty in COMPARISONS:
        beam = BeamConfig(n_beams=n_beams, n_best=n_best, length_penalty=penalty, early_stopping=early)
        config = GenerationConfig(strategy="beam", max_new_tokens=N, beam=beam)
        found = beam_search(ours, PROMPTS, config, end_id=END)
        check_equal(found, their_beams(theirs, beam, eos_token_id=END))
        results.add(str([[one.tokens for one in best] for best in found]))
        lengths |= {len(one.tokens) for best in found for one in best if one.tokens[-1] == END}
    # Else equality would show little: the end token came at several places, and the settings make a difference.
    assert len(lengths) > 1
    assert len(results) > 2


@models
@pytest.mark.parametrize(
    ("ours_has", "theirs_has"),
    [
        ({"repetition_penalty": 1.4}, {"repetition_penalty": 1.4}),
        ({"no_repeat_ngram_size": 2}, {"no_repeat_ngram_size": 2}),
        ({"logit_bias": ((5, 1.5), (36, -3.0))}, {"sequence_bias": [[[5], 1.5], [[36], -3.0]]}),
        # Filters belong to sampling: neither applies them here.
        ({"temperature": 0.5, "top_k": 1, "min_p": 0.9}, {}),
    ],
    ids=["penalty", "ngrams", "bias", "filters"],
)
def test_processors_change_log_probabilities_as_in_transformers(kind: str, ours_has: Any, theirs_has: Any):
    ours, theirs = MODELS[kind]
    beam = BeamConfig(n_beams=3, n_best=2)
    config = GenerationConfig(strategy="beam", max_new_tokens=N, beam=beam, **ours_has)
    found = beam_search(ours, PROMPTS, config, end_id=END)
    check_equal(found, their_beams(theirs, beam, eos_token_id=END, **theirs_has))
    if theirs_has:
        plain = GenerationConfig(strategy="beam", max_new_tokens=N, beam=beam)
        assert [best[0].tokens for best in found] != generate(ours, PROMPTS, plain, end_id=END)


@models
def test_banned_sequences_equal_transformers(kind: str):
    ours, theirs = MODELS[kind]
    beam = BeamConfig(n_beams=3, n_best=3)
    config = GenerationConfig(strategy="beam", max_new_tokens=N, beam=beam)
    free = beam_search(ours, PROMPTS, config)
    banned = [free[0][0].tokens[2:4], free[2][0].tokens[:1]]
    expected = their_beams(theirs, beam, bad_words_ids=banned)
    check_equal(beam_search(ours, PROMPTS, config, banned=banned), expected)


@models
@pytest.mark.parametrize("early", EARLY)
def test_a_rule_that_ends_hypotheses_equals_a_stopping_criterion(kind: str, early: Any):
    """As a stop text does: where a token is followed by a smaller one of the same parity, say."""
    ours, theirs = MODELS[kind]

    def is_finished(tokens: Any) -> bool:
        return len(tokens) > 1 and tokens[-1] < tokens[-2] and (tokens[-1] - tokens[-2]) % 4 == 0

    def criterion(ids: Any, scores: Any, **_: Any) -> Any:
        return torch.tensor([is_finished(row[LONGEST:]) for row in ids.tolist()])

    beam = BeamConfig(n_beams=3, n_best=3, early_stopping=early)
    config = GenerationConfig(strategy="beam", max_new_tokens=N, beam=beam)
    found = beam_search(ours, PROMPTS, config, is_finished=is_finished)
    check_equal(found, their_beams(theirs, beam, stopping_criteria=StoppingCriteriaList([criterion])))
    assert any(is_finished(one.tokens) and len(one.tokens) < N for best in found for one in best)


@models
def test_one_beam_is_their_greedy_decoding(kind: str):
    ours, theirs = MODELS[kind]
    config = GenerationConfig(strategy="beam", max_new_tokens=N, beam=BeamConfig(n_beams=1))
    for prompt, drawn in zip(PROMPTS, generate(ours, PROMPTS, config, end_id=END), strict=True):
        ids = torch.tensor([prompt])
        settings = {"do_sample": False, "max_new_tokens": N, "eos_token_id": END, "pad_token_id": PAD}
        out = theirs.generate(ids, attention_mask=torch.ones_like(ids), **settings)
        assert drawn == [token for token in out[0, len(prompt) :].tolist() if token != END]
