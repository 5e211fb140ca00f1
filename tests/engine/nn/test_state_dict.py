"""State dicts: torch's names and order, loading that is all or nothing, and errors that name every misfit."""

import numpy as np
import pytest
import torch

from groundup import engine as eg
from groundup.engine import nn


def build(nn):
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Conv2d(1, 2, 3, bias=False))
    model.add_module("tied", nn.Linear(3, 4, bias=False))
    model.tied.weight = model[0].weight
    return model


def with_buffers(nn, tensor):
    model = build(nn)
    model[1].register_buffer("kept", tensor([1.0, 2.0]))
    model[1].register_buffer("not_kept", tensor([1.0]), persistent=False)
    model[1].register_buffer("empty", None)
    return model


def test_names_order_and_shapes_equal_torchs():
    ours, theirs = with_buffers(nn, eg.tensor).state_dict(), with_buffers(torch.nn, torch.tensor).state_dict()
    assert list(ours) == list(theirs)
    assert {k: v.shape for k, v in ours.items()} == {k: tuple(v.shape) for k, v in theirs.items()}
    assert list(build(nn).state_dict(prefix="a.")) == list(build(torch.nn).state_dict(prefix="a."))


def test_a_state_dict_is_on_the_models_memory_without_history():
    model = build(nn)
    weight = model.state_dict()["0.weight"]
    assert not weight.requires_grad
    with eg.no_grad():
        model[0].weight.fill_(7)
    assert weight.data[0, 0] == 7


def test_the_weights_of_one_model_and_of_torch_go_into_another():
    ours, theirs = build(nn), build(torch.nn)
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].data, tensor.numpy())
    twin = build(nn)
    twin.load_state_dict(ours.state_dict())
    np.testing.assert_array_equal(twin[0].weight.data, ours[0].weight.data)
    assert not np.shares_memory(twin[0].weight.data, ours[0].weight.data)
    assert twin.tied.weight is twin[0].weight
    theirs.load_state_dict({name: torch.tensor(t.data) for name, t in twin.state_dict().items()})  # and back


def test_numbers_are_converted_to_the_modules_type():
    model = nn.Linear(2, 1)
    model.load_state_dict({"weight": np.array([[1, 2]]), "bias": np.array([0.5], np.float64)})
    assert model.weight.dtype == np.float32
    assert model(eg.ones(2)).tolist() == [3.5]


def test_loading_is_in_place_so_that_an_optimizer_keeps_its_parameters():
    model = nn.Linear(2, 1)
    before, memory = model.weight, model.weight.data
    model.load_state_dict(nn.Linear(2, 1).state_dict())
    assert model.weight is before
    assert model.weight.data is memory
    assert model.weight.requires_grad
    assert model.weight.is_leaf


def test_loading_after_a_forward_is_noticed_by_its_backward():
    model, x = nn.Linear(2, 1), eg.ones(3, 2)
    x.requires_grad_()
    y = model(x).sum()
    model.load_state_dict(nn.Linear(2, 1).state_dict())
    with pytest.raises(eg.GradientError, match="linear"):
        y.backward()


def test_one_error_lists_all_that_does_not_fit_and_nothing_is_loaded():
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    before = {name: t.data.copy() for name, t in model.state_dict().items()}
    state = {
        "0.weight": np.zeros((4, 3)),
        "0.bias": np.zeros(5),
        "1.weight": np.zeros((2, 4), complex),
        "2.weight": np.zeros((1, 2), np.float32),
    }
    with pytest.raises(nn.StateDictError) as raised:
        model.load_state_dict(state)
    assert str(raised.value).split("\n") == [
        "load_state_dict: 4 things do not fit Sequential; nothing was loaded",
        "  missing: 1.bias float32[2]",
        "  unexpected: 2.weight float32[1, 2]",
        "  shape: 0.bias is [5], the module has [4]",
        "  dtype: 1.weight is complex128, the module has float32",
        "  hint: strict=False loads what fits by name, and returns the names that were left out",
    ]
    for name, tensor in model.state_dict().items():
        np.testing.assert_array_equal(tensor.data, before[name])


def test_the_error_is_a_runtime_error_as_torchs_and_one_misfit_is_one_thing():
    with pytest.raises(RuntimeError, match="one thing does not fit Linear") as raised:
        nn.Linear(2, 2).load_state_dict({"weight": np.zeros((2, 3)), "bias": np.zeros(2)})
    assert "hint" not in str(raised.value)  # strict=False would not help


@pytest.mark.parametrize(
    ("renamed", "hint"),
    [("module.{}", "'module.'; remove it in front"), ("{}", "'0.'; add it in front")],
)
def test_a_prefix_that_is_all_that_differs_is_named(renamed, hint):
    state = {renamed.format(name): t for name, t in nn.Linear(2, 2).state_dict().items()}
    model = nn.Linear(2, 2) if renamed != "{}" else nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(nn.StateDictError, match=hint):
        model.load_state_dict(state)


def test_without_strict_what_fits_is_loaded_and_the_rest_is_returned():
    model = nn.Linear(2, 1)
    found = model.load_state_dict({"weight": np.ones((1, 2)), "other": np.ones(3)}, strict=False)
    assert found == (["bias"], ["other"])
    assert found.missing_keys == ["bias"]
    assert found.unexpected_keys == ["other"]
    assert model.weight.tolist() == [[1.0, 1.0]]
    with pytest.raises(nn.StateDictError, match=r"shape: weight is \[2, 1\], the module has \[1, 2\]"):
        model.load_state_dict({"weight": np.ones((2, 1))}, strict=False)


def test_what_is_no_tensor_or_no_state_is_refused():
    with pytest.raises(nn.StateDictError, match="kind: weight is a str, not a tensor or an array of numbers"):
        nn.Linear(1, 1, bias=False).load_state_dict({"weight": "a"})
    with pytest.raises(TypeError, match="load_state_dict: expected names and tensors, found a list"):
        nn.Linear(1, 1).load_state_dict([eg.ones(1, 1)])
