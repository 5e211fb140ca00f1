"""Muon against torch's, and against the singular values that it should move to one."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from groundup.configs.model import GPTConfig
from groundup.configs.optimizer import OptimizerConfig
from groundup.models.gpt import GPT
from groundup.training.muon import Muon, orthogonalize
from groundup.training.optimizers import build_optimizer, muon_groups

SHAPES = [(24, 24), (16, 40), (40, 16), (24, 24), (1, 7)]
CONFIG = GPTConfig(vocab_size=13, context_length=8, d_model=16, n_layers=2, n_heads=2)


def random_matrix(shape, seed, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


# Orthogonalization


@pytest.mark.parametrize("shape", [(32, 32), (16, 64), (64, 16), (3, 16, 64), (2, 2, 24, 8)])
def test_singular_values_end_near_one_and_directions_stay(shape):
    g = random_matrix(shape, seed=0, dtype=torch.float64)
    out = orthogonalize(g, precision=torch.float64)
    assert out.shape == g.shape
    assert out.dtype == g.dtype
    u, _, vh = torch.linalg.svd(g, full_matrices=False)
    core = u.mT @ out @ vh.mT  # diagonal if and only if the singular vectors are those of g
    values = core.diagonal(dim1=-2, dim2=-1)
    # An odd polynomial of a matrix acts on its singular values alone; what is left is rounding, enlarged by the slope
    # 3.4^5 = 485 that five iterations can have.
    assert (core - torch.diag_embed(values)).abs().max() <= 1e-11
    # 0.68 … 1.13 where the quintic takes what begins above 0.01: its values there are its extrema.
    assert values.min() > 0.65
    assert values.max() < 1.22


def test_the_quintic_is_the_published_one():
    """On a matrix of one row the iteration is a(x) = 3.4445x - 4.7750x³ + 2.0315x⁵, five times, from x = 1."""
    x = 1.0
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
    row = torch.tensor([[3.0, 0.0, -4.0]], dtype=torch.float64)
    assert (orthogonalize(row, precision=torch.float64) - row / 5 * x).abs().max() <= 1e-14


@pytest.mark.parametrize("power", [-20, 0, 20])
def test_the_size_of_a_gradient_does_not_matter(power):
    g = random_matrix((8, 12), seed=1, dtype=torch.float64)
    assert torch.equal(orthogonalize(g * 2.0**power), orthogonalize(g))  # a power of two rounds nothing


def test_a_gradient_of_zero_stays_zero():
    assert torch.equal(orthogonalize(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def test_in_a_batch_each_matrix_is_alone():
    matrices = random_matrix((4, 8, 12), seed=2, dtype=torch.float64)
    together = orthogonalize(matrices, precision=torch.float64)
    alone = torch.stack([orthogonalize(m, precision=torch.float64) for m in matrices])
    assert (together - alone).abs().max() <= 1e-12


# The optimizer


def parameters():
    return [nn.Parameter(random_matrix(shape, seed=i)) for i, shape in enumerate(SHAPES)]


def train(params, optimizer, steps):
    """Gradients of very different sizes; the rate moves, and one parameter gets no gradient in every third step."""
    for step in steps:
        for i, p in enumerate(params):
            p.grad = random_matrix(p.shape, seed=100 * step + i) * 10.0 ** (i - 2)
        if step % 3 == 0:
            params[1].grad = None
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 / (1 + step)
        optimizer.step()


def test_equal_to_torchs_muon_over_30_steps():
    """torch's, in its Moonlight scaling, computes the products in bfloat16: so do we here."""
    ours, theirs = parameters(), parameters()
    train(ours, Muon([{"params": ours, "orthogonal": True}], weight_decay=0.2, precision=torch.bfloat16), range(30))
    reference = torch.optim.Muon(theirs, weight_decay=0.2, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    train(theirs, reference, range(30))
    # torch rounds to bfloat16 before it divides by the norm, we after: each update, of about 0.2 lr a number, is off by
    # 2^-8 of itself, enlarged a little. The sum of all lr is 0.04, and the updates moved the weights by 1e-2.
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        moved = (b - random_matrix(SHAPES[i], seed=i)).abs().mean()
        assert (a - b).abs().mean() <= 0.02 * moved
    in_float32 = parameters()
    train(in_float32, Muon([{"params": in_float32, "orthogonal": True}], weight_decay=0.2), range(30))
    for i, (a, b) in enumerate(zip(in_float32, theirs, strict=True)):
        moved = (b - random_matrix(SHAPES[i], seed=i)).abs().mean()
        assert (a - b).abs().mean() <= 0.05 * moved


@pytest.mark.parametrize("fused", [True, False])
def test_other_groups_are_torchs_adamw_to_the_bit(fused):
    ours, theirs = parameters(), parameters()
    options = {"betas": (0.8, 0.99), "eps": 1e-7, "weight_decay": 0.3}
    train(ours, Muon([{"params": ours}], fused=fused, **options), range(20))
    train(theirs, torch.optim.AdamW(theirs, fused=fused, foreach=False, **options), range(20))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_updates_are_of_the_size_of_adamws():
    for shape in ((64, 64), (32, 128), (128, 32)):
        p = nn.Parameter(torch.zeros(shape))
        optimizer = Muon([{"params": [p], "orthogonal": True}], lr=1.0)
        p.grad = random_matrix(shape, seed=0)
        optimizer.step()
        assert 0.15 < p.detach().square().mean().sqrt() < 0.22, shape  # 0.2 times singular values of about 0.9


def test_decay_is_decoupled():
    p = nn.Parameter(torch.full((2, 2), 4.0, dtype=torch.float64))
    optimizer = Muon([{"params": [p], "orthogonal": True}], lr=0.5, weight_decay=0.2)
    for _ in range(3):
        p.grad = torch.zeros_like(p)
        optimizer.step()
    assert (p - 4 * 0.9**3).abs().max() <= 1e-14


def test_only_matrices_can_be_orthogonal():
    with pytest.raises(ValueError, match=r"only matrices can be made orthogonal, found a parameter \[3\]"):
        Muon([{"params": [nn.Parameter(torch.ones(3))], "orthogonal": True}])


def test_a_closure_is_called_with_gradients_on():
    p = nn.Parameter(torch.ones(2, 2))
    optimizer = Muon([{"params": [p], "orthogonal": True}])

    def closure():
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 4.0
    assert p.sum() < 4


# In a model


def names_of(model, groups):
    names = {id(p): name for name, p in model.named_parameters()}
    return [{names[id(p)] for p in group["params"]} for group in groups]


@pytest.mark.parametrize("tied", [True, False])
def test_hidden_matrices_are_orthogonal_and_nothing_else(tied):
    model = GPT(replace(CONFIG, tie_embeddings=tied, qk_norm=True))
    groups = muon_groups(model, OptimizerConfig(name="muon", weight_decay=0.3, adamw_rate=0.5))
    assert [(g["orthogonal"], g["weight_decay"], g["lr_scale"]) for g in groups] == [
        (True, 0.3, 1.0),
        (False, 0.3, 0.5),
        (False, 0.0, 0.5),
    ]
    hidden, tables, rest = names_of(model, groups)
    assert hidden == {name for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2}
    assert len(hidden) == 2 * 6
    assert tables == ({"token_embedding.weight"} if tied else {"token_embedding.weight", "output.weight"})
    assert hidden | tables | rest == {name for name, _ in model.named_parameters()}


def test_a_linear_layer_tied_to_an_embedding_is_no_hidden_matrix():
    model = nn.ModuleDict({"head": nn.ModuleList([nn.Linear(4, 9, bias=False)]), "table": nn.Embedding(9, 4)})
    model["head"][0].weight = model["table"].weight
    assert [g["orthogonal"] for g in muon_groups(model, OptimizerConfig(name="muon"))] == [False]


def test_frozen_matrices_are_left_out():
    model = GPT(CONFIG)
    for p in model.blocks.parameters():
        p.requires_grad_(False)
    assert not any(g["orthogonal"] for g in muon_groups(model, OptimizerConfig(name="muon")))


def test_every_constant_of_the_config_arrives():
    config = OptimizerConfig(name="muon", momentum=0.7, beta1=0.8, beta2=0.6, epsilon=1e-3, weight_decay=0.25)
    for precision, dtype in (("float32", torch.float32), ("auto", torch.float32), ("bfloat16", torch.bfloat16)):
        optimizer = build_optimizer(GPT(CONFIG), config, learning_rate=0.125, precision=precision)
        assert isinstance(optimizer, Muon)
        assert optimizer.precision == dtype
        for group in optimizer.param_groups:
            found = (group["lr"], group["momentum"], group["betas"], group["eps"], group["fused"])
            assert found == (0.125, 0.7, (0.8, 0.6), 1e-3, True)


def test_a_restart_gives_the_same_bits():
    tokens = torch.randint(0, 13, (20, 4, 9), generator=torch.Generator().manual_seed(0))

    def steps(model, optimizer, batches):
        for batch in batches:
            optimizer.zero_grad()
            F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten()).backward()
            optimizer.step()

    def make(model):
        return build_optimizer(model, OptimizerConfig(name="muon"), learning_rate=1e-2)

    torch.manual_seed(0)
    whole = GPT(CONFIG)
    cut = copy.deepcopy(whole)
    steps(whole, make(whole), tokens)
    first = make(cut)
    steps(cut, first, tokens[:10])
    cut = copy.deepcopy(cut)
    second = make(cut)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    steps(cut, second, tokens[10:])
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), cut.parameters(), strict=True))
