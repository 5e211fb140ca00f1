"""The engine's GPT against the torch GPT with the same weights: logits, every gradient, training and generation."""

import dataclasses

import numpy as np
import pytest
import safetensors.torch
import torch

from groundup.configs.model import GPTConfig, preset
from groundup.engine import functional
from groundup.engine.autograd import no_grad
from groundup.engine.errors import DTypeError, ShapeError
from groundup.engine.gpt import GPT
from groundup.engine.optim import AdamW, clip_grad_norm_
from groundup.engine.random import Generator
from groundup.engine.safetensors import load_file
from groundup.engine.tensor import Tensor
from groundup.models import gpt as torch_models

SMALL = {"vocab_size": 13, "context_length": 12, "d_model": 16, "n_layers": 2, "n_heads": 4}
VARIANTS = {
    "gpt2": {},
    "untied": {"tie_embeddings": False},
    "no_bias": {"bias": False},
    "post_norm": {"norm_order": "post"},
    "gelu": {"activation": "gelu"},
    "relu": {"activation": "relu"},
    "relu_squared": {"activation": "relu_squared"},
    "grouped": {"n_kv_heads": 2},
    "multi_query": {"n_kv_heads": 1, "d_ff": 24},
    "qk_norm": {"qk_norm": True},
    "llama": {
        "position": "rotary", "norm": "rms", "activation": "swiglu", "bias": False, "tie_embeddings": False,
        "n_kv_heads": 2,
    },
    "2017": {"position": "sinusoidal", "norm_order": "post", "activation": "relu"},
}  # fmt: skip
# Logits of size 1 through two blocks: rounding of 6e-8 (1e-16) and other orders of summation.
BOUND = {torch.float32: 1e-5, torch.float64: 1e-10}


def pair(dtype=torch.float32, **options):
    """The torch model with random weights, biases and norms too, and the engine's with the same."""
    config = GPTConfig(**(SMALL | options))
    torch.manual_seed(0)
    theirs = torch_models.GPT(config).to(dtype)
    with torch.no_grad():
        for p in theirs.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    ours = GPT(**dataclasses.asdict(config)).to(str(dtype).removeprefix("torch."))
    ours.load_state_dict(theirs.state_dict())
    if dtype == torch.float64:  # the tables are float32 by design, and torch's sine is not NumPy's to the last bit
        if ours.rotation is not None:
            ours.rotation.cos, ours.rotation.sin = theirs.rotary.cos.numpy(), theirs.rotary.sin.numpy()
        if ours.sinusoids is not None:
            ours.sinusoids = theirs.position_embedding.table.numpy()
    return ours, theirs


def tokens(rows=3, length=12, vocab_size=13, seed=1):
    return torch.randint(0, vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))


def losses(ours, theirs, batch):
    """Return both losses of predicting the next token."""
    x, y = batch[:, :-1], batch[:, 1:]
    logits = ours(Tensor(x.numpy()))
    first = functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), Tensor(y.numpy().reshape(-1)))
    return first, torch.nn.functional.cross_entropy(theirs(x).flatten(0, 1), y.flatten())


def differences(a, b):
    return float(np.abs(np.asarray(a) - np.asarray(b)).max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", VARIANTS)
def test_logits_and_every_gradient_are_those_of_torch(name, dtype):
    ours, theirs = pair(dtype, **VARIANTS[name])
    assert differences(ours(Tensor(tokens().numpy())).data, theirs(tokens()).detach()) <= BOUND[dtype]
    first, second = losses(ours, theirs, tokens(length=13))
    first.backward()
    second.backward()
    assert abs(first.item() - second.item()) <= BOUND[dtype]
    expected = dict(theirs.named_parameters())
    assert {name for name, _ in ours.named_parameters()} == expected.keys()
    for name, p in ours.named_parameters():
        assert p.grad.dtype == p.dtype
        assert differences(p.grad.data, expected[name].grad) <= BOUND[dtype], name


@pytest.mark.parametrize("name", VARIANTS)
def test_names_and_shapes_are_those_of_torch_in_order(name):
    ours, theirs = pair(**VARIANTS[name])
    found = [(name, p.shape) for name, p in ours.state_dict().items()]
    assert sorted(found) == sorted((name, tuple(p.shape)) for name, p in theirs.state_dict().items())
    theirs.load_state_dict({name: torch.tensor(p.data) for name, p in ours.state_dict().items()})  # and back


def test_weights_go_through_a_file_of_torch(tmp_path):
    ours, theirs = pair()
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    other = GPT(**SMALL)
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    batch = Tensor(tokens().numpy())
    assert (other(batch).data == ours(batch).data).all()


def test_the_tied_matrix_gets_the_gradients_of_both_its_uses():
    ours, _ = pair()
    logits = ours(Tensor([[5]]))
    logits[0, 0, 7].backward()
    rows = np.abs(ours.token_embedding.weight.grad.data).sum(1)
    assert set(np.flatnonzero(rows)) == {5, 7}  # looked up, and multiplied by


@pytest.mark.parametrize("name", ["gpt2", "llama", "2017"])
def test_a_future_token_leaves_past_logits_unchanged(name):
    ours, _ = pair(**VARIANTS[name])
    batch = tokens().numpy()
    before = ours(Tensor(batch)).data
    batch[:, 7:] = (batch[:, 7:] + 1) % 13
    after = ours(Tensor(batch)).data
    assert (before[:, :7] == after[:, :7]).all()
    assert (before[:, 7:] != after[:, 7:]).any()


@pytest.mark.parametrize("name", VARIANTS)
def test_the_cache_changes_nothing(name):
    ours, _ = pair(torch.float64, **VARIANTS[name])
    batch = tokens().numpy()
    whole, cache = ours(Tensor(batch)).data, ours.new_cache(3)
    with no_grad():
        parts = [ours(Tensor(batch[:, a:b]), cache=cache).data for a, b in ((0, 5), (5, 6), (6, 9), (9, 12))]
    assert differences(np.concatenate(parts, 1), whole) <= 1e-12  # float64, sums in another order


def test_a_mask_hides_keys_as_in_torch():
    ours, theirs = pair(torch.float64)
    mask = torch.ones(3, 1, 1, 12, dtype=torch.bool)
    mask[1, ..., :4] = False
    found = ours(Tensor(tokens().numpy()), mask=Tensor(mask.numpy())).data
    assert differences(found, theirs(tokens(), mask=mask).detach()) <= BOUND[torch.float64]


def test_50_steps_of_training_give_the_loss_curve_of_torch():
    ours, theirs = pair(**{"context_length": 16, "d_model": 32})
    first, second = AdamW(ours.parameters(), lr=3e-3), torch.optim.AdamW(theirs.parameters(), lr=3e-3)
    for step in range(50):
        # a text that can be learned: each row counts on from a number, modulo 13
        batch = (tokens(8, 1, seed=step) + torch.arange(17)) % 13
        mine, reference = losses(ours, theirs, batch)
        # 1e-4: rounding of 6e-8 grows along a path of 50 steps, each of which divides by a root of squared gradients
        assert abs(mine.item() - reference.item()) <= 1e-4, step
        for optimizer, loss in ((first, mine), (second, reference)):
            optimizer.zero_grad()
            loss.backward()
        norm = clip_grad_norm_(ours.parameters(), 1.0)
        assert norm == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0).item(), rel=1e-2)
        first.step()
        second.step()
    assert mine.item() < 0.5  # it did learn: it began above ln 13 = 2.56


@pytest.mark.parametrize("name", ["gpt2", "llama", "2017", "qk_norm"])
def test_greedy_tokens_are_those_of_torch(name):
    ours, theirs = pair(torch.float64, **VARIANTS[name])
    expected = tokens(length=4)
    for _ in range(8):
        expected = torch.cat([expected, theirs(expected)[:, -1].argmax(-1, keepdim=True)], dim=1)
    found = ours.generate(Tensor(tokens(length=4).numpy()), 8, temperature=0.0)
    assert (found.data == expected.numpy()).all()
    assert found.dtype == np.int64


def test_tokens_are_drawn_with_the_probabilities_of_the_model():
    ours, _ = pair(torch.float64)
    start = Tensor(np.full((1000, 1), 3))
    with no_grad():
        z = ours(Tensor([[3]])).data[0, -1] / 0.5
    expected = np.exp(z) / np.exp(z).sum()
    drawn = ours.generate(start, 1, temperature=0.5, generator=Generator(0)).data[:, 1]
    counts = np.bincount(drawn, minlength=13) / 1000
    assert np.abs(counts - expected).max() < 4 * np.sqrt(0.25 / 1000)  # four deviations
    likeliest = set(np.argsort(z)[-3:])
    drawn = ours.generate(start, 1, temperature=0.5, top_k=3, generator=Generator(0)).data[:, 1]
    assert set(drawn) == likeliest


def test_the_same_seed_draws_the_same_and_dropout_is_off():
    ours, _ = pair(dropout=0.5)
    start = Tensor([[1, 2]])
    runs = [ours.generate(start, 10, generator=Generator(7)).tolist() for _ in range(2)]
    assert runs[0] == runs[1]
    assert ours.generate(start, 10, temperature=0.0).tolist() == ours.generate(start, 10, top_k=1).tolist()
    assert ours.training
    assert ours.generate(start, 0).tolist() == [[1, 2]]


def test_dropout_acts_while_training_only():
    ours, theirs = pair(dropout=0.5)
    batch = Tensor(tokens().numpy())
    assert differences(ours(batch).data, ours(batch).data) > 0
    ours.eval()
    theirs.eval()
    assert differences(ours(batch).data, theirs(tokens()).detach()) <= BOUND[torch.float32]


def test_initial_weights():
    model = GPT(vocab_size=500, context_length=64, d_model=64, n_layers=8, n_heads=4)
    weights = {name: p.data for name, p in model.named_parameters()}
    assert weights["token_embedding.weight"].std() == pytest.approx(0.02, rel=0.05)
    assert weights["blocks.3.attention.query.weight"].std() == pytest.approx(0.02, rel=0.05)
    for name in ("blocks.3.attention.output.weight", "blocks.0.feed_forward.down.weight"):
        assert weights[name].std() == pytest.approx(0.02 / 4, rel=0.05)  # √(2 · 8) = 4
    assert all((p == 0).all() for name, p in weights.items() if name.endswith("bias"))
    assert all((p == 1).all() for name, p in weights.items() if name.endswith("norm.weight"))
    zero = GPT(**SMALL, zero_init_outputs=True)
    assert all((block.attention.output.weight.data == 0).all() for block in zero.blocks)


def test_bad_input():
    model = GPT(**SMALL)
    one = Tensor([[1]])
    cases = [
        (lambda: GPT(vocab_size=None), ValueError, "GPT: vocab_size must be set, found None"),
        (lambda: GPT(**SMALL, position="alibi"), ValueError, "GPT: position must be one of learned, sinusoidal, rotar"),
        (lambda: GPT(**SMALL, activation="silu"), ValueError, "GPT: activation must be one of gelu, .*; found 'silu'"),
        (lambda: GPT(**SMALL, n_experts=2), TypeError, "n_experts"),
        (lambda: GPT(**(SMALL | {"n_heads": 3})), ValueError, "d_model must be a multiple of n_heads"),
        (lambda: GPT(**SMALL, n_kv_heads=3), ValueError, "n_heads of n_kv_heads; found 16, 4 and 3"),
        (
            lambda: GPT(**(SMALL | {"n_heads": 16}), position="rotary"),
            ValueError,
            "rotary positions need an even d_head",
        ),
        (
            lambda: GPT(**(SMALL | {"n_layers": 0})),
            ValueError,
            "n_layers and n_heads must be at least 1; found 12, 16, 0",
        ),
        (lambda: GPT(**SMALL, bias=False, qkv_bias=True), ValueError, "found qkv_bias=True"),
        (lambda: model([[1]]), DTypeError, "GPT: expected a tensor, found list"),
        (lambda: model.generate([[1]], 1), DTypeError, "generate: expected a tensor, found list"),
        (lambda: model(one, mask=Tensor([[1.0]])), DTypeError, "GPT: the mask is float32; it must be bool"),
        (lambda: model(Tensor([1, 2])), ShapeError, r"GPT: tokens must be \[B, T\], found \[2\]"),
        (lambda: model(Tensor([[0] * 13])), ShapeError, "this model sees at most 12 tokens, found 13"),
        (lambda: model(Tensor([[13]])), IndexError, "13"),
        (lambda: model.generate(one, 13), ShapeError, "this model sees at most 12 tokens, found 13"),
        (lambda: model.generate(one, 1, temperature=-1), ValueError, "generate: temperature and max_new_tokens"),
        (lambda: model.generate(one, 1, top_k=0), ValueError, "top_k at least 1"),
        (lambda: model.generate(Tensor(np.zeros((1, 0), np.int64)), 1), ShapeError, "with T at least 1"),
    ]
    for make, kind, message in cases:
        with pytest.raises(kind, match=message):
            make()


@pytest.mark.slow
def test_gpt2_of_124_million_parameters_gives_the_logits_of_torch():
    config = preset("gpt2")
    torch.manual_seed(0)
    theirs = torch_models.GPT(config)
    ours = GPT(**dataclasses.asdict(config))
    ours.load_state_dict(theirs.state_dict())
    batch = tokens(1, 64, config.vocab_size)
    with no_grad(), torch.no_grad():
        found, expected = ours(Tensor(batch.numpy())).data, theirs(batch).numpy()
    difference = differences(found, expected)
    print(f"largest difference {difference:.2e}, logits up to {np.abs(expected).max():.1f}")  # pytest -s
    assert difference <= 1e-4
