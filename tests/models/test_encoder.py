"""The encoder: padding changes nothing, both directions are seen, parts are there or not as the config says."""

from dataclasses import replace

import pytest
import torch

from groundup.configs.encoder import EncoderConfig
from groundup.errors import InputError
from groundup.models.encoder import Encoder
from groundup.proofs.compare import randomized

CONFIG = EncoderConfig(vocab_size=23, context_length=16, d_model=16, n_layers=2, n_heads=2, dropout=0.0)
OTHERS = {
    "BERT": CONFIG,
    "sinusoidal": replace(CONFIG, position="sinusoidal", n_segments=0),
    "rotary, pre-norm": replace(CONFIG, position="rotary", norm_order="pre", embedding_norm=False),
    "swiglu, no head, untied": replace(CONFIG, activation="swiglu", head_transform=False, tie_embeddings=False),
}
TOKENS = torch.randint(23, (3, 12), generator=torch.Generator().manual_seed(0))


def encoder(config: EncoderConfig = CONFIG, *, fused: bool = True) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return randomized(Encoder(config, fused=fused)).eval()


@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS)
@torch.no_grad()
def test_padding_and_what_stands_in_it_change_nothing(config: EncoderConfig):
    model, lengths = encoder(config), torch.tensor([12, 7, 1])
    is_token = torch.arange(12) < lengths[:, None]
    padded = model(TOKENS, is_token=is_token)
    other = model(TOKENS.masked_fill(~is_token, 5), is_token=is_token)
    assert torch.equal(padded[is_token], other[is_token])
    for row, length in enumerate(lengths):
        alone = model(TOKENS[row : row + 1, :length])[0]
        # Float32 logits of size 10: the kernel adds in another order where there are more keys.
        torch.testing.assert_close(padded[row, :length], alone, rtol=0, atol=2e-5)


@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS)
@torch.no_grad()
def test_formulas_written_out_give_the_same(config: EncoderConfig):
    by_hand = encoder(config, fused=False)
    assert not any(getattr(part, "fused", False) for part in by_hand.modules()), "a kernel is left"
    is_token = torch.arange(12) < torch.tensor([12, 7, 3])[:, None]
    expected, found = (model(TOKENS, is_token=is_token)[is_token] for model in (encoder(config), by_hand))
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)  # float32 logits of size 10, in another order


@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS)
@torch.no_grad()
def test_every_token_sees_every_other_and_where_it_stands(config: EncoderConfig):
    model = encoder(config)
    before = model.hidden_states(TOKENS[:1])
    changed = TOKENS[:1].clone()
    changed[0, 11] = (changed[0, 11] + 1) % 23
    assert (model.hidden_states(changed) - before).abs().amax(-1).min() > 1e-4
    assert not torch.allclose(model.hidden_states(TOKENS[:1].flip(1)).flip(1), before, atol=1e-3)


@torch.no_grad()
def test_segments_are_told_apart_and_the_first_one_is_meant():
    model = encoder()
    segments = torch.zeros_like(TOKENS)
    assert torch.equal(model(TOKENS, segments=segments), model(TOKENS))
    segments[:, 6:] = 1
    assert not torch.allclose(model(TOKENS, segments=segments), model(TOKENS), atol=1e-3)
    with pytest.raises(ValueError, match="n_segments=0"):
        encoder(OTHERS["sinusoidal"])(TOKENS, segments=segments)


@torch.no_grad()
def test_only_the_places_asked_for_are_projected_to_the_same_logits():
    model = encoder()
    hidden = model.hidden_states(TOKENS)
    torch.testing.assert_close(model.project(hidden[:, 3]), model(TOKENS)[:, 3], rtol=0, atol=1e-5)  # other row counts


@pytest.mark.parametrize("config", OTHERS.values(), ids=OTHERS)
def test_every_parameter_learns(config: EncoderConfig):
    model = encoder(config).train()
    segments = None if config.n_segments == 0 else (torch.arange(12) % 2).expand(3, 12)
    torch.nn.functional.cross_entropy(model(TOKENS, segments=segments).flatten(0, 1), TOKENS.flatten()).backward()
    silent = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    # A key's bias adds the same to all scores of a query: softmax takes it out. Rotated, it does not.
    assert not {name for name in silent if not name.endswith("key.bias")}


def test_tied_matrices_are_counted_once_and_the_bias_is_the_outputs_own():
    tied, untied = encoder(), encoder(replace(CONFIG, tie_embeddings=False))
    assert untied.n_parameters() - tied.n_parameters() == 23 * 16
    assert tied.output_weight is tied.token_embedding.weight
    assert tied.output_bias.shape == (23,)


def test_initial_weights_come_from_the_seed():
    models = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        models.append(Encoder(CONFIG))
    one, same, other = (model.state_dict() for model in models)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["head.dense.weight"], other["head.dense.weight"])
    assert one["token_embedding.weight"].std() == pytest.approx(0.02, rel=0.15)  # 368 draws: 4 % is one deviation
    assert not one["output_bias"].any()
    assert (one["embedding_norm.weight"] == 1).all()


def test_what_cannot_be_is_one_line():
    with pytest.raises(InputError, match="vocab_size must be set"):
        Encoder(replace(CONFIG, vocab_size=None))
    with pytest.raises(InputError, match=r"sees at most 16 tokens, found 17; shorten the text"):
        encoder()(torch.zeros(1, 17, dtype=torch.long))
