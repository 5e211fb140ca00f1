"""The decoding loop: the cache changes nothing, a batch changes nothing, windows slide, rows end."""

import math
from dataclasses import replace

import pytest
import torch

from groundup.configs import GenerationConfig, GPTConfig
from groundup.errors import InputError
from groundup.generation.decode import decode
from groundup.generation.generate import generate
from groundup.generation.processors import repetition_penalty
from groundup.models.gpt import GPT

CONTEXT = 12
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10, 11], list(range(CONTEXT)), [3, 2]]
GREEDY = GenerationConfig(strategy="greedy", max_new_tokens=40)
SAMPLE = GenerationConfig(max_new_tokens=40, temperature=0.8, top_k=8, top_p=0.95, repetition_penalty=1.2, seed=5)
END = 17

GPT2 = GPTConfig(vocab_size=23, context_length=CONTEXT, d_model=16, n_layers=2, n_heads=4)
LLAMA = replace(
    GPT2, position="rotary", norm="rms", activation="swiglu", n_kv_heads=2, bias=False, tie_embeddings=False
)
SEED_DESIGN = replace(GPT2, position="sinusoidal", norm_order="post", activation="relu")


def random_model(config: GPTConfig, *, dtype: torch.dtype = torch.float64) -> GPT:
    """A GPT whose next token depends visibly on its past: larger weights than the initial ones.

    float64: a batch, a cache and a single row sum in different orders. In float32 that can flip a token whose
    probability lies within 1e-6 of another's; in float64 within 1e-15, which 2,000 random tokens do not meet.
    """
    torch.manual_seed(0)
    model = GPT(config).to(dtype)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return model


@pytest.fixture(params=[GPT2, LLAMA, SEED_DESIGN], ids=["gpt2", "llama", "2017"])
def model(request: pytest.FixtureRequest) -> GPT:
    return random_model(request.param)


both = pytest.mark.parametrize("config", [GREEDY, SAMPLE], ids=["greedy", "sample"])


def by_the_rule(model: GPT, prompt: list[int], n: int, penalty: float) -> list[int]:
    """Greedy decoding written out: read the whole window for every token; a window that is too long slides."""
    window, drawn = list(prompt), []
    for _ in range(n):
        if len(window) > CONTEXT:
            window = window[-(CONTEXT // 2) :]
        with torch.no_grad():
            logits = model(torch.tensor([window]))[:, -1]
        logits = repetition_penalty(logits, torch.tensor([[*prompt, *drawn]]), penalty)  # the whole row, not the window
        drawn.append(int(logits.argmax()))
        window.append(drawn[-1])
    return drawn


@pytest.mark.parametrize("penalty", [1.0, 1.5])
def test_greedy_follows_the_stated_rule_past_the_context(model: GPT, penalty: float):
    drawn = generate(model, PROMPTS, replace(GREEDY, repetition_penalty=penalty))
    assert drawn == [by_the_rule(model, prompt, 40, penalty) for prompt in PROMPTS]
    assert len(set(drawn[0])) > 3  # the model does not just repeat itself, which would prove little


@both
def test_the_cache_changes_no_token(model: GPT, config: GenerationConfig):
    assert generate(model, PROMPTS, config) == generate(model, PROMPTS, replace(config, use_cache=False))


@pytest.mark.parametrize(
    "config", [GREEDY, SAMPLE, replace(GREEDY, cache="int8")], ids=["greedy", "sample", "greedy, int8"]
)
def test_a_batch_equals_its_rows_alone(model: GPT, config: GenerationConfig):
    end = generate(model, PROMPTS, config)[2][20]
    together = generate(model, PROMPTS, config, end_id=end)
    alone = [
        generate(model, [prompt], replace(config, seed=config.seed + row), end_id=end)[0]
        for row, prompt in enumerate(PROMPTS)
    ]
    assert together == alone
    assert len({len(ids) for ids in together}) > 1  # some rows ended early, so the batch shrank on the way


@both
def test_float32_agrees_as_far_as_rounding_lets_it(config: GenerationConfig):
    model = random_model(GPT2, dtype=torch.float32)
    ours, other = ([*decode(model, PROMPTS, replace(config, use_cache=on))] for on in (True, False))
    for with_cache, without in zip(ours, other, strict=True):
        assert [one.token for one in with_cache] == [one.token for one in without]
        # 1e-4: float32 sums of about 20 terms of size up to 10, in another order.
        expected = [one.logprob for one in without]
        assert [one.logprob for one in with_cache] == pytest.approx(expected, abs=1e-4)


def test_a_seed_repeats_and_another_differs():
    model = random_model(GPT2)
    first = generate(model, PROMPTS, SAMPLE)
    torch.manual_seed(99)  # the global generator is not used
    before = torch.get_rng_state()
    assert generate(model, PROMPTS, SAMPLE) == first
    assert torch.equal(torch.get_rng_state(), before)  # so samples during training do not change the training
    assert generate(model, PROMPTS, replace(SAMPLE, seed=6)) != first


@pytest.mark.parametrize("changes", [{"top_k": 1}, {"temperature": 1e-9}, {"top_p": 1e-9}], ids=str)
def test_the_limits_of_sampling_are_greedy(model: GPT, changes: dict[str, float]):
    sharp = GenerationConfig(max_new_tokens=40, **changes)
    assert generate(model, PROMPTS, sharp) == generate(model, PROMPTS, GREEDY)


def test_first_tokens_have_the_models_frequencies():
    model, n = random_model(replace(GPT2, vocab_size=5)), 3_000
    drawn = torch.tensor(generate(model, [[1, 2]] * n, GenerationConfig(max_new_tokens=1)))[:, 0]
    with torch.no_grad():
        expected = n * model(torch.tensor([[1, 2]]))[0, -1].softmax(-1)
    counts = torch.bincount(drawn, minlength=5)
    # 18.47: 99.9 % quantile of chi-square with 4 degrees of freedom; the seed is fixed.
    assert ((counts - expected) ** 2 / expected).sum() < 18.47


def test_logprobs_are_the_models_own_whatever_the_settings():
    model = random_model(GPT2)
    config = replace(SAMPLE, max_new_tokens=CONTEXT - 3, n_top=4)
    draws = [step[0] for step in decode(model, [[1, 2, 3]], config)]
    ids = torch.tensor([[1, 2, 3, *(one.token for one in draws)]])
    with torch.no_grad():
        expected = model(ids)[0, 2:-1].log_softmax(-1)
    for row, one in zip(expected, draws, strict=True):
        assert one.logprob == pytest.approx(row[one.token].item(), abs=1e-12)
        assert [token for token, _ in one.top] == row.topk(4).indices.tolist()
        assert [value for _, value in one.top] == pytest.approx(row.topk(4).values.tolist(), abs=1e-12)


def test_rows_end_at_the_end_token_which_generate_drops():
    model = random_model(GPT2)
    free = generate(model, PROMPTS, GREEDY)
    end = free[0][4]
    ended = generate(model, PROMPTS, GREEDY, end_id=end)
    assert ended == [ids[: ids.index(end)] if end in ids else ids for ids in free]
    assert generate(model, PROMPTS, replace(GREEDY, stop_at_end=False), end_id=end) == free
    assert [step[0].token for step in decode(model, PROMPTS[:1], GREEDY, end_id=end)] == [*ended[0], end]


def test_rows_end_when_the_caller_says_so():
    steps = decode(random_model(GPT2), PROMPTS, GREEDY, is_finished=lambda row: row != 2)
    assert [[one.row for one in step] for step in steps] == [[0, 1, 2, 3, 4]] + [[2]] * 39


def test_the_next_step_is_not_computed_before_it_is_asked_for():
    model, calls = random_model(GPT2), []
    model.final_norm.register_forward_hook(lambda *_: calls.append(1))
    steps = decode(model, PROMPTS[:2], replace(GREEDY, max_new_tokens=3))
    seen = [len(calls) for _ in steps]
    assert seen == [1, 2, 3]
    assert len(calls) == 3  # and nothing after the last


def test_ids_beyond_the_tokenizer_are_never_drawn():
    model = random_model(GPT2)
    steps = [*decode(model, PROMPTS, replace(SAMPLE, n_top=23), vocab_size=12)]
    assert all(one.token < 12 and len(one.top) == 12 for step in steps for one in step)
    total = sum(math.exp(value) for _, value in steps[0][0].top)
    assert total == pytest.approx(1, abs=1e-12)  # the distribution over the ids that exist


def test_an_empty_prompt_begins_after_the_end_token():
    model = random_model(GPT2)
    config = replace(SAMPLE, repetition_penalty=1.0)
    assert generate(model, [[]], config, end_id=END) == generate(model, [[END]], config, end_id=END)
    assert generate(model, [], config) == []


def test_a_context_of_one_token_works():
    model = random_model(replace(GPT2, context_length=1))
    drawn = generate(model, [[3], [4]], GREEDY)
    assert drawn == generate(model, [[3], [4]], replace(GREEDY, use_cache=False))
    assert all(len(ids) == 40 for ids in drawn)


def test_the_model_is_left_as_it_was():
    model = random_model(replace(GPT2, dropout=0.5))
    model.train()
    model.blocks[0].eval()
    before = [module.training for module in model.modules()]
    assert generate(model, PROMPTS, GREEDY) == generate(model, PROMPTS, GREEDY)  # no dropout on the way
    assert [module.training for module in model.modules()] == before
    steps = decode(model, PROMPTS, GREEDY)
    next(steps)
    assert torch.is_grad_enabled()
    del steps  # an abandoned stream, too
    assert [module.training for module in model.modules()] == before
    model(torch.tensor([[1, 2]])).sum().backward()  # nothing of inference mode is left behind


@pytest.mark.parametrize(
    ("prompts", "found"),
    [
        ([[1], []], "found an empty one and no end-of-text token"),
        ([[1], [0] * 13], r"at most 12 tokens, this model's context_length, found 13 \(prompt 1\)"),
        ([[23]], r"expected token ids 0 … 22, found 23 \(prompt 0\)"),
        ([[-1]], r"found -1 \(prompt 0\)"),
    ],
)
def test_bad_prompts_are_refused_before_the_first_step(prompts: list[list[int]], found: str):
    with pytest.raises(InputError, match=found) as raised:
        decode(random_model(GPT2), prompts, GREEDY)
    assert "\n" not in str(raised.value)


def test_a_diverged_model_and_stop_texts_without_a_tokenizer_are_refused():
    model = random_model(GPT2)
    with pytest.raises(InputError, match="use generate_text"):
        generate(model, PROMPTS, replace(GREEDY, stop=("x",)))
    torch.nn.init.constant_(model.token_embedding.weight, math.nan)
    with pytest.raises(InputError, match="diverged"):
        generate(model, PROMPTS, SAMPLE)


def test_room_follows_what_is_drawn_not_what_may_be_drawn():
    model = random_model(GPT2)
    steps = decode(model, PROMPTS, replace(SAMPLE, max_new_tokens=10**12))  # room for all would be 40 TB
    first = [next(steps) for _ in range(40)]
    assert first == list(decode(model, PROMPTS, SAMPLE))
