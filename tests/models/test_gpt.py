"""The laws of GPT: causality, cache, padding, tying, initialisation, counts."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from groundup.configs.model import GPTConfig, preset
from groundup.errors import InputError
from groundup.layers.masks import causal_mask, padding_mask
from groundup.layers.positions import sinusoidal_table
from groundup.models.gpt import GPT

# In float64, two orders of the same sums differ by roundings of 1e-16, enlarged by two blocks; mistakes by 1e-3.
EXACT = 1e-12

SMALL = GPTConfig(vocab_size=50, context_length=16, d_model=24, n_layers=2, n_heads=4)
LLAMA = replace(
    SMALL, n_kv_heads=2, position="rotary", norm="rms", activation="swiglu", bias=False, tie_embeddings=False
)
ORIGINAL = replace(SMALL, position="sinusoidal", norm_order="post", activation="relu", dropout=0.1)
GROUPED = replace(SMALL, n_kv_heads=1, activation="gelu")
MODERN = replace(
    SMALL, n_kv_heads=2, position="rotary", qk_norm=True, zero_init_outputs=True, activation="relu_squared", bias=False
)
ALL = {"gpt2": SMALL, "llama": LLAMA, "2017": ORIGINAL, "grouped": GROUPED, "modern": MODERN}


@pytest.fixture(params=list(ALL))
def model(request):
    return build(ALL[request.param])


def build(config, *, fused=True, seed=0):
    """Return a GPT in float64 whose weights are large enough that every part matters."""
    torch.manual_seed(seed)
    model = GPT(config, fused=fused).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def random_tokens(B, T, seed=1):
    return torch.randint(50, (B, T), generator=torch.Generator().manual_seed(seed))


def test_logits_have_the_documented_shape(model):
    assert model(random_tokens(3, 7)).shape == (3, 7, 50)
    assert model.hidden_states(random_tokens(3, 7)).shape == (3, 7, 24)


def test_forward_is_hidden_states_then_project(model):
    tokens = random_tokens(2, 6)
    hidden = model.hidden_states(tokens)
    assert torch.equal(model.project(hidden), model(tokens))
    assert (model.project(hidden[:, -1]) - model(tokens)[:, -1]).abs().max() <= EXACT


def test_a_future_token_leaves_past_logits_unchanged(model):
    tokens = random_tokens(2, 10)
    before = model(tokens)
    for changed in (3, 9):
        other = tokens.clone()
        other[:, changed] = (other[:, changed] + 1) % 50
        after = model(other)
        # the same shapes run the same kernels in the same order, and a masked weight is exactly 0
        assert torch.equal(before[:, :changed], after[:, :changed])
        assert (before[:, changed:] - after[:, changed:]).abs().amax(-1).min() > 1e-6


def test_a_shorter_text_has_the_same_logits(model):
    tokens = random_tokens(2, 10)
    assert (model(tokens)[:, :4] - model(tokens[:, :4])).abs().max() <= EXACT


def test_order_matters(model):
    tokens = torch.arange(8)[None]
    swapped = tokens[:, [1, 0, 2, 3, 4, 5, 6, 7]]
    assert (model(tokens)[:, -1] - model(swapped)[:, -1]).abs().max() > 1e-6


@pytest.mark.parametrize("name", list(ALL))
def test_fused_equals_by_hand_forward_and_gradients(name):
    config = replace(ALL[name], dropout=0.0)
    fused, by_hand = build(config, fused=True).train(), build(config, fused=False).train()
    assert not any(getattr(part, "fused", False) for part in by_hand.modules()), "a kernel is left"
    tokens = random_tokens(2, 9)
    losses = []
    for each in (fused, by_hand):
        losses.append(F.cross_entropy(each(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()))
        losses[-1].backward()
    assert abs(losses[0] - losses[1]) <= EXACT
    for (name_, a), b in zip(fused.named_parameters(), by_hand.parameters(), strict=True):
        assert (a.grad - b.grad).abs().max() <= EXACT, name_


@torch.no_grad()
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", list(ALL))
@pytest.mark.parametrize("pieces", [[16], [1] * 16, [5, 1, 7, 3]])
def test_cached_equals_uncached(name, pieces, fused):
    model = build(ALL[name], fused=fused)
    tokens = random_tokens(2, 16)
    cache = model.new_cache(2)
    logits = torch.cat([model(piece, cache=cache) for piece in tokens.split(pieces, dim=1)], dim=1)
    assert (logits - model(tokens)).abs().max() <= EXACT
    assert cache.lengths.tolist() == [16, 16]


@torch.no_grad()
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", list(ALL))
@pytest.mark.parametrize("pieces", [[1] * 6, [2, 1, 3]])
def test_prompts_of_different_lengths_equal_one_at_a_time(name, pieces, fused):
    model = build(ALL[name], fused=fused)
    tokens, lengths = random_tokens(4, 12), [6, 1, 4, 6]
    cache = model.new_cache(4, capacity=12)
    padded = tokens[:, :6].clone()
    for row, length in zip(padded, lengths, strict=True):
        row[length:] = 49  # padding: any token
    logits = model(padded, cache=cache)
    cache.truncate(lengths)
    for b, length in enumerate(lengths):
        assert (logits[b, :length] - model(tokens[b : b + 1, :length])[0]).abs().max() <= EXACT
    continuation = torch.stack([tokens[b, n : n + 6] for b, n in enumerate(lengths)])
    logits = torch.cat([model(piece, cache=cache) for piece in continuation.split(pieces, dim=1)], dim=1)
    assert cache.lengths.tolist() == [12, 7, 10, 12]
    for b, length in enumerate(lengths):
        alone = model(tokens[b : b + 1, : length + 6])[0, length:]
        assert (logits[b] - alone).abs().max() <= EXACT


@torch.no_grad()
def test_truncated_tokens_are_forgotten(model):
    tokens = random_tokens(1, 8)
    cache = model.new_cache(1)
    model(random_tokens(1, 10, seed=5), cache=cache)
    cache.truncate([0])
    assert (model(tokens, cache=cache) - model(tokens)).abs().max() <= EXACT


@torch.no_grad()
def test_masked_tokens_have_no_influence(model):
    tokens, other = random_tokens(2, 8), random_tokens(2, 8)
    other[:, :3] = (other[:, :3] + 7) % 50
    mask = torch.ones(1, 1, 1, 8, dtype=torch.bool)
    mask[..., :3] = False
    a, b = model(tokens, mask=mask), model(other, mask=mask)
    assert torch.equal(a[:, 3:], b[:, 3:])
    assert a.isfinite().all()  # the first three positions may attend to nothing at all
    assert (a[:, 3:] - model(tokens)[:, 3:]).abs().max() > 1e-6


@torch.no_grad()
def test_padding_behind_a_text_changes_nothing_with_or_without_its_mask(model):
    tokens, lengths = random_tokens(2, 8), torch.tensor([5, 8])
    masked = model(tokens, mask=padding_mask(lengths, 8))
    assert (masked[0, :5] - model(tokens[:1, :5])[0]).abs().max() <= EXACT
    assert (masked[0, :5] - model(tokens)[0, :5]).abs().max() <= EXACT


@torch.no_grad()
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", list(ALL))
def test_one_position_of_each_row_is_that_of_all(name, fused):
    """Alone, behind a cache, in rows that hold differently many, and under masks of every shape."""
    model, tokens, only = build(ALL[name], fused=fused), random_tokens(3, 12), torch.tensor([6, 0, 3])

    def check(**given):
        whole, part = (given | {"cache": made() if (made := given.get("cache")) else None} for _ in range(2))
        expected = model.hidden_states(tokens[:, 5:], **whole)
        found = model.hidden_states(tokens[:, 5:], **part, only=only)
        assert (found[:, 0] - expected[torch.arange(3), only]).abs().max() <= EXACT
        if part["cache"] is not None:  # the last block has appended all positions all the same
            assert torch.equal(part["cache"].keys, whole["cache"].keys)

    def held(lengths):
        cache = model.new_cache(3)
        model(tokens[:, :5], cache=cache)
        cache.truncate(lengths)
        return cache

    generator = torch.Generator().manual_seed(3)
    check()
    for shape in ((7, 7), (3, 1, 1, 7), (1, 1, 7, 7), (3, 1, 7, 7)):
        check(mask=torch.rand(shape, generator=generator) < 0.7)
    for lengths in ([5, 5, 5], [2, 5, 0]):
        check(cache=lambda lengths=lengths: held(lengths))
        check(cache=lambda lengths=lengths: held(lengths), mask=torch.rand(3, 1, 7, 12, generator=generator)[
            ..., : max(lengths) + 7] < 0.7)  # fmt: skip


@torch.no_grad()
def test_the_last_block_widens_only_the_positions_that_are_wanted(model):
    seen = []
    for block in model.blocks:
        block.feed_forward.register_forward_hook(lambda module, given, out: seen.append(given[0].shape[1]))
    model.hidden_states(random_tokens(2, 9), only=torch.tensor([8, 3]))
    assert seen == [9, 1]


@torch.no_grad()
def test_a_mask_and_a_cache_work_together(model):
    tokens = random_tokens(2, 9)
    mask = torch.ones(2, 1, 1, 9, dtype=torch.bool)
    mask[0, ..., :2] = False
    cache = model.new_cache(2)
    pieces = [model(tokens[:, start:end], cache=cache, mask=mask[..., :end]) for start, end in ((0, 4), (4, 5), (5, 9))]
    assert (torch.cat(pieces, dim=1) - model(tokens, mask=mask)).abs().max() <= EXACT


def test_more_tokens_than_the_context_is_one_line_for_the_user(model):
    with pytest.raises(InputError, match="at most 16 tokens, found 17"):
        model(random_tokens(1, 17))
    cache = model.new_cache(1)
    with torch.no_grad():
        model(random_tokens(1, 16), cache=cache)
        with pytest.raises(InputError, match="at most 16 tokens, found 17"):
            model(random_tokens(1, 1), cache=cache)


def test_a_full_cache_is_an_error_and_stays_as_it_was(model):
    cache = model.new_cache(1, capacity=4)
    with torch.no_grad():
        model(random_tokens(1, 3), cache=cache)
        with pytest.raises(ValueError, match="room for 4 tokens"):
            model(random_tokens(1, 2), cache=cache)
    assert cache.lengths.tolist() == [3]


def test_vocab_size_must_be_known():
    with pytest.raises(InputError, match="vocab_size must be set"):
        GPT(GPTConfig())


def test_tied_embeddings_are_one_matrix():
    model = build(SMALL)
    assert model.output is None
    assert model.n_parameters() == build(replace(SMALL, tie_embeddings=False)).n_parameters() - 50 * 24
    hidden = torch.randn(1, 24, dtype=torch.float64)
    assert torch.equal(model.project(hidden), hidden @ model.token_embedding.weight.T)


def test_tied_gradient_is_the_sum_of_both_uses():
    tied, untied = build(SMALL), build(replace(SMALL, tie_embeddings=False))
    untied.load_state_dict(tied.state_dict() | {"output.weight": tied.token_embedding.weight})
    tokens = random_tokens(2, 9)
    for each in (tied, untied):
        F.cross_entropy(each(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
    both = untied.token_embedding.weight.grad + untied.output.weight.grad
    assert (tied.token_embedding.weight.grad - both).abs().max() <= EXACT


@pytest.mark.parametrize(
    ("name", "n_parameters"),
    [
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
    ],
)
def test_published_sizes_have_the_published_number_of_parameters(name, n_parameters):
    config = preset(name)
    with torch.device("meta"):
        model = GPT(config)
    assert model.n_parameters() == n_parameters
    tables = (config.vocab_size + config.context_length) * config.d_model
    assert model.n_parameters(embeddings=False) == n_parameters - tables


def test_initialisation_is_gpt2s():
    config = GPTConfig(vocab_size=500, context_length=64, d_model=128, n_layers=8, n_heads=4, tie_embeddings=False)
    torch.manual_seed(0)
    for name, parameter in GPT(config).named_parameters():
        if name.endswith("bias"):
            assert parameter.eq(0).all(), name
        elif "norm" in name:
            assert parameter.eq(1).all(), name
        else:
            residual = name.endswith(("attention.output.weight", "feed_forward.down.weight"))
            expected = 0.02 / math.sqrt(16) if residual else 0.02
            # the deviation of n >= 8,192 samples is off by 1/√(2n) = 0.8 %; five of those
            assert abs(parameter.std().item() / expected - 1) < 0.04, name
            assert abs(parameter.mean().item()) < 5 * expected / math.sqrt(parameter.numel()), name


def test_outputs_that_start_at_zero_leave_the_embedding_alone():
    torch.manual_seed(0)
    model = GPT(MODERN)
    tokens = random_tokens(2, 9)
    assert torch.equal(model.hidden_states(tokens), model.final_norm(model.token_embedding(tokens)))
    outputs = ("attention.output.weight", "feed_forward.down.weight")
    for name, parameter in model.named_parameters():
        assert parameter.eq(0).all() == name.endswith(outputs), name


def test_the_seed_decides_the_weights():
    for config in (SMALL, LLAMA):
        models = []
        for seed in (3, 3, 4):
            torch.manual_seed(seed)
            models.append(GPT(config).state_dict())
        for name, tensor in models[0].items():
            assert torch.equal(tensor, models[1][name])
        assert not torch.equal(models[0]["token_embedding.weight"], models[2]["token_embedding.weight"])


@pytest.mark.parametrize("name", list(ALL))
def test_before_training_every_token_is_about_equally_likely(name):
    torch.manual_seed(0)
    model = GPT(ALL[name]).eval()
    tokens = random_tokens(4, 16)
    loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    # logits of deviation s raise the loss by about s²/2; s = 0.02 · √24 · 1 = 0.1 from normalized hidden states,
    # and the mean of 60 targets moves it by s/√60
    assert abs(loss.item() - math.log(50)) < 0.05


@pytest.mark.parametrize("where", ["embedding", "attention weights", "sublayer outputs", "nowhere"])
@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary"])
def test_dropout_acts_in_three_places_and_only_while_training(position, where):
    model, tokens = build(replace(SMALL, dropout=0.2, position=position)), random_tokens(1, 5)
    assert torch.equal(model(tokens), model(tokens))
    model.train()
    model.dropout.p *= where == "embedding"  # silence the other places
    for block in model.blocks:
        block.attention.dropout *= where == "attention weights"
        block.dropout.p *= where == "sublayer outputs"
    assert torch.equal(model(tokens), model(tokens)) == (where == "nowhere")


def test_2017_design_equals_torchs_own_modules():
    model = build(replace(ORIGINAL, rotary_base=100.0))
    layer = torch.nn.TransformerEncoderLayer(24, 4, 96, activation="relu", batch_first=True, dtype=torch.float64)
    stack = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    with torch.no_grad():
        for theirs, ours in zip(stack.layers, model.blocks, strict=True):
            projections = (ours.attention.query, ours.attention.key, ours.attention.value)
            theirs.self_attn.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
            theirs.self_attn.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
            theirs.self_attn.out_proj.load_state_dict(ours.attention.output.state_dict())
            theirs.linear1.load_state_dict(ours.feed_forward.up.state_dict())
            theirs.linear2.load_state_dict(ours.feed_forward.down.state_dict())
            theirs.norm1.load_state_dict(ours.attention_norm.state_dict())
            theirs.norm2.load_state_dict(ours.feed_forward_norm.state_dict())
    tokens, weight = random_tokens(2, 16), model.token_embedding.weight
    x = weight[tokens] * math.sqrt(24) + sinusoidal_table(24, 16, base=100.0)  # section 3.4, 3.5
    expected = stack(x, mask=~causal_mask(16)) @ weight.T
    assert (model(tokens) - expected).abs().max() <= EXACT


@pytest.mark.parametrize("name", list(ALL))
def test_by_hand_uses_none_of_torchs_kernels(name, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a fused kernel was called")

    for kernel in ("scaled_dot_product_attention", "layer_norm", "rms_norm", "gelu", "silu", "relu", "softmax"):
        monkeypatch.setattr(F, kernel, refuse)
    build(ALL[name], fused=False)(random_tokens(1, 3))
    with pytest.raises(AssertionError, match="a fused kernel was called"):
        build(ALL[name])(random_tokens(1, 3))


def test_parameter_names_are_public():
    names = {name for name, _ in GPT(LLAMA).named_parameters()}
    assert {"token_embedding.weight", "final_norm.weight", "output.weight"} < names
    of_block_0 = {name.removeprefix("blocks.0.") for name in names if name.startswith("blocks.0.")}
    projections = {f"attention.{part}.weight" for part in ("query", "key", "value", "output")}
    layers = {f"feed_forward.{part}.weight" for part in ("gate", "up", "down")}
    assert of_block_0 == projections | layers | {"attention_norm.weight", "feed_forward_norm.weight"}
    assert "position_embedding.weight" in GPT(SMALL).state_dict()
    # post-norm blocks end normalized: no final norm; fixed positions: nothing to save
    assert not [name for name in GPT(ORIGINAL).state_dict() if "final" in name or "position" in name]


@torch.no_grad()
@pytest.mark.parametrize("name", list(ALL))
def test_bfloat16_weights_and_autocast_stay_near_float32(name):
    torch.manual_seed(0)
    model = GPT(ALL[name]).eval()
    tokens = random_tokens(2, 10)
    expected = model(tokens)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cache = model.new_cache(2, dtype=torch.bfloat16)
        mixed = torch.cat([model(piece, cache=cache) for piece in tokens.split([6, 4], dim=1)], dim=1)
    halved = model.to(torch.bfloat16)
    cache = halved.new_cache(2)
    assert cache.keys.dtype == torch.bfloat16
    low = torch.cat([halved(piece, cache=cache) for piece in tokens.split([6, 4], dim=1)], dim=1)
    for logits in (mixed, low):
        # bfloat16 keeps 8 bits: 0.4 % of logits up to 0.5, a dozen times over
        assert (logits.float() - expected).abs().max() < 0.02
