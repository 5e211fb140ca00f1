"""Creation against torch: element types, values, memory."""

import numpy as np
import pytest
import torch

from groundup import engine as eg
from groundup.engine.errors import DTypeError, ShapeError


@pytest.mark.parametrize(
    "program",
    [
        "m.tensor(1)", "m.tensor(1.5)", "m.tensor(True)", "m.tensor([])", "m.tensor([[1, 2], [3, 4]])",
        "m.tensor([1, 2.5])", "m.tensor([True, False])", "m.tensor(1, dtype=m.float64)", "m.tensor(2.7, dtype=m.int64)",
        "m.zeros(2, dtype=float)", "m.zeros(2, dtype=int)", "m.tensor(1e300)", "m.tensor([1, 2]).to(float)",
        "m.zeros(2, 3)", "m.zeros((2, 3))", "m.zeros([2])", "m.zeros(())", "m.zeros(2, dtype=m.int64)", "m.ones(0, 3)",
        "m.full((2, 2), 7)", "m.full((2,), 7.0)", "m.full((2,), True)", "m.full((1,), 1, dtype=m.float64)",
        "m.arange(5)", "m.arange(2, 5)", "m.arange(5, 0, -2)", "m.arange(0, 1, 0.25)", "m.arange(3.0)", "m.arange(0)",
        "m.arange(3, dtype=m.float64)", "m.linspace(0, 1, 5)", "m.linspace(1, 2, 1)", "m.eye(3)", "m.eye(2, 4)",
        "m.zeros_like(m.arange(3))", "m.ones_like(m.zeros(2, dtype=m.float64))", "m.full_like(m.zeros(2), 3)",
        "m.ones_like(m.arange(3), dtype=m.float32)", "m.tril(m.ones(3, 4), 1)", "m.triu(m.ones(2, 3, 3), -1)",
    ],
)  # fmt: skip
def test_values_and_types_are_torchs(program):
    ours, theirs = eval(program, {"m": eg}), eval(program, {"m": torch})
    assert ours.shape == tuple(theirs.shape)
    assert ours.dtype.name == str(theirs.dtype).removeprefix("torch.")
    np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-7)  # float32: one rounding of linspace


def test_tensor_copies_and_from_numpy_does_not():
    array = np.ones(3, np.float32)
    copied, shared, same = eg.tensor(array), eg.from_numpy(array), eg.as_tensor(array)
    array[0] = 5
    assert (copied[0].item(), shared[0].item(), same[0].item()) == (1.0, 5.0, 5.0)
    assert eg.as_tensor(shared) is shared
    assert eg.tensor(np.ones(2)).dtype == np.float64  # an array keeps its type
    with pytest.raises(DTypeError, match="from_numpy: expected an array, found a list"):
        eg.from_numpy([1])


def test_every_creation_can_require_a_gradient():
    for x in (
        eg.tensor([1.0], requires_grad=True),
        eg.zeros(1, requires_grad=True),
        eg.ones(1, requires_grad=True),
        eg.empty(1, requires_grad=True),
        eg.full((1,), 1.0, requires_grad=True),
        eg.eye(1, requires_grad=True),
        eg.arange(1.0, requires_grad=True),
        eg.linspace(0, 1, 1, requires_grad=True),
        eg.zeros_like(eg.ones(1), requires_grad=True),
        eg.randn(1, requires_grad=True),
        eg.rand(1, requires_grad=True),
    ):
        assert x.requires_grad
        assert x.is_leaf


def test_what_is_no_number_is_refused():
    with pytest.raises(ShapeError, match="lists at one depth must be of one length"):
        eg.tensor([[1, 2], [3]])
    for data in ("text", [None], 1 + 2j, np.array(["a"])):
        with pytest.raises(DTypeError, match="truth values, integers or floats"):
            eg.tensor(data)
    with pytest.raises(DTypeError, match="Python objects"):
        eg.tensor([10**30])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: eg.zeros(-1), ShapeError, r"zeros: sizes are whole numbers of 0 or more, found \[-1\]"),
        (lambda: eg.ones(2, 1.5), ShapeError, r"ones: sizes .* found \[2, 1.5\]"),
        (lambda: eg.full((2, -1), 0), ShapeError, "full: sizes"),
        (lambda: eg.eye(-1), ShapeError, "eye: sizes"),
        (lambda: eg.linspace(0, 1, -1), ShapeError, "linspace: sizes"),
        (lambda: eg.arange(0, 5, 0), ValueError, "arange: .* step not 0"),
        (lambda: eg.arange("a"), ValueError, "arange: start, end and step are numbers.*'a'"),
        (lambda: eg.randn(-1), ShapeError, "randn: sizes"),
        (lambda: eg.rand("a"), ShapeError, "rand: sizes"),
        (lambda: eg.randperm(-1), ShapeError, "randperm: sizes"),
        (lambda: eg.randn(2, dtype=eg.int64), DTypeError, "randn: draws float32 or float64, not int64"),
        (lambda: eg.randint(5, 2, (3,)), ValueError, "randint: there is no whole number from 5 up to"),
        (lambda: eg.multinomial(eg.zeros(2, 0), 1), ShapeError, r"multinomial: .* not \[2, 0\]"),
        (lambda: eg.manual_seed(-1), ValueError, "manual_seed: a seed is a whole number of 0 or more, not -1"),
    ],
)
def test_sizes_and_settings_that_cannot_be_are_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()
