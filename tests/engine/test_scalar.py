"""Value against torch and central differences, on expressions that hypothesis makes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.engine.scalar import Value

STEPS = st.tuples(st.sampled_from("+-*/prtel23"), st.integers(0, 99), st.integers(0, 99))
"""What to do, and with which two of the numbers so far; any of them may be used again."""


def run(steps, start, *, relu, log):
    """Compute the same expression from any kind of number that has operators, exp and tanh; keep it small."""
    values = list(start)
    for kind, i, j in steps:
        a, b = values[i % len(values)], values[j % len(values)]
        match kind:
            case "+":
                values.append(a + b)
            case "-":
                values.append(a - b)
            case "*":
                values.append(a * b)
            case "/":
                values.append(a / (b * b + 1))
            case "p":
                values.append((a * a + 0.5) ** -1.5)
            case "r":
                values.append(relu(2 - a))
            case "t":
                values.append((a / 4).tanh())
            case "e":
                values.append((a.tanh() * 2).exp())
            case "l":
                values.append(log(a * a + 0.25))
            case "2":
                values.append((-a) ** 2 / 8)
            case "3":
                values.append(1 / (3 + a.tanh()) - a)
    return sum(values[len(start) :], values[0])


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(STEPS, min_size=1, max_size=12), st.lists(st.floats(-2, 2, width=16), min_size=3, max_size=3))
def test_gradients_are_torchs(steps, start):
    ours = [Value(x) for x in start]
    result = run(steps, ours, relu=Value.relu, log=Value.log)
    result.backward()
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in start]
    expected = run(steps, theirs, relu=torch.relu, log=torch.log)
    expected.backward()
    # Both compute in float64 with the same formulas; an order of sums or a division may round otherwise. Squares of
    # squares can grow: relative to the largest gradient.
    assert result.data == pytest.approx(expected.item(), rel=1e-11, abs=1e-11)
    gradients = [0.0 if x.grad is None else x.grad.item() for x in theirs]
    scale = max(1.0, *map(abs, gradients))
    assert [x.grad for x in ours] == pytest.approx(gradients, abs=1e-10 * scale)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.lists(STEPS, min_size=1, max_size=6), st.lists(st.floats(-2, 2, width=16), min_size=3, max_size=3))
def test_gradients_are_central_differences(steps, start):
    steps = [step for step in steps if step[0] != "r"] or [("*", 0, 1)]  # at its kink relu has no derivative

    def f(numbers):
        return run(steps, [Value(x) for x in numbers], relu=Value.relu, log=Value.log).data

    values = [Value(x) for x in start]
    run(steps, values, relu=Value.relu, log=Value.log).backward()
    h = 1e-5  # the cube root of float64's rounding, where rounding and curvature err alike
    for i, x in enumerate(start):
        low, high = (f([*start[:i], x + step, *start[i + 1 :]]) for step in (-h, h))
        numeric = (high - low) / (2 * h)
        # The error is h² f‴/6, and at most 1e-16 |f| / h of rounding: third derivatives here stay below 1e4 times the
        # size of f and f' themselves.
        assert values[i].grad == pytest.approx(numeric, rel=1e-5, abs=1e-5 * max(1.0, abs(high)))


def test_reuse_of_a_value_adds_up():
    x = Value(3.0)
    (x * x + x).backward()
    assert x.grad == 2 * 3 + 1


def test_a_diamond_is_passed_once_and_whole():
    x = Value(2.0)
    y = x * 3
    z = y * y + y  # dz/dx = (2y + 1) · 3
    z.backward()
    assert y.grad == 13
    assert x.grad == 39


def test_gradients_add_up_over_backward_until_they_are_set_to_zero():
    x = Value(3.0)
    y = x * x
    y.backward()
    y.backward()  # a second pass over the same record counts again, and only itself
    assert x.grad == 12
    assert y.grad == 2
    x.grad = 0.0
    (x * 5).backward()
    assert x.grad == 5


def test_relu_has_slope_zero_at_zero_as_torchs_has():
    x, t = Value(0.0), torch.zeros((), requires_grad=True)
    x.relu().backward()
    t.relu().backward()
    assert x.grad == t.grad.item() == 0


def test_a_chain_of_fifty_thousand_operations():
    x = Value(1.0)
    y = x
    for _ in range(50_000):
        y = y + 1e-5
    y.backward()
    assert x.grad == 1
    del y  # freed without recursion too


def test_slopes_are_what_was_written_down():
    a, b = Value(6.0, "a"), Value(2.0, "b")
    y = a / b
    assert (y.operation, y.inputs, y.slopes) == ("/", (a, b), (0.5, -1.5))
    assert repr(a) == "Value(data=6, grad=0, name='a')"


@pytest.mark.parametrize("number", [2, np.float32(2), np.float64(2), np.int64(2)])
def test_numbers_of_other_kinds_become_values(number):
    x = Value(3.0)
    for y in (x + number, number + x, x * number, number * x):
        assert isinstance(y, Value)
        assert type(y.data) is float
    assert (number - x).data == -1
    assert (number / x).data == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("compute", "error", "words"),
    [
        (lambda: Value("3"), TypeError, "expected one real number, found '3' (str)"),
        (lambda: Value(True), TypeError, "found True (bool)"),
        (lambda: Value(np.ones(2)), TypeError, "one real number"),
        (lambda: Value(1.0) + None, TypeError, "found None"),
        (lambda: Value(2.0) ** Value(2.0), TypeError, "write (b * a.log()).exp()"),
        (lambda: Value(1.0) / 0, ZeroDivisionError, "1 / 0"),
        (lambda: Value(0.0).log(), ValueError, "log(0)"),
        (lambda: Value(-2.0) ** 0.5, ValueError, "-2 ** 0.5"),
        (lambda: Value(0.0) ** -1, ValueError, "0 ** -1"),
        (lambda: Value(1e3).exp(), OverflowError, "exp(1000)"),
        (lambda: Value(1e200) ** 2, OverflowError, "1e+200 ** 2"),
        (lambda: Value(1.0).draw(max_nodes=0), ValueError, "at least 1, found 0"),
    ],
)
def test_what_cannot_be_computed_is_said(compute, error, words):
    with pytest.raises(error) as raised:
        compute()
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_powers_at_zero_are_torchs_where_they_have_a_slope():
    for n in (0, 1, 2, 1.5):
        x, t = Value(0.0), torch.zeros((), dtype=torch.float64, requires_grad=True)
        (x**n).backward()
        (t**n).backward()
        assert x.grad == t.grad.item()


def test_draw_shows_numbers_and_slopes():
    a, b = Value(2.0, "a"), Value(-3.0, "b")
    loss = (a * b).tanh()
    loss.name = "loss"
    loss.backward()
    text = str(loss.draw())
    assert text.splitlines()[0].split() == ["tanh", "loss", "data", "-1,", "grad", "1"]
    assert f"× {1 - math.tanh(6) ** 2:.4g}" in text
    assert f"grad {b.grad:.4g}" in text
    assert "× -3" in loss.draw().svg()
