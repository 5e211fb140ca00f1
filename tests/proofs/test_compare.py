import math

import pytest
import torch

from groundup.proofs.compare import apart, largest, values_and_gradients_apart
from groundup.proofs.table import Proof, check


def verdict(ours, *, parameters=tuple):
    """What becomes of `ours` held against x · x, by value and gradient, under a generous bound."""
    x = torch.tensor([1.0, 2.0])
    proof = Proof(
        room="toy",
        part="square",
        reference="x * x",
        bound=100.0,
        why="",
        difference=lambda: values_and_gradients_apart(ours, lambda x: x * x, [x], parameters),
    )
    return check(proof).verdict


def squared_with(gradient):
    """A function whose value is x · x, and whose gradient is whatever `gradient` makes of the right one."""

    class Squared(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, upstream):
            return gradient(2 * ctx.saved_tensors[0] * upstream)

    return Squared.apply


def test_the_right_gradient_is_equal():
    assert verdict(squared_with(lambda right: right)) == "equal"


def test_a_nan_gradient_fails():
    assert verdict(squared_with(lambda right: right * math.nan)) == "FAILED"


def test_a_nan_value_fails():
    assert verdict(lambda x: x * x * math.nan) == "FAILED"


def test_a_missing_gradient_of_an_input_fails():
    constant = torch.tensor([1.0, 4.0], requires_grad=True)  # the right value, without looking at x
    assert verdict(lambda x: constant * 1) == "FAILED"


@pytest.mark.parametrize("pair", [(None, torch.ones(2)), (torch.ones(2), None), (torch.full((2,), math.nan),) * 2])
def test_a_missing_or_nan_gradient_of_a_parameter_fails(pair):
    assert verdict(lambda x: x * x, parameters=lambda: [pair]) == "FAILED"


def test_apart_is_the_largest_difference():
    assert apart(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 1.0])) == 3.0
    assert apart(torch.ones(2), torch.ones(1)) == math.inf  # a shape that broadcasts is another shape all the same


@pytest.mark.parametrize("differences", [[math.nan], [0.0, math.nan], [math.nan, 0.0], [1.0, math.nan, 2.0]])
def test_largest_does_not_pass_over_nan(differences):
    assert largest(differences) == math.inf


def test_nothing_compared_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        largest([])
