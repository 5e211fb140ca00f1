"""Drafts: what they propose, where their own context ends, what they refuse."""

from dataclasses import replace

import pytest
import torch

from groundup.configs import GenerationConfig, GPTConfig
from groundup.errors import InputError
from groundup.generation.decode import decode
from groundup.generation.drafts import ModelDraft, PromptLookup, check_same_vocabulary
from groundup.generation.sampling import draw, row_generators
from groundup.models.gpt import GPT
from groundup.tokenization.characters import CharacterTokenizer

CONTEXT = 8
SMALL = GPTConfig(vocab_size=11, context_length=CONTEXT, d_model=16, n_layers=1, n_heads=2)
GREEDY = GenerationConfig(strategy="greedy", max_new_tokens=5)
SAMPLE = GenerationConfig(temperature=0.7, top_p=0.8, seed=4)


def random_model(config: GPTConfig = SMALL) -> GPT:
    torch.manual_seed(0)
    model = GPT(config).double()  # float64: reading in pieces must not change a token
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return model


@pytest.mark.parametrize(
    ("ids", "n", "expected"),
    [
        ([1, 2, 3, 1, 2], 9, [3, 1, 2]),
        ([1, 2, 3, 4, 1, 2, 5, 1, 2], 1, [5]),  # the latest place
        ([9, 1, 2, 3, 8, 1, 2, 4, 9, 1, 2], 2, [3, 8]),  # three tokens that stood before beat two that stood later
        ([5, 5, 5], 4, [5]),
        ([1, 2, 3], 4, []),
        ([1], 4, []),
        ([1, 1], 0, []),
    ],
)
def test_prompt_lookup_proposes_what_followed_before(ids: list[int], n: int, expected: list[int]):
    proposal = PromptLookup(longest=3).propose(ids, n)
    assert list(proposal.tokens) == expected
    assert proposal.probabilities is None


def test_a_greedy_draft_model_proposes_what_it_would_write():
    model = random_model()
    draft = ModelDraft(model, GREEDY, n_tokens=9)
    for ids in ([1, 2, 3], [1, 2, 4], [1]):  # what it keeps of earlier texts changes nothing
        expected = [step[0].token for step in decode(model, [ids], GREEDY, vocab_size=9)]
        proposal = draft.propose(ids, 5)
        assert list(proposal.tokens) == expected
        assert proposal.probabilities is None


def test_a_sampling_draft_model_tells_what_it_drew_from():
    model = random_model()
    proposal = ModelDraft(model, SAMPLE, n_tokens=11).propose([1, 2, 3], 3)
    assert proposal.probabilities is not None
    text = [1, 2, 3, *proposal.tokens]
    for i, token in enumerate(proposal.tokens):
        with torch.no_grad():
            p = (model(torch.tensor([text[: 3 + i]]))[0, -1] / SAMPLE.temperature).softmax(-1)
        q = proposal.probabilities[i]
        assert q.sum().item() == pytest.approx(1, abs=1e-12)
        assert q[token] > 0
        kept = q > 0
        assert p[kept].sum() >= 0.8  # the nucleus
        assert torch.allclose(q[kept], p[kept] / p[kept].sum(), atol=1e-12)


@pytest.mark.parametrize("context_length", [1, 2, 3, 8])
def test_past_its_own_context_it_still_proposes(context_length: int):
    draft = ModelDraft(random_model(replace(SMALL, context_length=context_length)), SAMPLE, n_tokens=11)
    for length in range(1, 30):
        proposal = draft.propose([i % 11 for i in range(length)], 4)
        assert 1 <= len(proposal.tokens) <= 4


def test_most_windows_go_on_where_the_last_one_ended():
    model = random_model(replace(SMALL, context_length=64))
    draft, counts, text = ModelDraft(model, GREEDY, n_tokens=11), [], [1]
    model.token_embedding.register_forward_hook(lambda _, given, __: counts.append(given[0].shape[1]))
    while len(text) < 300:
        text = [*text, *draft.propose(text, 4).tokens]
    assert sum(counts) < 3 * 300  # a window of at least half the context is read anew once in half a context


def test_a_smaller_vocabulary_is_refused():
    with pytest.raises(InputError, match="expected a draft model with the 12 ids of the model it helps, found 11") as e:
        ModelDraft(random_model(), GREEDY, n_tokens=12)
    assert "\n" not in str(e.value)


def test_what_is_drafted_is_not_drawn_from_the_numbers_that_accept_it():
    model, agreed = random_model(), 0
    for seed in range(30):
        proposal = ModelDraft(model, replace(SAMPLE, seed=seed), n_tokens=11).propose([1, 2, 3], 1)
        assert proposal.probabilities is not None
        agreed += draw(proposal.probabilities.log(), row_generators(seed, 1)).tolist() == proposal.tokens
    assert agreed < 30  # the verifier's generator is that of `seed`


def test_vocabularies_are_compared_spelling_by_spelling():
    check_same_vocabulary(CharacterTokenizer("abc"), CharacterTokenizer("abc"))
    with pytest.raises(InputError, match="found one of 2 ids, not 3"):
        check_same_vocabulary(CharacterTokenizer("abc"), CharacterTokenizer("ab"))
    with pytest.raises(InputError, match="found one in which id 1 is b'x', not b'b'") as raised:
        check_same_vocabulary(CharacterTokenizer("abc"), CharacterTokenizer("axz"))
    assert "\n" not in str(raised.value)
