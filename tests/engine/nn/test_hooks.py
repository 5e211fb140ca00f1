"""Hooks: called in order, with torch's arguments; they look or change, until they are removed."""

import pytest
import torch

from groundup import engine as eg
from groundup.engine import nn


def test_hooks_see_and_change_what_torchs_do():
    def run(nn, tensor):
        layer, seen = nn.ReLU(), []
        layer.register_forward_pre_hook(lambda module, args: seen.append((module is layer, args[0].tolist())))
        layer.register_forward_pre_hook(lambda _, args: args[0] + 1)
        layer.register_forward_hook(lambda module, args, out: seen.append((args[0].tolist(), out.tolist())))
        layer.register_forward_hook(lambda module, args, out: out * 10)
        layer.register_forward_hook(lambda module, args, out: seen.append(out.tolist()))
        return layer(tensor([-3.0, 1.0])).tolist(), seen

    assert run(nn, eg.tensor) == run(torch.nn, torch.tensor)
    assert run(nn, eg.tensor)[0] == [0.0, 20.0]


def test_a_pre_hook_may_return_all_arguments():
    class Add(nn.Module):
        def forward(self, a, b):
            return a + b

    add = Add()
    add.register_forward_pre_hook(lambda _, args: (args[0], 5))
    assert add(1, 2) == 6


def test_a_removed_hook_is_not_called():
    layer, calls = nn.ReLU(), []
    first = layer.register_forward_hook(lambda *_: calls.append("first"))
    layer.register_forward_hook(lambda *_: calls.append("second"))
    layer(eg.ones(1))
    first.remove()
    first.remove()  # does nothing
    layer(eg.ones(1))
    assert calls == ["first", "second", "second"]


def test_a_hook_lasts_as_long_as_its_with_block():
    layer, calls = nn.ReLU(), []
    with layer.register_forward_pre_hook(lambda *_: calls.append(1)):
        layer(eg.ones(1))
    layer(eg.ones(1))
    assert calls == [1]


def test_a_hook_may_remove_itself_while_it_is_called():
    layer, calls = nn.ReLU(), []
    handle = layer.register_forward_hook(lambda *_: (calls.append(1), handle.remove())[0])
    layer.register_forward_hook(lambda *_: calls.append(2))
    layer(eg.ones(1))
    layer(eg.ones(1))
    assert calls == [1, 2, 2]


def test_gradients_flow_through_what_a_hook_returns():
    layer = nn.ReLU()
    layer.register_forward_hook(lambda module, args, out: out * 3)
    x = eg.ones(2)
    x.requires_grad_()
    layer(x).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_an_error_in_forward_leaves_the_hooks_in_place():
    layer, calls = nn.Linear(2, 2), []
    layer.register_forward_pre_hook(lambda *_: calls.append(1))
    with pytest.raises(ValueError, match="linear"):
        layer(eg.ones(3))
    layer(eg.ones(2))
    assert calls == [1, 1]
