"""Every operation in ops/: finite differences, the adjoint identity, and torch; and proof that these find errors."""

import importlib
import inspect
import pkgutil
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.engine import ops
from groundup.engine.ops import elementwise
from groundup.engine.ops.rules import Result
from groundup.proofs import engine_draws as draws
from groundup.proofs.engine_cases import Case, Choices
from groundup.proofs.engine_operations import TABLE, Row, drawn, law_difference, torch_difference

LAWS = 1e-6
"""Of central differences at their best step the error is 2.4e-11 where values and third derivatives are near 1; here
both go up to about 30, and the largest error seen is 4e-10."""
FLOAT64, FLOAT32 = 1e-13, 1e-5
"""Rounding, 1.1e-16 and 6e-8, of sums of up to about 60 numbers, of which some are larger than the sum."""


def choices(data):
    return Choices(lambda low, high: data.draw(st.integers(low, high)))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
@given(data=st.data())
@settings(deadline=None, max_examples=25, derandomize=True)
def test_torch_has_the_same_values_and_gradients(row, data):
    case = row.draw(choices(data))
    assert torch_difference(row, case, np.float64) <= FLOAT64
    assert torch_difference(row, case, np.float32) <= FLOAT32


@pytest.mark.parametrize("row", [row for row in TABLE if row.is_differentiable], ids=lambda row: row.name)
@given(data=st.data())
@settings(deadline=None, max_examples=12, derandomize=True)
def test_backward_agrees_with_central_differences_and_the_adjoint_identity(row, data):
    assert law_difference(row, row.draw(choices(data))) <= LAWS


def test_no_operation_is_missing_from_the_table():
    modules = [importlib.import_module(f"{ops.__name__}.{found.name}") for found in pkgutil.iter_modules(ops.__path__)]
    operations = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__annotations__.get("return") is Result and not name.startswith("_")
    }
    assert len(operations) > 60
    missing = {f"{op.__module__}.{op.__name__}" for op in operations - {row.op for row in TABLE}}
    assert not missing, f"add a row to proofs/engine_operations.py for {missing}"


@pytest.mark.parametrize("kind", ["zero-size", "broadcast", "out of order in memory", "a single number"])
def test_the_cases_are_of_all_kinds(kind):
    found = {
        "zero-size": lambda case: any(x.size == 0 for x in case.inputs),
        "broadcast": lambda case: case.inputs[0].shape != case.inputs[1].shape,
        "out of order in memory": lambda case: any(not x.flags.c_contiguous for x in case.inputs),
        "a single number": lambda case: any(x.ndim == 0 for x in case.inputs),
    }[kind]
    assert any(found(case) for case in drawn(Row(elementwise.add, torch.add, draws.two), 30))


def square(forward=np.square, backward=lambda a, dy: 2 * a * dy):
    def op(a):
        return forward(a), (lambda dy: backward(a, dy),)

    return Row(op, torch.square, draws.one())


CASE = Case((np.array([[1.0, -2.0, 3.0, 0.5]]),))


def test_the_right_rule_passes():
    assert torch_difference(square(), CASE, np.float64) == 0
    assert law_difference(square(), CASE) < 1e-9


@pytest.mark.parametrize(
    "backward",
    [
        lambda a, dy: 2.00001 * a * dy,
        lambda a, dy: 2 * a * dy * np.array([1, 1, 1, np.nan]),
        lambda a, dy: 2 * a * dy * np.array([1, 1, 1, 0]),
        lambda a, dy: 2 * a * np.abs(dy),
        lambda a, dy: 2 * a * dy.sum(),
    ],
    ids=["0.001 % off", "NaN", "zero", "not linear", "mixed up"],
)
def test_a_wrong_rule_is_found_by_torch_and_by_the_laws(backward):
    row = square(backward=backward)
    assert not torch_difference(row, CASE, np.float64) <= FLOAT64
    assert not law_difference(row, CASE) <= LAWS


@pytest.mark.parametrize(
    "row",
    [
        square(forward=lambda a: a * a * 1.0001),
        square(forward=lambda a: np.square(a).astype(np.float32)),
        square(forward=lambda a: np.square(a)[0]),
        square(backward=lambda a, dy: (2 * a * dy)[0]),
        square(backward=lambda a, dy: (2 * a * dy).astype(np.float32)),
        Row(lambda a: (a * a, (None,)), torch.square, draws.one()),
        Row(lambda a: (a > 0, (lambda dy: dy,)), lambda a: a > 0, draws.one()),
    ],
    ids=["value", "dtype", "shape", "gradient's shape", "gradient's dtype", "no rule", "a rule too many"],
)
def test_what_else_torch_finds(row):
    assert torch_difference(row, CASE, np.float64) > FLOAT64


def test_an_operation_that_changes_its_input_is_found():
    def op(a):
        a *= a
        return a, (lambda dy: dy,)

    with pytest.raises(ValueError, match="read-only"):
        [torch_difference(Row(op, torch.square, draws.one()), case, np.float64) for case in drawn(square(), 3)]


@pytest.mark.parametrize("row", [row for row in TABLE if row.is_differentiable], ids=lambda row: row.name)
def test_rules_pass_infinities_and_nan_on_without_a_warning(row):
    """Training that diverges shall show inf or NaN in a gradient, which tools look for, and not stop in a rule."""
    for case in drawn(row, 3):
        y, rules = row.op(*case.inputs, **case.settings)
        with warnings.catch_warnings(), np.errstate(all="ignore"):  # as in the backward pass
            warnings.simplefilter("error")
            for dy in (np.full_like(y, np.inf), np.full_like(y, np.nan)):
                assert all(
                    rule is None or rule(dy).shape == x.shape for rule, x in zip(rules, case.inputs, strict=True)
                )
