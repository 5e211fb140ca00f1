"""Module beside torch's: what is found under which name, in which order, and what is done to all of it."""

import copy

import numpy as np
import pytest
import torch

from groundup import engine as eg
from groundup.engine import nn


def build(nn, tensor):
    """Return one model, of the engine's modules or of torch's: nested, tied, with buffers of both kinds."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(4)
            self.register_buffer("seen", tensor([1.0]))
            self.register_buffer("scratch", tensor([2.0]), persistent=False)
            self.mlp = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Dropout(0.5), nn.Linear(8, 4, bias=False))
            self.gain = nn.Parameter(tensor([1.0]))

        def forward(self, x):
            return x + self.gain * self.mlp(self.norm(x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(5, 4)
            self.blocks = nn.ModuleList([Block(), Block()])
            self.shared = self.blocks[0]
            self.head = nn.Linear(4, 5, bias=False)
            self.head.weight = self.embedding.weight
            self.absent = None

        def forward(self, ids):
            x = self.embedding(ids)
            for block in self.blocks:
                x = block(x)
            return self.head(x)

    return Model()


@pytest.fixture
def ours():
    return build(nn, eg.tensor)


@pytest.fixture
def theirs():
    return build(torch.nn, torch.tensor)


def names(pairs):
    return [name for name, _ in pairs]


@pytest.mark.parametrize("options", [{}, {"recurse": False}, {"prefix": "model"}, {"remove_duplicate": False}], ids=str)
def test_parameters_and_buffers_have_torchs_names_and_order(ours, theirs, options):
    assert names(ours.named_parameters(**options)) == names(theirs.named_parameters(**options))
    assert names(ours.named_buffers(**options)) == names(theirs.named_buffers(**options))


def test_modules_have_torchs_names_and_order(ours, theirs):
    assert names(ours.named_modules()) == names(theirs.named_modules())
    assert names(ours.named_modules(remove_duplicate=False)) == names(theirs.named_modules(remove_duplicate=False))
    assert names(ours.named_children()) == names(theirs.named_children())
    assert names(ours.blocks.named_children()) == names(theirs.blocks.named_children())


def test_tied_weights_are_one_parameter_with_two_names_in_the_state_dict(ours):
    assert sum(p is ours.embedding.weight for p in ours.parameters()) == 1
    assert {"embedding.weight", "head.weight"} <= set(ours.state_dict())


def test_the_tree_is_printed_as_torchs(ours, theirs):
    assert repr(ours) == repr(theirs).replace(", inplace=False", "")  # torch's can overwrite their input


def test_outputs_and_all_gradients_equal_torchs_from_the_same_weights(ours, theirs):
    ours.load_state_dict(theirs.state_dict())
    ids = [[0, 3, 1], [2, 2, 4]]
    y, expected = ours.eval()(eg.tensor(ids)), theirs.eval()(torch.tensor(ids))
    y.square().sum().backward()
    expected.square().sum().backward()
    # float32 rounds at 6e-8; sums of tens of numbers of size 1 to 10, through a dozen layers
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    for (name, mine), (other, tensor) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == other
        np.testing.assert_allclose(mine.grad.data, tensor.grad.numpy(), rtol=1e-3, atol=1e-4, err_msg=name)


def test_train_and_eval_reach_every_module(ours):
    assert all(module.training for module in ours.modules())
    assert ours.eval() is ours
    assert not any(module.training for module in ours.modules())
    ours.blocks[1].train()
    assert [module.training for module in ours.blocks] == [False, True]


def test_apply_visits_children_before_their_parent(ours, theirs):
    visited, expected = [], []
    assert ours.apply(lambda module: visited.append(type(module).__name__)) is ours
    theirs.apply(lambda module: expected.append(type(module).__name__))
    assert visited == expected


def test_requires_grad_and_zero_grad_reach_every_parameter(ours):
    ours.eval()(eg.tensor([[0]])).sum().backward()
    assert any(p.grad is not None for p in ours.parameters())
    ours.zero_grad()
    assert all(p.grad is None for p in ours.parameters())
    ours.requires_grad_(False)
    assert not ours(eg.tensor([[0]])).requires_grad


def test_conversion_keeps_ties_and_reaches_buffers(ours):
    assert ours.double() is ours
    assert {p.dtype for p in (*ours.parameters(), *ours.buffers())} == {np.dtype(np.float64)}
    assert ours.head.weight is ours.embedding.weight
    assert ours.float().head.weight.dtype == np.float32
    assert ours.to(eg.float64).head.weight.dtype == np.float64
    with pytest.raises(TypeError, match="parameters are floats, int64 is not"):
        ours.to(eg.int64)


def test_a_copy_shares_nothing_and_keeps_ties(ours):
    twin = copy.deepcopy(ours)
    assert twin.head.weight is twin.embedding.weight
    assert twin.head.weight is not ours.head.weight
    with eg.no_grad():
        twin.head.weight.zero_()
    assert ours.head.weight.data.any()


def test_attributes_are_filed_by_what_they_are():
    module = nn.Module()
    module.part = nn.Parameter([1.0])
    assert names(module.named_parameters()) == ["part"]
    module.part = nn.Linear(1, 1)  # another kind under the same name takes its place
    assert names(module.named_parameters()) == ["part.weight", "part.bias"]
    module.part = None
    assert module.part is None
    assert not list(module.parameters())
    module.part = nn.ReLU()
    del module.part
    assert not hasattr(module, "part")
    assert not list(module.children())


def test_a_plain_attribute_gives_way_to_a_parameter():
    module = nn.Module()
    module.scale = 3.0
    module.scale = nn.Parameter([1.0])
    assert isinstance(module.scale, nn.Parameter)
    assert names(module.named_parameters()) == ["scale"]


def test_a_buffer_can_be_assigned_and_is_not_learned():
    module = nn.Module()
    module.register_buffer("mean", eg.zeros(2))
    module.mean = module.mean + 1
    assert module.mean.tolist() == [1.0, 1.0]
    assert names(module.named_buffers()) == ["mean"]
    assert not list(module.parameters())


def test_dir_lists_what_is_filed(ours):
    assert {"embedding", "blocks", "head"} <= set(dir(ours))
    assert "weight" in dir(ours.head)


def test_a_parameter_says_what_it_is():
    assert repr(nn.Parameter([1.0])).startswith("Parameter containing:\ntensor([1.]")
    assert not nn.Parameter([1.0], requires_grad=False).requires_grad
    assert nn.Parameter(eg.tensor([1.0])).is_leaf


class Forgetful(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(1, 1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (Forgetful, AttributeError, r"Forgetful: layer was assigned before super\(\).__init__\(\)"),
        (lambda: nn.Module()(1), NotImplementedError, r"Module has no forward\(\)"),
        (lambda: nn.Linear(1, 1).wieght, AttributeError, "Linear has no attribute 'wieght'"),
        (
            lambda: setattr(nn.Linear(1, 1), "weight", eg.ones(1, 1)),
            TypeError,
            "Linear.weight is a parameter: assign a",
        ),
        (lambda: setattr(nn.Sequential(nn.ReLU()), "0", 3), TypeError, "Sequential.0 is a module: assign a Module or"),
        (lambda: nn.Module().register_buffer("a.b", None), KeyError, "'a.b' cannot name a part"),
        (lambda: nn.Module().add_module("", nn.ReLU()), KeyError, "'' cannot name a part"),
        (
            lambda: nn.Module().register_parameter("forward", None),
            KeyError,
            "Module already has an attribute 'forward'",
        ),
        (lambda: nn.Linear(1, 1).register_buffer("weight", eg.ones(1)), KeyError, "already has an attribute 'weight'"),
        (lambda: nn.Linear(1, 1).register_parameter("bias", eg.ones(1)), TypeError, "'bias' must be a Parameter or N"),
        (lambda: nn.Sequential(nn.ReLU(), 2), TypeError, "Sequential: '1' must be a Module or None, not int"),
        (lambda: nn.ModuleList([nn.ReLU]), TypeError, r"not ReLU; ReLU is a class, write ReLU\(…\)"),
        (lambda: nn.Linear(1, 1).to("foo"), eg.DTypeError, "'foo' is no element type"),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
