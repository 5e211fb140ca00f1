"""The laws of the encoder–decoder: shapes, what may see what, the cache, sharing, initialisation, refusals.

That it is torch's Transformer, and Marian's, is in proofs/seq2seq.py.
"""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from groundup.configs.seq2seq import Seq2SeqConfig, seq2seq_preset
from groundup.errors import InputError
from groundup.models.seq2seq import Seq2Seq

# In float64, two orders of the same sums differ by roundings of 1e-16, enlarged by some blocks; mistakes by 1e-3.
EXACT = 1e-12

PAPER = Seq2SeqConfig(
    source_vocab_size=40,
    target_vocab_size=40,
    context_length=16,
    d_model=24,
    n_encoder_layers=2,
    n_decoder_layers=3,
    n_heads=4,
)
MODERN = replace(PAPER, position="rotary", norm_order="pre", activation="swiglu", bias=False, share_embeddings="target")
LEARNED = replace(PAPER, position="learned", norm_order="pre", activation="gelu", target_vocab_size=30,
                  share_embeddings="none", output_bias=True)  # fmt: skip
MARIAN = replace(PAPER, sinusoidal_pairing="halves", activation="silu", output_bias=True)
ALL = {"paper": PAPER, "modern": MODERN, "learned": LEARNED, "marian": MARIAN}


@pytest.fixture(params=list(ALL))
def model(request):
    return build(ALL[request.param])


def build(config, *, fused=True, seed=0):
    """Return a model in float64 whose weights are large enough that every part matters."""
    torch.manual_seed(seed)
    model = Seq2Seq(config, fused=fused).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def random_tokens(B, T, seed=1):
    return torch.randint(30, (B, T), generator=torch.Generator().manual_seed(seed))


def padded(lengths, S):
    return torch.arange(S) < torch.tensor(lengths)[:, None]


def test_logits_have_the_documented_shape(model):
    assert model(random_tokens(3, 7), random_tokens(3, 4)).shape == (3, 4, model.target_vocab_size)
    assert model.encode(random_tokens(3, 7)).hidden.shape == (3, 7, 24)


@torch.no_grad()
def test_a_later_target_token_changes_nothing_before_it_and_any_source_token_everything(model):
    source, target = random_tokens(2, 6), random_tokens(2, 8, seed=2)
    before = model(source, target)
    other = target.clone()
    other[:, 5] = (other[:, 5] + 1) % 30
    # the same shapes run the same kernels in the same order, and a masked weight is exactly 0
    assert torch.equal(model(source, other)[:, :5], before[:, :5])
    assert (model(source, other)[:, 5:] - before[:, 5:]).abs().amax(-1).min() > 1e-6
    for place in (0, 5):
        other = source.clone()
        other[:, place] = (other[:, place] + 1) % 30
        assert (model(other, target) - before).abs().amax(-1).min() > 1e-6


@torch.no_grad()
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", list(ALL))
def test_a_padded_batch_is_each_row_alone(name, fused):
    model, n_source, n_target = build(ALL[name], fused=fused), [6, 1, 3], [2, 5, 4]
    source, target = random_tokens(3, 6), random_tokens(3, 5, seed=2)
    together = model(source, target, source_is_token=padded(n_source, 6))
    masked = model(source, target, source_is_token=padded(n_source, 6), target_is_token=padded(n_target, 5))
    for row, (S, T) in enumerate(zip(n_source, n_target, strict=True)):
        alone = model(source[row : row + 1, :S], target[row : row + 1, :T])[0]
        assert (together[row, :T] - alone).abs().max() <= EXACT
        assert (masked[row, :T] - alone).abs().max() <= EXACT


@torch.no_grad()
def test_a_mask_of_the_target_hides_padding_before_it_too(model):
    source, target = random_tokens(1, 6), random_tokens(1, 5, seed=2)
    real = torch.tensor([[False, False, True, True, True]])
    other = target.clone()
    other[:, :2] = (other[:, :2] + 7) % 30
    before, after = (model(source, each, target_is_token=real)[:, 2:] for each in (target, other))
    assert torch.equal(before, after)


@pytest.mark.parametrize("name", list(ALL))
def test_fused_equals_by_hand_forward_and_gradients(name):
    config = replace(ALL[name], dropout=0.0)
    fused, by_hand = build(config, fused=True).train(), build(config, fused=False).train()
    assert not any(getattr(part, "fused", False) for part in by_hand.modules()), "a kernel is left"
    source, target, real = random_tokens(2, 6), random_tokens(2, 9, seed=2), padded([6, 4], 6)
    losses = []
    for each in (fused, by_hand):
        logits = each(source, target[:, :-1], source_is_token=real)
        losses.append(F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten()))
        losses[-1].backward()
    assert abs(losses[0] - losses[1]) <= EXACT
    for (name_, a), b in zip(fused.named_parameters(), by_hand.parameters(), strict=True):
        assert (a.grad - b.grad).abs().max() <= EXACT, name_


def test_every_parameter_learns(model):
    model.train()(random_tokens(2, 6), random_tokens(2, 5)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@torch.no_grad()
@pytest.mark.parametrize("only", [[4, 0, 2], [4, 4, 4]])
def test_one_position_of_each_row_is_that_of_all(model, only):
    encoded, target = model.encode(random_tokens(3, 6), padded([6, 1, 3], 6)), random_tokens(3, 5, seed=2)
    expected = model.hidden_states(encoded, target)[torch.arange(3), only]
    assert (model.hidden_states(encoded, target, only=torch.tensor(only))[:, 0] - expected).abs().max() <= EXACT


@torch.no_grad()
def test_selected_rows_of_what_was_encoded_are_those_sources(model):
    source, real, target = random_tokens(3, 6), padded([6, 1, 3], 6), random_tokens(2, 4)
    encoded = model.encode(source, real).select_rows([2, 0])
    expected = model(source[[2, 0]], target, source_is_token=real[[2, 0]])
    assert (model.project(model.hidden_states(encoded, target)) - expected).abs().max() <= EXACT
    assert model.encode(source).select_rows([1]).mask is None


@torch.no_grad()
def test_cross_attention_is_a_distribution_over_real_source_tokens(model):
    source, target, real = random_tokens(2, 6), random_tokens(2, 4, seed=2), padded([6, 2], 6)
    weights = model.cross_attention(source, target, source_is_token=real)
    assert weights.shape == (2, 3, 4, 4, 6)
    assert (weights.sum(-1) - 1).abs().max() <= EXACT
    assert weights[1, ..., 2:].eq(0).all()
    assert weights.std() > 1e-3


@torch.no_grad()
def test_cross_attention_is_what_the_values_are_weighted_by():
    model = build(PAPER)
    source, target = random_tokens(1, 6), random_tokens(1, 4, seed=2)
    seen = {}
    cross = model.decoder[1].cross_attention
    cross.output.register_forward_hook(lambda module, given, out: seen.update(gathered=given[0]))
    weights = model.cross_attention(source, target)[:, 1]  # [1, H, T, S]
    _, values = cross.keys_and_values(model.encode(source).hidden)
    assert ((weights @ values).transpose(1, 2).flatten(2) - seen["gathered"]).abs().max() <= EXACT


def test_shared_embeddings_are_one_matrix():
    counts = {
        share: build(replace(PAPER, share_embeddings=share)).n_parameters() for share in ("all", "target", "none")
    }
    assert counts["none"] - counts["target"] == counts["target"] - counts["all"] == 40 * 24
    model = build(PAPER)
    assert model.source_embedding is model.output is None
    assert model.output_weight is model.target_embedding.weight
    assert model.n_parameters() - model.n_parameters(embeddings=False) == 40 * 24


def test_the_base_model_has_the_papers_size():
    with torch.device("meta"):
        model = Seq2Seq(replace(seq2seq_preset("transformer-base"), source_vocab_size=37_000, target_vocab_size=37_000))
    attention, feed_forward, norm = 4 * (512 * 512 + 512), 2 * 512 * 2048 + 2048 + 512, 2 * 512
    encoder, decoder = attention + feed_forward + 2 * norm, 2 * attention + feed_forward + 3 * norm
    assert model.n_parameters() == 37_000 * 512 + 6 * (encoder + decoder)


def test_tokens_begin_as_large_as_their_positions():
    torch.manual_seed(0)
    model = Seq2Seq(replace(PAPER, source_vocab_size=400, target_vocab_size=400, d_model=64))
    tokens = model.target_embedding(torch.arange(400))
    # 25,600 draws of deviation 1: off by 1/√(2 · 25,600) = 0.4 %; five of those
    assert abs(tokens.std().item() - 1) < 0.03
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert parameter.eq(0).all(), name
        elif "norm" in name:
            assert parameter.eq(1).all(), name
        elif parameter.ndim == 2 and "embedding" not in name:
            expected = math.sqrt(2 / sum(parameter.shape))
            # 4,096 uniform draws: their deviation is off by 0.7 %; five of those
            assert abs(parameter.std().item() / expected - 1) < 0.05, name


def test_the_seed_decides_the_weights():
    models = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        models.append(Seq2Seq(LEARNED).state_dict())
    assert all(torch.equal(tensor, models[1][name]) for name, tensor in models[0].items())
    assert not torch.equal(models[0]["output.weight"], models[2]["output.weight"])


def test_dropout_acts_only_while_training(model):
    source, target = random_tokens(1, 6), random_tokens(1, 5)
    assert torch.equal(model(source, target), model(source, target))
    model.train()
    assert not torch.equal(model(source, target), model(source, target))


@pytest.mark.parametrize(("S", "T", "side"), [(17, 3, "source"), (3, 17, "target")])
def test_more_tokens_than_the_context_is_one_line_for_the_user(model, S, T, side):
    with pytest.raises(InputError, match=f"at most 16 tokens of a {side}, found 17"):
        model(random_tokens(1, S), random_tokens(1, T))


@pytest.mark.parametrize("size", [{"source_vocab_size": None}, {"target_vocab_size": None}])
def test_vocabularies_must_be_known(size):
    with pytest.raises(InputError, match="must be set to build a Seq2Seq"):
        Seq2Seq(replace(PAPER, **size))


def test_a_row_that_is_all_padding_stays_finite(model):
    logits = model.train()(random_tokens(2, 4), random_tokens(2, 3), source_is_token=padded([0, 4], 4))
    logits.square().sum().backward()
    assert logits.isfinite().all()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
