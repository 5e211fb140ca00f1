"""A prefix changes no token, is read once, grows turn by turn, and is never used where it does not fit."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.configs import GenerationConfig, GPTConfig
from groundup.configs.generation import CacheKind
from groundup.errors import InputError
from groundup.generation.decode import decode
from groundup.generation.prefix import Prefix
from groundup.models.gpt import GPT

CONTEXT = 16
GPT2 = GPTConfig(vocab_size=23, context_length=CONTEXT, d_model=16, n_layers=2, n_heads=4)
LLAMA = replace(
    GPT2, position="rotary", norm="rms", activation="swiglu", n_kv_heads=2, bias=False, tie_embeddings=False
)
SAMPLE = GenerationConfig(max_new_tokens=6, temperature=0.9, top_k=12, repetition_penalty=1.2, seed=3, n_top=2)


def random_model(config: GPTConfig = GPT2) -> GPT:
    """float64: a rest is multiplied in other shapes than a whole, and rounding must not decide a token."""
    torch.manual_seed(0)
    model = GPT(config).double()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.4)
    return model


def drawn(model: GPT, prompts: list[list[int]], config: GenerationConfig, prefix: Prefix | None = None):
    """Tokens and log-probabilities of each row."""
    rows: list[list[tuple[int, float]]] = [[] for _ in prompts]
    for step in decode(model, prompts, config, prefix=prefix):
        for one in step:
            rows[one.row].append((one.token, one.logprob))
    return [[token for token, _ in row] for row in rows], [value for row in rows for _, value in row]


def assert_same(model: GPT, prompts: list[list[int]], config: GenerationConfig, prefix: Prefix) -> None:
    tokens, logprobs = drawn(model, prompts, config, prefix)
    expected_tokens, expected_logprobs = drawn(model, prompts, config)
    assert tokens == expected_tokens
    assert logprobs == pytest.approx(expected_logprobs, abs=1e-10)  # float64, sums of 16 terms in another order


def tokens_read(model: GPT) -> list[int]:
    """How many tokens each pass of the model is given from now on."""
    counts: list[int] = []
    model.token_embedding.register_forward_hook(lambda _, given, __: counts.append(given[0].shape[1]))
    return counts


MODELS = [random_model(GPT2), random_model(LLAMA)]
texts = st.lists(st.integers(0, 3), min_size=1, max_size=CONTEXT)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    st.lists(st.lists(texts, min_size=1, max_size=3), min_size=2, max_size=3),
    st.sampled_from(MODELS),
    st.sampled_from(["float", "int8"]),
)
def test_any_calls_one_after_another_draw_what_they_draw_without(
    calls: list[list[list[int]]], model: GPT, cache: CacheKind
):
    prefix = Prefix(model)  # ids 0 … 3 only, so that beginnings agree often; some texts go past the context
    for prompts in calls:
        assert_same(model, prompts, replace(SAMPLE, max_new_tokens=3, cache=cache), prefix)


def test_a_conversation_reads_each_token_once():
    model = random_model(replace(GPT2, context_length=64))
    prefix, counts = Prefix(model), tokens_read(model)
    text = [1, 2, 3]
    for turn in range(4):
        held = prefix.ids
        assert text[: len(held)] == held  # all that was held is reused
        steps = decode(model, [text], SAMPLE, prefix=prefix)
        reply = [step[0].token for _, step in zip(range(6 - turn), steps, strict=False)]
        steps.close()  # turn 0 ends by itself; the others half-way
        assert prefix.n_reused == len(held)
        text = [*text, *reply]
        assert prefix.ids == text[: len(prefix.ids)]
        assert len(prefix.ids) == len(text) - 1  # the token before the last: nothing has read the last one
        text = [*text, 4, 5 + turn]
    assert sum(counts) == len(prefix.ids)
    assert drawn(model, [text], SAMPLE, prefix)[0] == drawn(model, [text], SAMPLE)[0]


def test_the_longest_common_beginning_is_kept():
    model = random_model()
    prefix = Prefix(model)
    one = replace(SAMPLE, max_new_tokens=1)
    for prompt, n_reused in [([1, 2, 3, 4], 0), ([1, 2, 9], 2), ([1, 2, 9], 2), ([7], 0), ([7, 1], 1), ([5], 0)]:
        assert_same(model, [prompt], one, prefix)
        assert prefix.n_reused == n_reused
        assert prefix.ids == prompt


def test_what_many_prompts_begin_with_is_read_once():
    model = random_model()
    prefix, shared = Prefix(model), [1, 2, 3, 4, 5]
    prompts = [[*shared, 6], [*shared, 7, 8, 9], shared]
    one = replace(SAMPLE, max_new_tokens=1)
    expected = drawn(model, prompts, one)[0]
    counts = tokens_read(model)
    assert drawn(model, prompts, one, prefix)[0] == expected
    assert counts == [4, 4]  # the beginning, of which each row keeps one token to read; then the longest rest
    assert prefix.ids == shared[:4]
    counts.clear()
    assert drawn(model, prompts, one, prefix)[0] == expected
    assert counts == [4]
    assert prefix.n_reused == 4
    assert drawn(model, [[9], [8]], one, prefix)[0] == drawn(model, [[9], [8]], one)[0]  # nothing in common


def test_past_the_context_it_holds_the_window_that_slid():
    model = random_model()
    prefix, config = Prefix(model), replace(SAMPLE, max_new_tokens=20)
    assert_same(model, [[1, 2, 3]], config, prefix)
    text = [1, 2, 3, *drawn(model, [[1, 2, 3]], config)[0][0]]
    held = prefix.ids
    assert len(held) <= CONTEXT
    assert held == text[-1 - len(held) : -1]
    assert held[:3] != [1, 2, 3]
    assert_same(model, [[1, 2, 3]], config, prefix)  # read anew
    assert prefix.n_reused == 0


def test_weights_that_changed_are_noticed():
    model = random_model()
    prefix = Prefix(model)
    assert_same(model, [[1, 2, 3]], SAMPLE, prefix)
    with torch.no_grad():
        model.blocks[1].attention.key.weight.mul_(1.5)
    assert_same(model, [[1, 2, 3]], SAMPLE, prefix)
    assert prefix.n_reused == 0
    model.load_state_dict(random_model(replace(GPT2)).state_dict())
    assert_same(model, [[1, 2, 3]], SAMPLE, prefix)
    assert prefix.n_reused == 0
    assert_same(model, [[1, 2, 3]], SAMPLE, prefix)
    assert prefix.n_reused == 2
    prefix.forget()
    assert prefix.ids == []


def test_another_kind_of_cache_is_read_anew():
    model = random_model()
    prefix, one = Prefix(model), replace(SAMPLE, max_new_tokens=1)
    for cache, n_reused in (("float", 0), ("float", 2), ("int8", 0), ("int8", 2), ("float", 0)):
        assert_same(model, [[1, 2, 3]], replace(one, cache=cache), prefix)
        assert prefix.n_reused == n_reused


def test_an_interruption_loses_only_what_was_not_read():
    model = random_model()
    prefix = Prefix(model)
    steps = decode(model, [[1, 2, 3]], SAMPLE, prefix=prefix)
    next(steps)
    stop = model.blocks[1].register_forward_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):  # between one layer's cache and the next one's
        next(steps)
    stop.remove()
    assert prefix.ids == [1, 2, 3]
    assert_same(model, [[1, 2, 3, 4, 5]], SAMPLE, prefix)
    assert prefix.n_reused == 3
    stop = model.blocks[1].register_forward_hook(lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):  # the first layer already holds another text
        next(decode(model, [[1, 9, 9, 9]], SAMPLE, prefix=prefix))
    stop.remove()
    assert prefix.ids == [1]
    assert_same(model, [[1, 2, 3, 4, 5]], SAMPLE, prefix)


def test_two_calls_may_take_turns():
    model = random_model()
    prefix = Prefix(model)
    both = [decode(model, [[1, 2, 3, token]], SAMPLE, prefix=prefix) for token in (4, 5)]
    tokens = [[a[0].token, b[0].token] for a, b in zip(*both, strict=True)]
    expected = [drawn(model, [[1, 2, 3, token]], SAMPLE)[0][0] for token in (4, 5)]
    assert [list(row) for row in zip(*tokens, strict=True)] == expected


@pytest.mark.parametrize(
    ("model", "config", "found"),
    [
        (random_model(), SAMPLE, "expected the model that this Prefix was made for, found another"),
        (None, replace(SAMPLE, use_cache=False), "expected use_cache=True with a prefix, .* found False"),
    ],
    ids=["another model", "no cache"],
)
def test_what_does_not_fit_is_refused_at_once(model: GPT | None, config: GenerationConfig, found: str):
    own = random_model()
    with pytest.raises(InputError, match=found) as raised:
        decode(model or own, [[1]], config, prefix=Prefix(own))
    assert "\n" not in str(raised.value)
