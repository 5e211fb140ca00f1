"""The laws of prompts and prefixes: vectors that are real tokens are those tokens, with every way to read and draw."""

import copy
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from groundup.configs.finetuning import PromptConfig
from groundup.configs.generation import BeamConfig, GenerationConfig
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.finetuning.prompt_tuning import apply_prompt
from groundup.generation import Prefix, PromptLookup, decode, generate, prepare_for_inference, speculate
from groundup.layers.masks import document_mask, padding_mask
from groundup.models.gpt import GPT
from groundup.training.learned import learned_state

# In float64, two orders of the same sums differ by roundings of 1e-16, enlarged by two blocks; mistakes by 1e-3.
EXACT = 1e-12

GPT2 = GPTConfig(vocab_size=50, context_length=16, d_model=24, n_layers=2, n_heads=4)
LLAMA = replace(
    GPT2, n_kv_heads=2, position="rotary", norm="rms", activation="swiglu", bias=False, tie_embeddings=False
)
ORIGINAL = replace(GPT2, position="sinusoidal", norm_order="post", activation="relu")
MODERN = replace(GPT2, n_kv_heads=1, position="rotary", qk_norm=True, activation="relu_squared", bias=False)
ALL = {"gpt2": GPT2, "llama": LLAMA, "2017": ORIGINAL, "modern": MODERN}
P = 4
WORDS = [7, 31, 2, 44]


def build(name="llama", *, fused=True):
    """Return a GPT in float64 whose weights are large enough that every part matters."""
    torch.manual_seed(0)
    model = GPT(ALL[name], fused=fused).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def tuned(model, kind="prompt", ids=WORDS, n_vectors=P, *, noise=0.0):
    """Return a copy of `model` with virtual tokens before its texts; noise moves them away from any word."""
    model = copy.deepcopy(model)
    apply_prompt(model, PromptConfig(n_vectors=n_vectors), kind=kind, ids=ids, seed=0)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.prefix.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter), alpha=noise)
    return model


def random_tokens(B, T, seed=1):
    return torch.randint(50, (B, T), generator=torch.Generator().manual_seed(seed))


def behind_words(tokens):
    return torch.cat([torch.tensor([WORDS]).expand(len(tokens), -1), tokens], dim=1)


both = pytest.mark.parametrize("kind", ["prompt", "prefix"])


@torch.no_grad()
@both
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", list(ALL))
def test_vectors_of_real_tokens_are_those_tokens_before_the_text(name, kind, fused):
    model, tokens = build(name, fused=fused), random_tokens(3, 9)
    expected = model(behind_words(tokens))[:, P:]
    assert (tuned(model, kind)(tokens) - expected).abs().max() <= EXACT
    assert (model(tokens) - expected).abs().max() > 1e-3


@both
@pytest.mark.parametrize("name", list(ALL))
def test_only_the_vectors_learn(name, kind):
    model = tuned(build(name), kind).train()
    tokens = random_tokens(3, 9)
    F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
    learned = {name: p for name, p in model.named_parameters() if p.grad is not None}
    names = ["prefix.embeddings"] if kind == "prompt" else ["prefix.keys", "prefix.values"]
    assert list(learned) == names == list(learned_state(model))
    # (softmax does not move when all keys of a head move alike, so single entries may be small, but no vector's all)
    token_axis = 0 if kind == "prompt" else 2
    for parameter in learned.values():
        assert parameter.grad.movedim(token_axis, 0).flatten(1).abs().amax(1).min() > 1e-9


@pytest.mark.parametrize("name", list(ALL))
def test_the_gradient_of_a_prompt_is_that_of_words_in_each_row_added_up(name):
    """What is computed once for the batch learns as if it had been read once for each row."""
    model, tokens = build(name), random_tokens(3, 9)
    with_prompt = tuned(model, noise=0.5)
    with_prompt(tokens).square().sum().backward()
    # The same vectors as rows of the vocabulary, which each text then begins with; a text does not use ids 0 to P-1.
    spelled, tokens = copy.deepcopy(model), tokens.clamp(min=P)
    table = spelled.token_embedding.weight
    with_prompt.prefix.embeddings.grad = None
    with_prompt(tokens).square().sum().backward()
    with torch.no_grad():
        table[:P] = with_prompt.prefix.embeddings / spelled.token_embedding.scale
    first = torch.arange(P).expand(3, -1)
    output = spelled.output_weight.detach().clone()
    output[:P] = model.output_weight[:P].detach()  # (tied, it changed with the table)
    hidden = spelled.hidden_states(torch.cat([first, tokens], dim=1))[:, P:]
    (hidden @ output.T).square().sum().backward()
    expected = table.grad[:P] / spelled.token_embedding.scale
    assert (with_prompt.prefix.embeddings.grad - expected).abs().max() <= EXACT * expected.abs().max()


@torch.no_grad()
@both
@pytest.mark.parametrize("name", list(ALL))
def test_a_row_does_not_depend_on_its_batch(name, kind):
    model, tokens = tuned(build(name), kind, noise=0.5), random_tokens(4, 9)
    for row, logits in zip(tokens, model(tokens), strict=True):
        assert (model(row[None])[0] - logits).abs().max() <= EXACT


@torch.no_grad()
@both
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", list(ALL))
@pytest.mark.parametrize("pieces", [[12], [1] * 12, [5, 1, 6]])
def test_cached_equals_uncached(name, kind, pieces, fused):
    model, tokens = tuned(build(name, fused=fused), kind, noise=0.5), random_tokens(2, 12)
    cache = model.new_cache(2)
    logits = torch.cat([model(piece, cache=cache) for piece in tokens.split(pieces, dim=1)], dim=1)
    assert (logits - model(tokens)).abs().max() <= EXACT
    assert cache.lengths.tolist() == [12, 12]  # of the text alone
    assert cache.capacity == 12


@torch.no_grad()
@both
@pytest.mark.parametrize("name", list(ALL))
def test_prompts_of_different_lengths_equal_one_at_a_time(name, kind):
    model, tokens, lengths = tuned(build(name), kind, noise=0.5), random_tokens(3, 12), [6, 1, 4]
    cache = model.new_cache(3)
    model(tokens[:, :6], cache=cache)
    cache.truncate(lengths)
    rest = torch.stack([tokens[b, n : n + 6] for b, n in enumerate(lengths)])
    logits = torch.cat([model(piece, cache=cache) for piece in rest.split([2, 1, 3], dim=1)], dim=1)
    for b, n in enumerate(lengths):
        assert (logits[b] - model(tokens[b : b + 1, : n + 6])[0, n:]).abs().max() <= EXACT


@torch.no_grad()
@both
def test_a_mask_is_about_the_text_and_never_hides_the_vectors(kind):
    """Every shape that a mask may have says the same as one that counts the words before the text."""
    model, tokens = build(), random_tokens(3, 9)
    with_vectors, generator = tuned(model, kind), torch.Generator().manual_seed(3)
    words = behind_words(tokens)
    for shape in ((9, 9), (1, 9), (3, 1, 1, 9), (1, 1, 9, 9), (3, 1, 9, 9), (3, 1, 9, 1)):
        mask = torch.rand(shape, generator=generator) < 0.6
        whole = torch.ones(3, 1, P + 9, P + 9, dtype=torch.bool)
        whole[..., P:, P:] = mask
        found = with_vectors(tokens, mask=mask)
        assert (found - model(words, mask=whole)[:, P:]).abs().max() <= EXACT
    assert (with_vectors(tokens, mask=padding_mask(torch.tensor([9, 5, 2]), 9))[2, :2] - with_vectors(
        tokens[2:, :2])[0]).abs().max() <= EXACT  # fmt: skip


@torch.no_grad()
@both
def test_each_of_several_documents_in_a_row_sees_the_vectors(kind):
    model, documents = tuned(build(), kind, noise=0.5), torch.tensor([[49, 3, 4, 49, 5, 6, 7]])
    logits = model(documents, mask=document_mask(documents, 49))
    first = model(documents[:, :3])
    assert (logits[:, :3] - first).abs().max() <= EXACT
    # rotary positions: only distances count in the text, and those to the vectors are part of what differs
    assert (logits[:, 3:] - model(documents[:, 3:])).abs().max() > 1e-6


@torch.no_grad()
@both
@pytest.mark.parametrize("fused", [True, False])
def test_one_position_of_each_row_is_that_of_all(kind, fused):
    model = tuned(build(fused=fused), kind, noise=0.5)
    tokens, only, generator = random_tokens(3, 11), torch.tensor([6, 0, 3]), torch.Generator().manual_seed(3)
    for mask in (None, torch.rand(7, 7, generator=generator) < 0.7, torch.rand(3, 1, 7, 7, generator=generator) < 0.7):
        expected = model.hidden_states(tokens[:, 4:], mask=mask)[torch.arange(3), only]
        assert (model.hidden_states(tokens[:, 4:], mask=mask, only=only)[:, 0] - expected).abs().max() <= EXACT
    for lengths in ([4, 4, 4], [2, 4, 0]):
        found = []
        for wanted in (only, None):
            cache = model.new_cache(3)
            model(tokens[:, :4], cache=cache)
            cache.truncate(lengths)
            found.append(model.hidden_states(tokens[:, 4:], cache=cache, only=wanted))
        assert (found[0][:, 0] - found[1][torch.arange(3), only]).abs().max() <= EXACT


def greedily(model, prompt, n):
    """Return the n likeliest next tokens, each from a pass over the whole text without any cache."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(n):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9]]
GREEDY = GenerationConfig(strategy="greedy", max_new_tokens=6)


@both
@pytest.mark.parametrize("name", list(ALL))
def test_what_is_drawn_is_drawn_behind_the_vectors(name, kind):
    base = build(name)
    model = tuned(base, kind)
    expected = [greedily(base, [*WORDS, *prompt], 6) for prompt in PROMPTS]
    assert generate(model, PROMPTS, GREEDY) == expected
    assert generate(model, PROMPTS, replace(GREEDY, use_cache=False)) == expected
    assert generate(prepare_for_inference(model.float()), PROMPTS, GREEDY) == expected


@both
def test_every_way_to_draw_gives_what_reading_anew_gives(kind):
    model = tuned(build(), kind, noise=0.5)
    expected = [greedily(model, prompt, 6) for prompt in PROMPTS]
    prefix = Prefix(model)
    for _ in range(2):  # the second time most of it is held already
        drawn = [[step[0].token for step in decode(model, [prompt], GREEDY, prefix=prefix)] for prompt in PROMPTS]
        assert drawn == expected
    drawn = [[step[0].token for step in speculate(model, PromptLookup(), prompt, GREEDY)] for prompt in PROMPTS]
    assert drawn == expected
    beam = GenerationConfig(strategy="beam", max_new_tokens=5, beam=BeamConfig(n_beams=3))
    assert generate(model, PROMPTS, beam) == generate(model, PROMPTS, replace(beam, use_cache=False))


@both
def test_a_held_text_is_forgotten_when_the_vectors_have_learned(kind):
    model = tuned(build(), kind, noise=0.5)
    prefix = Prefix(model)
    list(decode(model, [[1, 2, 3]], GREEDY, prefix=prefix))
    with torch.no_grad():
        next(iter(model.prefix.parameters())).mul_(-1)
    drawn = [step[0].token for step in decode(model, [[1, 2, 3]], GREEDY, prefix=prefix)]
    assert drawn == greedily(model, [1, 2, 3], 6)


@torch.no_grad()
@both
@pytest.mark.parametrize("name", list(ALL))
def test_a_copy_for_drawing_has_the_vectors_and_computes_them_once(name, kind, monkeypatch):
    model, tokens = tuned(build(name).float(), kind, noise=0.5), random_tokens(2, 12)
    fast = prepare_for_inference(model)
    expected = model(tokens)
    monkeypatch.setattr(GPT, "keys_and_values", None)  # a call would fail
    # two orders of float32 sums, of logits up to about 10
    assert (fast(tokens) - expected).abs().max() <= 1e-4
    assert not any(parameter.requires_grad for parameter in fast.prefix.parameters())


@both
def test_the_vectors_take_room_in_the_context(kind):
    model = tuned(build(), kind)
    assert model.context_length == 12
    model(random_tokens(1, 12))
    with pytest.raises(InputError, match="at most 12 tokens, found 13"):
        model(random_tokens(1, 13))
    assert build().context_length == 16


@both
def test_as_many_vectors_as_the_context_holds_are_refused_and_nothing_is_changed(kind):
    model = build()
    with pytest.raises(InputError, match=r"fewer vectors than .* 16, found 16"):
        apply_prompt(model, PromptConfig(n_vectors=16), kind=kind, ids=[], seed=0)
    with pytest.raises(InputError, match=r"ids below 50.*found 50"):
        apply_prompt(model, PromptConfig(n_vectors=3), kind=kind, ids=[1, 50], seed=0)
    assert model.prefix is None
    assert all(parameter.requires_grad for parameter in model.parameters())
    apply_prompt(model, PromptConfig(n_vectors=15), kind=kind, ids=[], seed=0)
    assert model(random_tokens(2, 1)).isfinite().all()


def test_a_text_is_repeated_or_cut_and_without_one_the_seed_decides():
    model = build("2017")  # whose embeddings are scaled

    def embeddings(ids, seed=0):
        apply_prompt(model, PromptConfig(n_vectors=5), kind="prompt", ids=ids, seed=seed)
        return model.prefix.embeddings

    def rows(ids):
        return model.token_embedding(torch.tensor(ids))

    assert torch.equal(embeddings([3, 4]), rows([3, 4, 3, 4, 3]))
    assert torch.equal(embeddings(range(9)), rows([0, 1, 2, 3, 4]))
    drawn = embeddings([], seed=1)
    assert torch.equal(drawn, embeddings([], seed=1))
    assert not torch.equal(drawn, embeddings([], seed=2))
    assert all((rows(range(50)) == vector).all(1).any() for vector in drawn)  # words, all of them


@both
def test_without_its_vectors_the_model_is_the_base_to_the_bit(kind):
    base, tokens = build(), random_tokens(2, 9)
    model = tuned(base, kind)
    names = set(model.state_dict()) - set(base.state_dict())
    assert names
    assert all(name.startswith("prefix.") for name in names)
    assert set(base.state_dict()) < set(model.state_dict())
    model.prefix = None
    assert torch.equal(model(tokens), base(tokens))
    assert set(model.state_dict()) == set(base.state_dict())


@both
def test_other_vectors_replace_the_first_and_a_copy_is_its_own(kind):
    base, tokens = build(), random_tokens(2, 9)
    model = tuned(base, "prompt", ids=[1, 2], n_vectors=2)
    apply_prompt(model, PromptConfig(n_vectors=P), kind=kind, ids=WORDS, seed=0)  # not made behind the first ones
    expected = model(tokens)
    assert torch.equal(tuned(base, kind)(tokens), expected)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        next(iter(twin.prefix.parameters())).zero_()
    assert torch.equal(model(tokens), expected)
    assert not torch.equal(twin(tokens), expected)


@both
def test_a_step_against_the_gradient_lowers_the_loss_by_what_the_gradient_says(kind):
    """Also where the vectors are no words: of a step, the loss falls by its length times the gradient's."""
    model, tokens = tuned(build(), kind, noise=0.5), random_tokens(4, 9)

    def loss():
        return F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())

    before = loss()
    before.backward()
    size = sum(float(p.grad.square().sum()) for p in model.prefix.parameters())
    with torch.no_grad():
        for parameter in model.prefix.parameters():
            parameter.sub_(parameter.grad, alpha=1e-5)
        # the curvature times the step: measured 1e-6 of it
        assert before - loss() == pytest.approx(1e-5 * size, rel=1e-4)


@both
def test_past_the_context_windows_slide_where_the_vectors_leave_room(kind):
    model = tuned(build(), kind, noise=0.5)  # 12 tokens of text

    def windowed(prompt, n):
        ids, start = list(prompt), 0
        for _ in range(n):
            if len(ids) - start > 12:
                start = len(ids) - 6
            ids += greedily(model, ids[start:], 1)
        return ids[len(prompt) :]

    config = replace(GREEDY, max_new_tokens=30)
    expected = [windowed(prompt, 30) for prompt in PROMPTS]
    assert generate(model, PROMPTS, config) == expected
    assert generate(model, PROMPTS, replace(config, use_cache=False)) == expected
    drawn = [[step[0].token for step in speculate(model, PromptLookup(), prompt, config)] for prompt in PROMPTS]
    assert drawn == expected
    with pytest.raises(InputError, match="prompt of at most 12 tokens"):
        generate(model, [list(range(13))], config)
    beam = GenerationConfig(strategy="beam", max_new_tokens=30, beam=BeamConfig(n_beams=3))
    assert generate(model, PROMPTS, beam) == generate(model, PROMPTS, replace(beam, use_cache=False))
