"""Changes in place: what is refused, what is noticed by the backward pass, and what gives torch's gradients."""

import numpy as np
import pytest
import torch

from groundup import engine as eg
from groundup.engine import changes
from groundup.engine.errors import DTypeError, GradientError, ShapeError


def leaf(*shape, seed=0):
    return eg.Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


def both(program, *shapes):
    """Run a program on the engine and on torch, from the same leaves; return both lists of gradients."""
    ours = [leaf(*shape, seed=i) for i, shape in enumerate(shapes)]
    theirs = [torch.tensor(x.data, requires_grad=True) for x in ours]
    program(eg, *ours).backward()
    program(torch, *theirs).backward()
    return [x.grad.data for x in ours], [x.grad.numpy() for x in theirs]


@pytest.mark.parametrize("change", ["x.add_(1)", "x.mul_(2)", "x.zero_()", "x[0] = 1", "x += 1", "x.copy_(x * 2)"])
def test_a_leaf_is_changed_outside_the_record_only(change):
    x = leaf(3)
    with pytest.raises(GradientError, match=r"in-place change of a leaf.*no_grad"):
        exec(change)
    before = x.data.copy()
    same = x
    with eg.no_grad():
        exec(change, {}, names := {"x": x})
    assert names["x"] is same
    assert same.requires_grad
    assert same.is_leaf
    assert (same.data != before).any()


def test_a_view_of_a_leaf_is_protected_like_the_leaf():
    x = leaf(3, 4)
    for view in (x[0], x.T, x.reshape(12), x.T[1]):
        with pytest.raises(GradientError, match="a view of a leaf"):
            view.mul_(2)


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("exp", lambda x: x.exp()),
        ("tanh", lambda x: x.tanh()),
        ("multiply", lambda x: x * x),
        ("log", lambda x: (x * x).log()),
        ("matmul", lambda x: x @ x.T),
    ],
)
@pytest.mark.parametrize("through_view", [False, True])
def test_the_operation_whose_array_was_changed_is_named(name, run, through_view):
    inner = leaf(3, 3) * 2
    y = run(inner)
    changed = inner if name in ("multiply", "matmul") else y if name != "log" else None
    if changed is None:
        base = leaf(3, 3) * 2
        y, changed = base.log(), base
    total = y.sum()
    with eg.no_grad():
        (changed[0] if through_view else changed).add_(1.0)
    with pytest.raises(GradientError, match=rf"'{name}' needs an array of shape \[3, 3\].*changed in place"):
        total.backward()


def test_a_change_of_what_no_rule_keeps_is_no_error():
    x = leaf(3)
    y = x * 2  # keeps 2, not x, and not y
    z = (y + 1).sum()
    y.add_(5)
    z.backward()
    assert x.grad.tolist() == [2.0] * 3


def test_a_change_before_the_operation_is_no_error():
    x = leaf(3)
    y = x * 2
    y.add_(1)
    y.exp().sum().backward()
    np.testing.assert_allclose(x.grad.data, 2 * np.exp(2 * x.data + 1), rtol=1e-14)  # float64, three roundings


@pytest.mark.parametrize(
    ("program", "shapes"),
    [
        (lambda m, x: (x * 1).add_(x, alpha=3).exp().sum(), [(4,)]),
        (lambda m, x, y: (x * 1).mul_(m.tanh(y)).sum(), [(2, 3), (3,)]),
        (lambda m, x, y: (x * 1).sub_(y).div_(m.exp(y)).sum(), [(2, 3), (2, 1)]),
        (lambda m, x: (x * 3).clamp_(-0.5, 0.5).sum(), [(20,)]),
        (lambda m, x, y: (x * 1).copy_(y).sum() + (x * x).sum(), [(2, 3), (3,)]),
    ],
)
def test_recorded_changes_give_torchs_gradients(program, shapes):
    for ours, theirs in zip(*both(program, *shapes), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)  # float64 rounding


@pytest.mark.parametrize("key", [0, -1, slice(1, 3), (slice(None), 1), [0, 2], (slice(None), None, 1), ...])
def test_writing_to_places_gives_torchs_gradients(key):
    def program(module, x, value):
        y = x * 2
        y[key] = value.sum() * 3
        return (y * y).sum()

    def into_fresh(module, x):
        y = module.zeros(3, 4, dtype=module.float64)
        y[key] = module.exp(x)[key]
        return (y * y).sum()

    for ours, theirs in zip(*both(program, (3, 4), (2,)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    for ours, theirs in zip(*both(into_fresh, (3, 4)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_writing_takes_masks_tensors_and_views():
    x = eg.zeros(4)
    x[eg.tensor([True, False, True, False])] = 5.0
    x[eg.tensor([1])] = 7
    x[2:].mul_(2)
    assert x.tolist() == [5.0, 7.0, 10.0, 0.0]


def test_a_tensor_whose_numbers_were_changed_through_another_is_not_used_with_an_old_history():
    x = leaf(3)
    y = x * 2
    view = y[1:]
    y.mul_(3)
    with pytest.raises(GradientError, match=r"exp: .*made by 'index'.*take the view again"):
        view.exp()
    y[1:].exp().sum().backward()  # taken again
    assert x.grad.tolist()[0] == 0.0
    y, other = x * 2, x * 2
    y[1:].mul_(3)
    with pytest.raises(GradientError, match="made by 'multiply'"):
        y.sum()
    other.sum()


def test_retained_gradients_stay_with_the_tensor_that_was_changed():
    x = leaf(3)
    y = x * 2
    y.retain_grad()
    y.add_(1)
    (y * 5).sum().backward()
    assert y.grad.tolist() == [5.0] * 3


def test_what_does_not_fit_is_refused_by_name():
    with pytest.raises(ShapeError, match=r"add_: a value of shape \[2, 3\] does not broadcast to \[3\]"):
        eg.zeros(3).add_(eg.ones(2, 3))
    with pytest.raises(ShapeError, match=r"setitem: a value of shape \[2\] does not broadcast to \[3\]"):
        eg.zeros(2, 3)[0] = eg.ones(2)
    with pytest.raises(IndexError, match=r"setitem: 5 is out of range for dimension 0 of \[2, 3\]"):
        eg.zeros(2, 3)[5] = 1
    with pytest.raises(DTypeError, match=r"add_: a result of float64 cannot be kept in a tensor of int64"):
        eg.arange(3).add_(0.5)
    with pytest.raises(DTypeError, match="divide_"):
        eg.arange(3).div_(2)
    with pytest.raises(GradientError, match="expanded view"):
        eg.zeros(1, 3).expand(2, 3).add_(1)


def test_without_a_record_nothing_is_copied():
    x = eg.ones(3)
    data = x.data
    x += 1
    x.mul_(eg.tensor([1.0, 2.0, 3.0], dtype=eg.float64)).sub_(1).div_(2)
    assert x.data is data
    assert x.dtype == eg.float32
    assert x.tolist() == [0.5, 1.5, 2.5]


def test_changes_of_memory_that_is_gone_are_forgotten():
    before = len(changes._changed)
    for _ in range(10):
        eg.ones(3).add_(1)
    assert len(changes._changed) == before


@pytest.mark.parametrize(
    "key", ["[0, :, [1, 2]]", "[:, [0, 2], 1]", "[[0, 1], :, [2, 2]]", "[1, None, 1:, 3]", "[x > 0]"]
)
def test_a_key_means_the_same_places_to_write_to_as_to_read(key):
    # NumPy puts the dimensions of x[0, :, [1, 2]] in another order than torch
    data = np.random.default_rng(0).standard_normal((2, 3, 4))
    grads = []
    for m in (eg, torch):
        x, leaf = m.tensor(data), m.tensor(data, requires_grad=True)
        y = leaf * 1
        shape = tuple(eval(f"x{key}", {"x": x}).shape)
        value = m.tensor(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), requires_grad=True)
        exec(f"x{key} = value", {"x": x, "value": value.detach()})
        exec(f"y{key} = value * value", {"x": leaf.detach(), "y": y, "value": value})
        (y * m.tensor(data + 1)).sum().backward()
        grads.append((x.tolist(), leaf.grad.tolist(), value.grad.tolist()))
    assert grads[0] == grads[1]


def test_what_cannot_be_written_or_is_no_place_is_named():
    x = eg.zeros(2, 3)
    with pytest.raises(DTypeError, match="setitem: numbers can be written, str cannot"):
        x[0, 0] = "a"
    with pytest.raises(DTypeError, match="multiply_: numbers can be written, NoneType cannot"):
        x.mul_(None)
    with pytest.raises(IndexError, match=r"5 is out of range for dimension 0 of \[2, 3\]"):
        x[5] = 1
    with pytest.raises(IndexError, match=r"7 is out of range for dimension 1 of \[2, 3\]"):
        x[:, eg.tensor([7])] = 1
    with pytest.raises(ShapeError, match=r"3 indices .* for the 2 dimensions"):
        x[0, 0, 0] = 1
    with pytest.raises(DTypeError, match=r"1\.0 cannot index"):
        x[1.0] = 1
