"""AdamW by hand against torch's, over many steps and through each other's state; and who decays."""

import copy

import pytest
import torch
from torch import nn

from groundup.configs.model import GPTConfig
from groundup.configs.optimizer import OptimizerConfig
from groundup.models.gpt import GPT
from groundup.training.optimizers import AdamW, build_optimizer, parameter_groups

# After 100 steps of size 1e-2 weights of size 1 hold 100 roundings of 6e-8 each, most of which cancel.
BOUND = 1e-6
OPTIONS = [
    {"betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.1},
    {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0},
    {"betas": (0.0, 0.0), "eps": 1e-3, "weight_decay": 0.5},
]


def parameters(dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [
        nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype))
        for shape in ((7, 5), (5,), (2, 3, 4), ())
    ]


def train(params, optimizer, steps):
    """Gradients of very different sizes; the rate moves, and one parameter gets no gradient in every third step."""
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for i, p in enumerate(params):
            p.grad = (torch.randn(p.shape, generator=generator, dtype=torch.float64) * 10.0 ** (i - 2)).to(p.dtype)
        if step % 3 == 0:
            params[1].grad = None
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 / (1 + step)
        optimizer.step()


def largest_difference(ours, theirs):
    return max(float((a - b).detach().abs().max()) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("fused", [True, False])
def test_equal_to_torch_over_100_steps(options, fused):
    ours, theirs = parameters(), parameters()
    train(ours, AdamW(ours, **options), range(100))
    train(theirs, torch.optim.AdamW(theirs, fused=fused, **options), range(100))
    assert largest_difference(ours, theirs) <= BOUND


@pytest.mark.parametrize("options", OPTIONS)
def test_equal_to_torch_in_float64(options):
    ours, theirs = parameters(torch.float64), parameters(torch.float64)
    train(ours, AdamW(ours, **options), range(100))
    train(theirs, torch.optim.AdamW(theirs, **options), range(100))
    assert largest_difference(ours, theirs) <= 1e-14  # 100 roundings of 1e-16 beside weights of size 1


def test_equal_to_torch_on_a_gpt_with_its_groups():
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=13, context_length=8, d_model=16, n_layers=2, n_heads=2)
    ours = GPT(config)
    theirs = copy.deepcopy(ours)
    tokens = torch.randint(0, 13, (100, 4, 9))
    for model, name in ((ours, "adamw_by_hand"), (theirs, "adamw")):
        optimizer = build_optimizer(model, OptimizerConfig(name=name), learning_rate=1e-3)
        for batch in tokens[:100]:
            loss = nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    # Gradients near zero are rounding, which Adam divides by its own size: biases of keys, which change no output,
    # walk at random by up to the rate in each step. All that the model computes is the same.
    batch = tokens[0, :, :-1]
    assert (ours(batch) - theirs(batch)).abs().max() <= 1e-5  # 1.2e-7 when this was written


@pytest.mark.parametrize("first_by_hand", [True, False])
def test_either_goes_on_from_the_others_state(first_by_hand):
    def make(params, by_hand):
        return AdamW(params, weight_decay=0.3) if by_hand else torch.optim.AdamW(params, weight_decay=0.3, fused=True)

    whole, changed = parameters(), parameters()
    train(whole, make(whole, first_by_hand), range(60))
    before = make(changed, first_by_hand)
    train(changed, before, range(30))
    after = make(changed, not first_by_hand)
    after.load_state_dict(before.state_dict())
    train(changed, after, range(30, 60))
    assert largest_difference(whole, changed) <= BOUND


@pytest.mark.parametrize("name", ["adamw", "adamw_by_hand"])
def test_a_restart_gives_the_same_bits(name):
    def make(params):
        model = nn.Module()
        model.rows = nn.ParameterList(params)
        return build_optimizer(model, OptimizerConfig(name=name), learning_rate=1e-2)

    whole, cut = parameters(), parameters()
    train(whole, make(whole), range(40))
    first = make(cut)
    train(cut, first, range(20))
    cut = [nn.Parameter(p.detach().clone()) for p in cut]
    second = make(cut)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    train(cut, second, range(20, 40))
    assert all(torch.equal(a, b) for a, b in zip(whole, cut, strict=True))


def test_states_are_named_as_torch_names_them():
    ours, theirs = parameters(), parameters()
    first, second = AdamW(ours), torch.optim.AdamW(theirs)
    for params, optimizer in ((ours, first), (theirs, second)):
        train(params, optimizer, range(2))
    a, b = first.state_dict(), second.state_dict()
    assert a["state"].keys() == b["state"].keys()
    for i in a["state"]:
        assert a["state"][i].keys() == b["state"][i].keys()
        for key, value in a["state"][i].items():
            assert (value.dtype, value.shape) == (b["state"][i][key].dtype, b["state"][i][key].shape)


def test_decay_is_decoupled():
    """With a gradient of zero the decay alone is left: p · (1 - lr · decay) each step, whatever the moments."""
    p = nn.Parameter(torch.tensor([4.0], dtype=torch.float64))
    optimizer = AdamW([p], lr=0.5, weight_decay=0.2)
    for _ in range(3):
        p.grad = torch.zeros_like(p)
        optimizer.step()
    assert p.item() == pytest.approx(4 * 0.9**3, rel=1e-15)


def test_steps_do_not_depend_on_the_size_of_gradients():
    """With ε far below the gradient, scaling all gradients by a constant changes nothing (Kingma and Ba 2015, 2.1)."""
    found = []
    for scale in (1.0, 2.0**20):  # a power of two, which rounds nothing
        p = nn.Parameter(torch.ones(5, dtype=torch.float64))
        optimizer = AdamW([p], lr=0.1, eps=1e-30)
        for step in range(10):
            p.grad = scale * torch.randn(5, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
            optimizer.step()
        found.append(p.detach())
    assert torch.equal(*found)


def test_a_closure_is_called_with_gradients_on():
    p = nn.Parameter(torch.ones(1))
    optimizer = AdamW([p])

    def closure():
        optimizer.zero_grad()
        loss = p.square().sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == 1.0
    assert p.item() < 1


# Groups


def names_of(model, groups):
    names = {id(p): name for name, p in model.named_parameters()}
    return [[names[id(p)] for p in group["params"]] for group in groups]


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_matrices_decay_and_nothing_else(position, tied, norm):
    config = GPTConfig(
        vocab_size=11, context_length=8, d_model=16, n_layers=2, n_heads=2, position=position, norm=norm,
        tie_embeddings=tied,
    )  # fmt: skip
    model = GPT(config)
    decayed, kept = names_of(model, parameter_groups(model, 0.1))
    assert sorted(decayed + kept) == sorted(name for name, _ in model.named_parameters())
    assert "token_embedding.weight" in decayed
    assert ("output.weight" in decayed) == (not tied)
    assert all(name.endswith(".weight") and "norm" not in name and "position" not in name for name in decayed)
    assert all(name.endswith("bias") or "norm" in name or name == "position_embedding.weight" for name in kept)
    assert ("position_embedding.weight" in kept) == (position == "learned")
    assert decayed == sorted(decayed)
    assert kept == sorted(kept)


def test_tied_once_frozen_never():
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3), "c": nn.Linear(3, 3)})
    model["c"].weight = model["a"].weight
    model["b"].requires_grad_(False)
    assert names_of(model, parameter_groups(model, 0.1)) == [["a.weight"], ["a.bias", "c.bias"]]


def test_a_group_without_parameters_is_left_out():
    groups = parameter_groups(nn.Linear(3, 3, bias=False), 0.1)
    assert [group["weight_decay"] for group in groups] == [0.1]
    with pytest.raises(ValueError, match="empty parameter list"):
        build_optimizer(nn.Identity(), OptimizerConfig(), learning_rate=1e-3)


@pytest.mark.parametrize("name", ["adamw", "adamw_by_hand"])
def test_every_constant_of_the_config_arrives(name):
    config = OptimizerConfig(name=name, beta1=0.8, beta2=0.7, epsilon=1e-3, weight_decay=0.25)
    optimizer = build_optimizer(nn.Linear(2, 2), config, learning_rate=0.125)
    assert isinstance(optimizer, torch.optim.AdamW if name == "adamw" else AdamW)
    for group, decay in zip(optimizer.param_groups, (0.25, 0.0), strict=True):
        assert (group["lr"], group["betas"], group["eps"]) == (0.125, (0.8, 0.7), 1e-3)
        assert group["weight_decay"] == decay
