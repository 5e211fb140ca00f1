import numpy as np
import pytest

from groundup.engine.autograd import apply
from groundup.engine.errors import DTypeError, GradientError
from groundup.engine.gradcheck import EPS, adjoint_gap, gradcheck, largest_error
from groundup.engine.tensor import Tensor


def leaf(*numbers, dtype=np.float64):
    return Tensor(np.array(numbers, dtype), requires_grad=True)


def cubed(factor=1.0):
    """a³, with a rule that is `factor` times the right one at the second place."""

    def cube(a):
        off = np.array([1.0, factor])
        return a**3, (lambda dy: 3 * a * a * dy * off,)

    return lambda x: apply(cube, x)


def test_the_right_gradient_passes():
    assert gradcheck(cubed(), [leaf(1.0, 2.0)])
    assert largest_error(cubed(), [leaf(1.0, 2.0)]) < 1e-9
    assert adjoint_gap(cubed(), [leaf(1.0, 2.0)]) < 1e-9


def test_a_wrong_gradient_is_named_with_input_place_and_values():
    x = Tensor(np.array([1.0, 2.0]))  # requires no gradient: input 1 is the one that is wrong
    with pytest.raises(GradientError, match=r"input 1 at \[1\]: backward gives .*, central differences .*1 of 2"):
        gradcheck(lambda a, b: cubed(1.00001)(b) + a, [x, leaf(1.0, 2.0)])
    assert largest_error(cubed(1.00001), [leaf(1.0, 2.0)]) > 1e-6
    assert adjoint_gap(cubed(1.00001), [leaf(1.0, 2.0)]) > 1e-6


@pytest.mark.parametrize("factor", [np.nan, np.inf])
def test_a_gradient_that_is_not_a_number_fails(factor):
    with pytest.raises(GradientError):
        gradcheck(cubed(factor), [leaf(1.0, 2.0)])
    assert largest_error(cubed(factor), [leaf(1.0, 2.0)]) == np.inf


def test_a_function_whose_result_forgets_its_input_fails():
    with pytest.raises(GradientError, match="backward gives 0"):
        gradcheck(lambda x: x.detach() * x.detach(), [leaf(1.0, 2.0)])


def test_several_outputs_count_together():
    assert gradcheck(lambda x: (x * 2.0, cubed()(x)), [leaf(1.0, 2.0)])
    with pytest.raises(GradientError):
        gradcheck(lambda x: (x * 2.0, cubed(1.1)(x)), [leaf(1.0, 2.0)])


def test_inputs_are_left_as_they_were():
    x = leaf(1.0, 2.0)
    gradcheck(cubed(), [x])
    assert x.tolist() == [1.0, 2.0]
    assert x.grad is None


def test_float32_is_refused():
    with pytest.raises(DTypeError, match="input 0 is float32; only float64"):
        gradcheck(cubed(), [leaf(1.0, 2.0, dtype=np.float32)])


def test_a_check_that_would_check_nothing_is_refused():
    for check in (gradcheck, largest_error):
        with pytest.raises(GradientError, match="no input requires a gradient"):
            check(cubed(), [Tensor(np.ones(2))])


def test_an_output_without_gradient_is_refused():
    with pytest.raises(DTypeError, match="output 0 is bool"):
        gradcheck(lambda x: x > 1.5, [leaf(1.0, 2.0)])


def test_the_error_of_central_differences_is_as_derived():
    def error(eps):  # of exp at 0, whose value and derivatives are all 1, so E(ε) = ε²/6 + rounding
        return abs((np.exp(eps) - np.exp(-eps)) / (2 * eps) - 1)

    # Far above the best step the error is ε²/6, to within its next term; there it is at most ε²/2 = 2.4e-11.
    assert error(1e-2) == pytest.approx(1e-4 / 6, rel=1e-4)
    assert error(1e-3) == pytest.approx(1e-6 / 6, rel=1e-4)
    assert error(EPS) <= EPS**2 / 2
    assert pytest.approx(6.93e-6, rel=1e-3) == EPS
