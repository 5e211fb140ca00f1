"""The error function and the normal distribution by hand: rational approximations, as no closed form exists.

erf(x) = 2/√π ∫₀ˣ e^(-t²) dt        Φ(x) = ½ (1 + erf(x/√2)): the share of a normal distribution below x
"""

import math

import numpy as np

from groundup.engine.ops.rules import Array

# W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23 (1969). Highest
# power first. For |x| <= 0.46875 erf(x) = x P(x²)/Q(x²); above, erfc(x) = 1 - erf(x) = e^(-x²) P(x)/Q(x).
# fmt: off
_SMALL_P = (
    1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3,
)
_SMALL_Q = (
    1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3,
)
_LARGE_P = (
    2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
    8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3,
)
_LARGE_Q = (
    1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
    3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3,
)
# fmt: on
_FROM_HERE_ONE = 6.0  # erfc(6) = 2e-17 is less than half a step of float64 at 1

# C. Hastings, "Approximations for Digital Computers" (1955), as 7.1.26 in Abramowitz and Stegun, "Handbook of
# Mathematical Functions" (1964): erfc(x) = e^(-x²) (a₁t + … + a₅t⁵), t = 1/(1 + px), x >= 0, wrong by at most 1.5e-7.
_HASTINGS_P = 0.3275911
_HASTINGS_A = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def erf(x: Array) -> Array:
    """Return the error function of every element, to four steps of its type.

    Example:
        >>> abs(erf(np.array([0.1, 1.0, -7.0])) - [math.erf(0.1), math.erf(1.0), -1.0]).max() < 3e-16
        np.True_
    """
    size = np.minimum(np.abs(x), x.dtype.type(_FROM_HERE_ONE))
    is_small = size <= 0.46875
    square = np.where(is_small, size * size, x.dtype.type(0))
    small = size * (_polynomial(_SMALL_P, square) / _polynomial(_SMALL_Q, square))
    large = 1 - np.exp(-size * size) * (_polynomial(_LARGE_P, size) / _polynomial(_LARGE_Q, size))
    size = np.where(is_small, small, large)
    return np.asarray(np.copysign(size, x))


def normal_distribution(x: Array) -> tuple[Array, Array]:
    """Return Φ(x) and its derivative φ(x) = e^(-x²/2)/√(2π).

    In float32 a shorter approximation does, good to 3e-7 with rounding, whose exponential is the one that φ needs.

    Example:
        >>> [round(float(a[0]), 6) for a in normal_distribution(np.array([1.0]))]
        [0.841345, 0.241971]
    """
    density = np.multiply(x, x)
    density *= x.dtype.type(-0.5)
    np.exp(density, out=density)
    if x.dtype == np.float32:
        below = _hastings(x, density)
    else:
        below = erf(x * x.dtype.type(math.sqrt(0.5)))
        below *= 0.5
        below += 0.5
    density *= x.dtype.type(1 / math.sqrt(2 * math.pi))
    return below, density


def _hastings(x: Array, exponential: Array) -> Array:
    """Return Φ(x), given e^(-x²/2). Every line works in place: the time goes into reading and writing arrays."""
    one, half = x.dtype.type(1), x.dtype.type(0.5)
    t = np.abs(x)
    t *= x.dtype.type(_HASTINGS_P * math.sqrt(0.5))
    t += one
    np.divide(one, t, out=t)
    tail: Array = t * x.dtype.type(_HASTINGS_A[0])
    for coefficient in _HASTINGS_A[1:]:
        tail += x.dtype.type(coefficient)
        tail *= t
    tail *= exponential
    tail *= half  # Φ(-|x|)
    np.subtract(half, tail, out=tail)
    bits = tail.view(np.uint32)
    bits |= x.view(np.uint32) & np.uint32(1 << 31)  # the sign of x, as np.copysign does in three times the time
    tail += half  # ½ ± (½ - Φ(-|x|))
    return tail


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Return the polynomial with these coefficients, highest power first, by Horner's rule ((a x + b) x + c) …."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += x.dtype.type(coefficient)
    return value
