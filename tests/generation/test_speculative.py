"""Speculative decoding: the tokens of `decode`, whatever the draft; the same distribution where the draft draws."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from groundup.configs import GenerationConfig, GPTConfig
from groundup.configs.generation import CacheKind
from groundup.errors import InputError
from groundup.generation import speculative
from groundup.generation.decode import decode
from groundup.generation.drafts import Draft, PromptLookup, Proposal
from groundup.generation.prefix import Prefix
from groundup.generation.processors import chain
from groundup.generation.sampling import Draw, draw, row_generators
from groundup.generation.speculative import Speculation, accept, speculate
from groundup.models.gpt import GPT

CONTEXT = 20
GPT2 = GPTConfig(vocab_size=13, context_length=CONTEXT, d_model=16, n_layers=2, n_heads=4)
LLAMA = replace(
    GPT2, position="rotary", norm="rms", activation="swiglu", n_kv_heads=2, bias=False, tie_embeddings=False
)
GREEDY = GenerationConfig(strategy="greedy", max_new_tokens=24, n_top=2)
SAMPLE = GenerationConfig(max_new_tokens=30, temperature=0.8, top_k=8, top_p=0.95, seed=5)
RULES = {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3}


def random_model(config: GPTConfig, seed: int = 0, std: float = 0.4) -> GPT:
    """float64: several tokens are multiplied in other shapes than one, and rounding must not decide a token."""
    torch.manual_seed(seed)
    model = GPT(config).double()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=std)
    return model


def near(model: GPT) -> GPT:
    """A draft that agrees with `model` on many tokens, not on all."""
    draft = GPT(model.config).double()
    draft.load_state_dict(model.state_dict())
    torch.manual_seed(9)
    with torch.no_grad():
        for parameter in draft.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return draft


MODELS = [random_model(GPT2), random_model(LLAMA)]
DRAFTS: dict[str, Callable[[GPT], GPT | Draft]] = {
    "near": near,
    "far": lambda _: random_model(replace(GPT2, n_layers=1, context_length=7), seed=1),
    "itself": lambda model: model,
    "lookup": lambda _: PromptLookup(),
}
drafts = pytest.mark.parametrize("make_draft", DRAFTS.values(), ids=DRAFTS)


def flat(steps) -> list[Draw]:
    return [one for [one] in steps]


def assert_same(ours: list[Draw], theirs: list[Draw]) -> None:
    assert [one.token for one in ours] == [one.token for one in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one.row == 0
        assert one.logprob == pytest.approx(other.logprob, abs=1e-10)  # float64, sums in another order
        assert [token for token, _ in one.top] == [token for token, _ in other.top]


@drafts
@pytest.mark.parametrize("rules", [{}, RULES], ids=["free", "rules"])
def test_greedy_is_decode_past_the_context(make_draft: Callable[[GPT], GPT | Draft], rules: dict[str, float]):
    config = replace(GREEDY, **rules)
    for model in MODELS:
        draft = make_draft(model)
        for prompt, n_drafted in (([4, 5, 6], 4), (list(range(13)), 1), ([7] * CONTEXT, 7)):
            ours = flat(speculate(model, draft, prompt, config, n_drafted=n_drafted))
            assert_same(ours, flat(decode(model, [prompt], config)))


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=CONTEXT),
    st.integers(0, 9),
    st.integers(1, 40),
    st.integers(0, 1),
    st.sampled_from(["greedy", "sample"]),
)
def test_with_prompt_lookup_any_seed_draws_decodes_own_tokens(
    prompt: list[int], n_drafted: int, n_new: int, which: int, strategy: str
):
    config = replace(SAMPLE, strategy=strategy, max_new_tokens=n_new, seed=n_new)
    ours = flat(speculate(MODELS[which], PromptLookup(), prompt, config, n_drafted=n_drafted))
    assert_same(ours, flat(decode(MODELS[which], [prompt], config)))


def test_draft_models_are_used_and_counted():
    model, prompt, counts = MODELS[0], [1, 2, 3], Speculation()
    config = replace(GREEDY, max_new_tokens=16)  # within the context
    list(speculate(model, model, prompt, config, n_drafted=3, counts=counts))
    assert counts == Speculation(n_passes=4, n_drafted=12, n_accepted=12)  # 3 accepted and 1 more in each pass
    assert counts.acceptance == 1
    list(speculate(model, model, prompt, replace(config, strategy="sample"), n_drafted=3, counts=counts))
    assert counts.n_accepted == counts.n_drafted == 24  # p = q: always accepted, when sampling too
    for make_draft in (DRAFTS["near"], DRAFTS["far"], DRAFTS["lookup"]):
        counts = Speculation()
        n_new = len(list(speculate(model, make_draft(model), prompt, config, counts=counts)))
        assert counts.n_passes + counts.n_accepted == n_new
        assert 0 < counts.n_accepted < counts.n_drafted


@drafts
def test_it_ends_where_decode_ends(make_draft: Callable[[GPT], GPT | Draft]):
    model, prompt = MODELS[0], [1, 2, 3]
    draft = make_draft(model)
    free = [one.token for one in flat(decode(model, [prompt], GREEDY))]
    for end in set(free):
        ours = flat(speculate(model, draft, prompt, GREEDY, end_id=end))
        assert_same(ours, flat(decode(model, [prompt], GREEDY, end_id=end)))
    unstopped = replace(GREEDY, stop_at_end=False)
    assert [one.token for one in flat(speculate(model, draft, prompt, unstopped, end_id=free[3]))] == free
    seen: list[int] = []
    for [one] in speculate(model, draft, prompt, GREEDY, is_finished=lambda row: len(seen) == 5 + row):
        seen.append(one.token)
    assert seen == free[:5]
    assert len(flat(speculate(model, draft, prompt, replace(GREEDY, max_new_tokens=1)))) == 1


@drafts
def test_only_ids_that_exist_and_are_not_banned(make_draft: Callable[[GPT], GPT | Draft]):
    model, draft = MODELS[1], make_draft(MODELS[1])
    banned = [[4], [2, 5]]
    ours = flat(speculate(model, draft, [], GREEDY, vocab_size=9, end_id=8, banned=banned))
    assert_same(ours, flat(decode(model, [[]], GREEDY, vocab_size=9, end_id=8, banned=banned)))
    config = replace(SAMPLE, temperature=3.0, top_k=None, top_p=None, stop_at_end=False)
    tokens = [one.token for one in flat(speculate(model, draft, [1], config, vocab_size=9, banned=banned))]
    assert max(tokens) < 9
    assert 4 not in tokens
    assert (2, 5) not in pairwise(tokens)


@pytest.mark.parametrize("cache", ["float", "int8"])
def test_a_prefix_carries_a_conversation(cache: CacheKind):
    model, prefix = MODELS[0], Prefix(MODELS[0])
    text = [1, 2]
    config = replace(GREEDY, max_new_tokens=4, cache=cache)
    for turn in range(3):
        ours = flat(speculate(model, near(model), text, config, prefix=prefix))
        assert_same(ours, flat(decode(model, [text], config)))
        assert prefix.n_reused == (0 if turn == 0 else len(text) - 2)  # all but the last token drawn, and one new
        text = [*text, *(one.token for one in ours), 7]


# The distribution. Three tokens of three ids after one prompt are 27 texts, whose probabilities the model tells.
TINY = GPTConfig(vocab_size=3, context_length=8, d_model=8, n_layers=1, n_heads=2)
SHARP = GenerationConfig(max_new_tokens=3, temperature=0.9, top_p=0.95)


def text_probabilities(model: GPT, config: GenerationConfig) -> dict[tuple[int, ...], float]:
    process, texts = chain(config), {(): 1.0}
    for _ in range(config.max_new_tokens):
        grown = {}
        for text, probability in texts.items():
            ids = torch.tensor([[1, *text]])
            with torch.no_grad():
                p = process(model(ids)[:, -1], ids).softmax(-1)[0].tolist()
            grown |= {(*text, token): probability * p[token] for token in range(3) if p[token] > 0}
        texts = grown
    return texts


def chi_square(counts: dict[tuple[int, ...], int], expected: dict[tuple[int, ...], float]) -> tuple[float, float]:
    """The statistic, and the value that it exceeds once in 100,000 times (Wilson and Hilferty 1931).

    Texts expected fewer than 5 times are one class, as the chi-square limit asks.
    """
    n = sum(counts.values())
    rare = [text for text, p in expected.items() if n * p < 5]
    pairs = [(counts.get(text, 0), n * p) for text, p in expected.items() if text not in rare]
    if rare:
        pairs.append((sum(counts.get(text, 0) for text in rare), n * sum(expected[text] for text in rare)))
    freedom = len(pairs) - 1
    limit = freedom * (1 - 2 / (9 * freedom) + 4.265 * math.sqrt(2 / (9 * freedom))) ** 3
    return sum((seen - wanted) ** 2 / wanted for seen, wanted in pairs), limit


def sampled_texts(model: GPT, draft: GPT | Draft, n_texts: int) -> dict[tuple[int, ...], int]:
    counts: dict[tuple[int, ...], int] = {}
    for seed in range(n_texts):
        steps = speculate(model, draft, [1], replace(SHARP, seed=2 * seed), n_drafted=2)
        text = tuple(one.token for one in flat(steps))
        counts[text] = counts.get(text, 0) + 1
    return counts


def test_sampled_texts_have_decodes_distribution():
    model, draft = random_model(TINY, std=0.3), random_model(TINY, seed=1, std=0.9)
    expected = text_probabilities(model, SHARP)
    counts = sampled_texts(model, draft, 400)
    assert set(counts) <= set(expected)
    statistic, limit = chi_square(counts, expected)
    assert len(expected) > 8
    assert statistic < limit
    wrong, limit = chi_square(counts, text_probabilities(model, replace(SHARP, temperature=1.5)))
    assert wrong > limit  # and it can tell a distribution apart


def always(logits: Tensor, drafted: int, q: Tensor, generators: Sequence[torch.Generator]) -> tuple[Tensor, bool]:
    return torch.tensor([drafted]), True


def from_p(logits: Tensor, drafted: int, q: Tensor, generators: Sequence[torch.Generator]) -> tuple[Tensor, bool]:
    """Draw a rejected token's successor from p, not from max(0, p - q): the mistake that is easily made."""
    token, is_kept = accept(logits, drafted, q, generators)
    return (token, True) if is_kept else (draw(logits, generators), False)


def test_a_broken_rule_of_acceptance_fails_the_same_test(monkeypatch: pytest.MonkeyPatch):
    model, draft = random_model(TINY, std=0.3), random_model(TINY, seed=1, std=0.9)
    monkeypatch.setattr(speculative, "accept", always)
    statistic, limit = chi_square(sampled_texts(model, draft, 150), text_probabilities(model, SHARP))
    assert statistic > limit


@pytest.mark.parametrize(
    ("rule", "is_right"), [(accept, True), (always, False), (from_p, False)], ids=["ours", "always", "p"]
)
@pytest.mark.parametrize("seed", range(3))
def test_one_accepted_or_redrawn_token_has_the_distribution_p(rule: Callable[..., tuple], is_right: bool, seed: int):
    generator = torch.Generator().manual_seed(seed)
    p, q = torch.randn(2, 6, generator=generator, dtype=torch.float64).softmax(-1)
    p[seed], q[seed + 1] = 0, 0  # ids that only one of the two can draw
    p, q = p / p.sum(), q / q.sum()
    ours, drafting = row_generators(10 + seed, 2)
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(1_500):
        drafted = int(draw(q.log()[None], [drafting]))
        token = (int(rule(p.log()[None], drafted, q, [ours])[0]),)
        counts[token] = counts.get(token, 0) + 1
    expected = {(token,): value for token, value in enumerate(p.tolist()) if value}
    is_possible = set(counts) <= set(expected)
    statistic, limit = chi_square(counts, expected)
    assert (is_possible and statistic < limit) == is_right


def test_equal_distributions_leave_nothing_to_redraw():
    p = torch.tensor([0.25, 0.75], dtype=torch.float64)
    q = p * (1 + 1e-15)  # p < q everywhere: the last uniform number below 1 rejects, and no token has p > q
    generator = row_generators(0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "rand", lambda *size, generator, dtype: torch.tensor(1 - 2**-53, dtype=dtype))
        token, is_kept = accept(p.log()[None], 0, q, generator)
    assert not is_kept
    assert token.item() in (0, 1)


def test_the_models_are_left_as_they_were():
    model, draft = random_model(replace(GPT2, dropout=0.5)), random_model(replace(GPT2, dropout=0.5), seed=1)
    model.train()
    draft.train()
    steps = speculate(model, draft, [1, 2], GREEDY)
    first = [one.token for one in flat(steps)]
    assert model.training
    assert draft.training
    assert first == [one.token for one in flat(decode(model, [[1, 2]], GREEDY))]  # no dropout on the way


class TooMany:
    """A draft that does not count."""

    def propose(self, ids: Sequence[int], n: int) -> Proposal:
        return Proposal([1] * 99)


def test_a_draft_that_proposes_too_much_is_cut():
    assert_same(flat(speculate(MODELS[0], TooMany(), [1], GREEDY)), flat(decode(MODELS[0], [[1]], GREEDY)))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"draft": random_model(replace(GPT2, vocab_size=12))}, "a draft model with the 13 ids .* found 12"),
        ({"prompt": [13]}, "expected token ids 0 … 12, found 13"),
        ({"prompt": []}, "no end-of-text token"),
        ({"config": replace(GREEDY, strategy="beam")}, 'to draw token by token, found "beam": use generate'),
        ({"prefix": Prefix(MODELS[1])}, "the model that this Prefix was made for"),
    ],
    ids=["vocabulary", "id", "empty", "beam", "prefix"],
)
def test_bad_input_is_refused_at_once(changes: dict[str, object], found: str):
    given = {"draft": PromptLookup(), "prompt": [1], "config": GREEDY} | changes
    with pytest.raises(InputError, match=found) as raised:
        speculate(MODELS[0], **given)
    assert "\n" not in str(raised.value)


def test_a_diverged_model_is_refused():
    model = random_model(GPT2)
    torch.nn.init.constant_(model.token_embedding.weight, math.nan)
    with pytest.raises(InputError, match="diverged"):
        next(speculate(model, PromptLookup(), [1], GREEDY))
