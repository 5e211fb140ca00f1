"""Tensor: what it holds, how it is written, its operators and promotion, against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup import engine as eg
from groundup.engine.errors import DTypeError, GradientError, ShapeError

DTYPES = ["float32", "float64", "int64", "bool"]


def test_it_holds_an_array_of_the_callers_without_a_copy():
    array = np.arange(6.0).reshape(2, 3)
    x = eg.Tensor(array)
    assert x.data is array
    assert (x.shape, x.ndim, x.dtype, x.numel(), len(x)) == ((2, 3), 2, np.float64, 6, 2)
    assert (x.size(), x.size(-1), x.dim()) == ((2, 3), 3, 2)
    assert x.numpy() is array
    assert np.asarray(x).tolist() == array.tolist()
    assert x.is_leaf
    assert x.grad_fn is None


def test_numbers_go_in_and_out():
    x = eg.tensor([[1.5, 2.0], [3.0, 4.0]])
    assert x[1, 0].item() == 3.0
    assert float(x[0, 0]) == 1.5
    assert int(x[0, 1]) == 2
    assert [1, 2, 3][eg.tensor(1)] == 2
    assert f"{x[0, 0]:.3f}" == "1.500"
    assert [row.tolist() for row in x] == x.tolist()
    assert bool(eg.tensor(0.0)) is False
    with pytest.raises(ShapeError, match=r"shape \[2, 2\] is not one number"):
        x.item()
    with pytest.raises(ShapeError, match="not one number"):
        bool(x)
    with pytest.raises(ShapeError, match="without dimensions"):
        len(eg.tensor(1.0))
    with pytest.raises(TypeError):
        [1, 2][eg.tensor(1.0)]


def test_an_array_does_not_take_a_history_away_unseen():
    x = eg.ones(2, requires_grad=True)
    for get in (x.numpy, lambda: np.asarray(x), lambda: np.array(x * 2)):
        with pytest.raises(GradientError, match=r"x\.detach\(\)\.numpy\(\)"):
            get()
    assert x.detach().numpy() is x.data


def test_only_floats_require_gradients():
    for data in (1, True, np.arange(3)):
        with pytest.raises(DTypeError, match="only floats"):
            eg.tensor(data, requires_grad=True)
    x = eg.ones(2).requires_grad_()
    assert x.requires_grad
    with pytest.raises(GradientError, match=r"detach\(\)"):
        (x * 2).requires_grad = False
    x.requires_grad_(False)
    assert not (x * 2).requires_grad


@pytest.mark.parametrize(
    ("text", "make"),
    [
        ("tensor([[1.0000, 2.5000]], requires_grad=True)", lambda: eg.tensor([[1, 2.5]], requires_grad=True)),
        ("tensor([1., 2.])", lambda: eg.tensor([1.0, 2.0])),
        ("tensor(0.3333, dtype=float64)", lambda: eg.tensor(1 / 3, dtype=eg.float64)),
        ("tensor([1, 2])", lambda: eg.tensor([1, 2])),
        ("tensor([ True, False])", lambda: eg.tensor([True, False])),
        ("tensor([nan, inf])", lambda: eg.tensor([float("nan"), float("inf")])),
        ("tensor([])", lambda: eg.tensor([])),
        ("tensor(2., grad_fn=<multiply>)", lambda: eg.tensor(1.0, requires_grad=True) * 2),
    ],
)
def test_it_is_written_in_torchs_manner(text, make):
    assert repr(make()) == text


def test_a_large_tensor_is_written_in_short():
    assert "..." in repr(eg.zeros(100, 100))
    assert len(repr(eg.zeros(100, 100))) < 1000


OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


@pytest.mark.parametrize("sign", OPERATORS)
@given(data=st.data())
@settings(deadline=None, max_examples=40, derandomize=True)
def test_operators_give_torchs_types_and_numbers(sign, data):
    operator = OPERATORS[sign]

    def operand(scalars):
        if scalars and data.draw(st.booleans()):
            return (number := data.draw(st.sampled_from([2, 3.0, True]))), number
        dtype, shape = data.draw(st.sampled_from(DTYPES)), data.draw(st.sampled_from([(), (3,), (2, 1), (2, 3)]))
        array = np.random.default_rng(data.draw(st.integers(0, 9))).integers(1, 4, shape).astype(dtype)
        return eg.tensor(array), torch.tensor(array)

    (a, x), (b, y) = operand(False), operand(True)
    if data.draw(st.booleans()):
        (a, x), (b, y) = (b, y), (a, x)
    try:
        theirs = operator(x, y)
    except RuntimeError:
        return  # truth values that torch does not subtract or raise to a power
    ours = operator(a, b)
    assert ours.dtype.name == str(theirs.dtype).removeprefix("torch."), (a, b)
    np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-6)  # float32: torch may multiply by a reciprocal


def test_gradients_come_back_in_the_type_of_each_tensor():
    for a, b in (("float32", "float64"), ("float64", "float32"), ("float32", "int64")):
        x = eg.ones(3, dtype=a, requires_grad=True)
        y = eg.ones(3, dtype=b, requires_grad=b != "int64")
        total = (x * y * 2).sum()
        total.backward()
        assert total.dtype == (np.float32 if b == "int64" else np.float64)
        assert x.grad.dtype == x.dtype
        assert b == "int64" or y.grad.dtype == y.dtype


def test_arrays_and_numpy_numbers_may_stand_on_either_side():
    x = eg.tensor([1.0, 2.0])
    for y in (np.ones(2) * x, x * np.ones(2), np.float64(1.0) * x, x + np.float32(0.0), np.ones(2) @ x.double()):
        assert isinstance(y, eg.Tensor)
    assert (np.float64(2.0) * x).dtype == np.float32  # a Python float in all but name
    assert (np.ones(2, np.float32) - x).tolist() == [0.0, -1.0]


def test_what_does_not_go_together_is_said():
    x = eg.ones(2, 3)
    with pytest.raises(ShapeError, match=r"add: shapes \[2, 3\] and \[4\] do not broadcast.*from the right"):
        x + eg.ones(4)
    with pytest.raises(ShapeError, match=r"matmul: shapes \[2, 3\] and \[2, 3\] do not fit.*transpose"):
        x @ x
    with pytest.raises(ShapeError, match=r"matmul: leading sizes of \[2, 3, 3\] and \[4, 3, 3\]"):
        eg.ones(2, 3, 3) @ eg.ones(4, 3, 3)
    with pytest.raises(DTypeError, match="multiply: Tensor and str do not go together"):
        x * "2"
    with pytest.raises(DTypeError, match="add: Tensor and NoneType do not"):
        None + x
    with pytest.raises(DTypeError, match=r"power: a negative power of int64.*float\(\)"):
        eg.arange(1, 3) ** -1
    truth = eg.tensor([True])
    with pytest.raises(DTypeError, match="subtract: not defined for bool and bool"):
        truth - truth
    with pytest.raises(DTypeError, match="negative: of truth values"):
        -truth
    with pytest.raises(DTypeError, match="mean: not defined for int64"):
        eg.arange(3).mean()


def test_zero_over_zero_and_overflow_are_values_and_no_warnings():
    zero = eg.zeros(2, requires_grad=True)
    for y in (zero / zero, 1 / zero, zero.log(), (zero - 1).sqrt(), zero.rsqrt(), (zero + 1e3).exp(), zero**-1):
        assert not y.isfinite().any()
        y.sum().backward()
    assert eg.zeros(0).mean().isnan()


def test_conversion_is_recorded_and_free_where_nothing_changes():
    x = eg.ones(2, requires_grad=True)
    assert x.to(eg.float32) is x
    assert x.float() is x
    y = x.double()
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad.dtype == np.float32
    assert x.long().tolist() == [1, 1]
    assert x.to(bool).dtype == eg.bool
    with pytest.raises(DTypeError, match="no element type"):
        x.to("floaty")
    with pytest.raises(DTypeError, match="complex"):
        x.to(np.complex128)


def test_tensors_are_keys_by_identity():
    x, y = eg.ones(2), eg.ones(2)
    assert len({x: 1, y: 2}) == 2


@pytest.mark.parametrize(
    ("a", "b"),
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((5, 2, 3), (3, 4)),
     ((2, 3), (5, 3, 4)), ((5, 1, 2, 3), (6, 3, 4)), ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((4, 0, 3), (3, 2))],
)  # fmt: skip
def test_products_of_every_mix_of_dimensions_give_torchs_gradients(a, b):
    rng = np.random.default_rng(0)
    x, y = (eg.Tensor(rng.standard_normal(shape), requires_grad=True) for shape in (a, b))
    p, q = (torch.tensor(z.data, requires_grad=True) for z in (x, y))
    ours, theirs = x @ y, p @ q
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-12, atol=1e-15)  # float64 rounding
    (ours * ours).sum().backward()
    (theirs * theirs).sum().backward()
    np.testing.assert_allclose(x.grad.data, p.grad.numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(y.grad.data, q.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_every_method_is_the_function_of_its_name():
    both = [name for name in eg.__all__ if hasattr(eg.Tensor, name)]
    assert len(both) >= 59
    for name in both:
        assert getattr(eg.Tensor, name) is getattr(eg, name)
