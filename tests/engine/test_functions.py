"""Reductions, order and movement of tensors with torch's arguments: values, types, shapes and gradients are torch's."""

import warnings

import numpy as np
import pytest
import torch

from groundup import engine as eg
from groundup.engine.errors import DTypeError, GradientError, ShapeError

PROGRAMS = [
    "x.sum()", "x.sum(1)", "x.sum((0, 2), keepdim=True)", "x.sum(dim=-1)", "x.mean()", "x.mean(0, True)", "x.prod()",
    "x.prod(1)", "x.var()", "x.var(1)", "x.var(1, unbiased=False)", "x.var((0, 1), correction=0, keepdim=True)",
    "x.std(2)", "x.std()", "x.logsumexp(1)", "x.logsumexp((0, 2), True)", "x.cumsum(1)", "x.amax()", "x.amax((0, 1))",
    "x.amin(2, True)", "x.max()", "x.min()", "x.max(1).values", "x.min(1, True)[0]", "x.sort(1, True)[0]",
    "x.topk(2, 1)[0]", "x.max(0)[0] * x.min(0)[0]", "m.softmax(x, 1)", "x.log_softmax(-1)", "x.relu()", "x.sigmoid()",
    "x.reshape(6, 4)", "x.reshape((4, -1))", "x.view(-1)", "x.flatten(1)", "x.flatten(0, 1)", "x.permute(2, 0, 1)",
    "x.permute((1, 0, 2))", "x.transpose(0, -1)", "x.mT", "x[0].T", "x[0].t()", "x.unsqueeze(1).squeeze(1)",
    "x.unsqueeze(-1).expand(-1, 3, 4, 5)", "x[:, :1].expand_as(x)", "x.flip((0, 2))", "x.contiguous()", "x.clone()",
    "x.gather(1, m.tensor([[[0, 1, 2, 1]], [[2, 2, 0, 1]]]))", "x.masked_fill(x > 0, 2.0)", "m.where(x > 0, x, 3.0)",
    "m.where(x > 0, 1.0, 0.0) * x", "x.split(2, 1)[1]", "x.split([1, 3], 2)[1]", "x.chunk(2, -1)[0]", "x.tril()",
    "x.triu(1)", "m.cat([x, x * 2], 1)", "m.stack([x, x * 2], -1)", "m.cat((x, m.ones(2, 3, 4)))",
    "m.outer(x[0, 0], x[0, 1])", "x[..., 1]", "x[:, m.tensor([0, 2])]", "x[x > 0]", "x[None, 0, 1:]", "x.square()",
    "m.maximum(x, x.flip((0,)))", "m.minimum(x, m.tensor(0.1))", "x.clamp(-0.5, 0.5)", "x.clamp(min=0.1)", "x.abs()",
    "x.sin() * x.cos()", "(x * x + 1).log()", "(x * x + 1).sqrt()", "(x * x + 1).rsqrt()", "x**2", "x**3",
    "(x * x + 1) ** x", "2.0**x", "1 / x", "x / (x * x + 1)", "(x * x + 1).reciprocal()",
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_values_and_gradients_are_torchs(program):
    data = np.random.default_rng(0).standard_normal((2, 3, 4))
    ours, theirs = eg.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    y = eval(program, {"m": eg, "x": ours})
    expected = eval(program, {"m": torch, "x": theirs})
    assert y.shape == tuple(expected.shape)
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-12, atol=1e-14)  # float64, few terms
    weights = np.random.default_rng(1).standard_normal(y.shape)
    y.backward(eg.tensor(weights))
    expected.backward(torch.tensor(weights))
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    "program",
    [
        "x.argmax()", "x.argmax(1)", "x.argmin(0, True)", "x.argsort(1)", "x.argsort(-1, descending=True)",
        "x.max(1)[1]",
        "x.topk(2)[1]", "x.sort()[1]", "(x > 0).any()", "(x > 0).all(1)", "(x > 0).sum()", "(x > 0).sum(1)",
        "x.isnan()",
        "x.isfinite()", "~(x > 0)", "(x > 0) & (x < 1)", "(x > 0) | (x < -1)", "x.long().sum(0)", "x.long().prod()",
        "x.long().cumsum(0)", "x.long().max()", "m.where(x > 0, 1, 0)", "x.long().clamp(0.5)",
        "x.long().clamp(0, 1)", "x.long() // 2", "x.long() % -2", "m.cat([x.long(), x])", "x.long() / 2",
    ],
)  # fmt: skip
def test_values_without_gradients_are_torchs(program):
    data = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32)
    y, expected = eval(program, {"m": eg, "x": eg.tensor(data)}), eval(program, {"m": torch, "x": torch.tensor(data)})
    assert y.dtype.name == str(expected.dtype).removeprefix("torch.")
    assert y.tolist() == expected.tolist()
    assert not y.requires_grad


def test_equal_elements_share_or_take_a_gradient_as_in_torch():
    for program in ("x.amax()", "x.max()", "x.amin(0)", "x.max(0)[0]", "m.maximum(x, m.ones(3))"):
        ours, theirs = eg.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
        eval(program, {"m": eg, "x": ours}).sum().backward()
        eval(program, {"m": torch, "x": theirs}).sum().backward()
        assert ours.grad.tolist() == theirs.grad.tolist(), program


@pytest.mark.parametrize("value", [0.0, -np.inf, np.inf, 1000.0, -1000.0])
def test_logsumexp_stands_what_exp_would_not(value):
    data = np.array([[value, value, 0.0], [value, value, value]])
    ours, theirs = eg.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    ours.logsumexp(1).sum().backward()
    theirs.logsumexp(1).sum().backward()
    np.testing.assert_array_equal(ours.logsumexp(1).data, theirs.logsumexp(1).detach().numpy())
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-12)


@pytest.mark.parametrize("zeros", [[], [1], [1, 2]])
def test_the_product_has_a_gradient_where_elements_are_zero(zeros):
    data = np.array([2.0, 3.0, 4.0, 5.0])
    data[zeros] = 0
    ours, theirs = eg.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    ours.prod().backward()
    theirs.prod().backward()
    np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), rtol=1e-14)


@pytest.mark.parametrize(
    "program", ["x.sum(0)", "x.mean(1)", "x.sum()", "x.var(1)", "x.prod()", "x.logsumexp(0)", "x.std(0)"]
)
def test_sums_of_nothing_are_torchs(program):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, about too few degrees of freedom
        expected = eval(program, {"x": torch.zeros(0, 3)})
    np.testing.assert_array_equal(eval(program, {"x": eg.zeros(0, 3)}).data, expected.numpy())


def test_dimensions_that_do_not_exist_are_named():
    x = eg.zeros(2, 3)
    with pytest.raises(ShapeError, match="sum: there is no dimension 2 in a tensor of 2"):
        x.sum(2)
    with pytest.raises(ShapeError, match=r"names a dimension of .* twice"):
        x.sum((0, -2))
    with pytest.raises(ShapeError, match=r"amax: of no elements.*\[0, 3\]"):
        eg.zeros(0, 3).max()
    with pytest.raises(ShapeError, match=r"split: sizes .* do not add up to 3"):
        x.split([1, 1], 1)
    with pytest.raises(ShapeError, match="cat: no tensors"):
        eg.cat([])


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        ("m.relu(5)", DTypeError, "relu: expected a tensor, found int"),
        ("m.exp(3.0)", DTypeError, "exp: expected a tensor, found float"),
        ("m.exp(np.ones(3))", DTypeError, "exp: expected a tensor, found ndarray"),
        ("m.sum([1, 2])", DTypeError, "sum: expected a tensor, found list"),
        ("m.add(1, 2)", DTypeError, "add: int and int do not go together"),
        ("m.cat([x, 3])", DTypeError, "cat: expected a tensor, found Tensor and int"),
        ("x.sum().backward(2.0)", GradientError, "requires no gradient"),
        ("x.clamp('a')", DTypeError, "clamp: a bound is a number, not str"),
        ("x.clamp()", ValueError, "clamp: neither min nor max"),
        ("x.long().softmax(0)", DTypeError, "softmax: a tensor of int64"),
        ("x.long().mean()", DTypeError, "mean: not defined for int64"),
        ("x.long() // 0", ZeroDivisionError, "floor_divide: int64 divided by 0"),
        ("x.long() % m.tensor([0, 1, 2])", ZeroDivisionError, "remainder: int64 divided by 0"),
        ("~x", DTypeError, "~: defined for truth values, such as x > 0, not for float32"),
        ("x.long() & 1", DTypeError, "&: defined for truth values, .* not for int64"),
        ("(x > 0) | 1", DTypeError, r"\|: defined for truth values, .* not for int"),
        ("m.topk(x, 4)", ShapeError, r"topk: k is 4, and dimension -1 of \[2, 3\] has 3"),
        ("m.topk(x, -1)", ShapeError, "topk: k is -1"),
        ("x.view(4)", ShapeError, r"view: \[2, 3\] holds 6 numbers"),
        ("m.where(1, x, x)", DTypeError, "where: expected a tensor, found int"),
        ("m.gather(x, 0, [[0]])", DTypeError, "gather: expected a tensor, found list"),
        ("x.masked_fill([[True]], 0)", DTypeError, "masked_fill: expected a tensor, found list"),
        ("x.masked_fill(x > 0, x)", DTypeError, "masked_fill: value is a number, not Tensor; see where"),
        ("x.chunk(0)", ShapeError, "chunk: 0 pieces"),
        ("x[0].tril()", ShapeError, r"tril: \[3\] holds no matrix"),
        ("x[None].T", ShapeError, r"t: \[1, 2, 3\] is no matrix; use mT"),
    ],
)
def test_what_is_wrong_is_named(program, error, message):
    with pytest.raises(error, match=message):
        eval(program, {"m": eg, "np": np, "x": eg.zeros(2, 3)})


def test_a_gradient_that_is_no_tensor_is_refused():
    with pytest.raises(DTypeError, match="backward: expected a tensor, found float"):
        (eg.ones(2, requires_grad=True) * 2).sum().backward(2.0)
