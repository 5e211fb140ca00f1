"""What a token passes through beside matrices, compiled by numba: norms, rotation, attention, activations.

The formulas are those of layers/, on float32 vectors. Shapes: K head width, S tokens held.
"""

import math
from enum import IntEnum
from typing import Any

import numpy as np

from groundup.quantization.compiler import compiled, intrinsic, ir, types


class Bend(IntEnum):
    """Activations; silu gates (SwiGLU)."""

    GELU = 0
    GELU_TANH = 1
    RELU = 2
    RELU_SQUARED = 3
    SILU = 4


GELU, GELU_TANH, RELU, RELU_SQUARED, SILU = (int(bend) for bend in Bend)  # numba reads plain numbers
ONE, HALF = np.float32(1), np.float32(0.5)
INV_LN2, LN2 = np.float32(1 / math.log(2)), np.float32(math.log(2))
SQRT_HALF, SQRT_2_PI, CUBIC = np.float32(math.sqrt(0.5)), np.float32(math.sqrt(2 / math.pi)), np.float32(0.044715)
TAYLOR = tuple(np.float32(1 / math.factorial(n)) for n in range(7, -1, -1))
LOWEST = np.float32(-87)
"""exp of less is no normal float32."""


@intrinsic
def _power_of_two(typing: Any, n: Any) -> Any:  # noqa: ANN401
    """Return 2^n by writing the exponent of a float32: int32 -> float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        whole = ir.IntType(32)
        return builder.bitcast(builder.shl(builder.add(arguments[0], whole(127)), whole(23)), ir.FloatType())

    return types.float32(types.int32), generate


@compiled()
def exponential(x: Any) -> Any:  # noqa: ANN401
    """Return e^x = 2^n e^r with |r| <= ln 2 / 2, by seven terms of its series; -87 at least, so that vectors do it."""
    if x < LOWEST:
        x = LOWEST
    if x > -LOWEST:
        x = -LOWEST
    n = np.int32(x * INV_LN2 + (HALF if x > 0 else -HALF))
    r = x - np.float32(n) * LN2
    series = TAYLOR[0]
    for i in range(1, 8):
        series = series * r + TAYLOR[i]
    return series * _power_of_two(n)


@compiled()
def normalize(x: Any, scale: Any, shift: Any, out: Any, centred: int, epsilon: Any) -> None:  # noqa: ANN401
    """Write LayerNorm (centred) or RMSNorm of `x` to `out`."""
    mean, square = np.float32(0), np.float32(0)
    if centred:
        for i in range(len(x)):
            mean += x[i]
        mean /= np.float32(len(x))
    for i in range(len(x)):
        square += (x[i] - mean) * (x[i] - mean)
    inverse = ONE / np.float32(math.sqrt(square / np.float32(len(x)) + epsilon))
    for i in range(len(x)):
        out[i] = (x[i] - mean) * inverse * scale[i] + shift[i]


@compiled()
def rotate(x: Any, cos: Any, sin: Any) -> None:  # noqa: ANN401
    """Turn each plane of a head's `x` [K], columns i and i + K/2, by its angle, in place."""
    half = len(x) // 2
    for i in range(half):
        first, second = x[i], x[i + half]
        x[i], x[i + half] = first * cos[i] - second * sin[i], second * cos[i] + first * sin[i]


@compiled()
def attend(q: Any, k: Any, v: Any, keys: Any, values: Any, out: Any, scores: Any) -> None:  # noqa: ANN401
    """Write what a scaled query takes from held `keys` and `values` [S, K], and the newest `k` and `v`, to `out`."""
    held, width = len(keys), len(q)
    newest = np.float32(0)
    for i in range(width):
        newest += q[i] * k[i]
    largest = newest
    for s in range(held):
        key, score = keys[s], np.float32(0)
        for i in range(width):
            score += q[i] * key[i]
        scores[s] = score
        largest = max(largest, score)
    total = exponential(newest - largest)
    for i in range(width):
        out[i] = total * v[i]
    for s in range(held):
        scores[s] = exponential(scores[s] - largest)
    for s in range(held):
        weight, value = scores[s], values[s]
        total += weight
        for i in range(width):
            out[i] += weight * value[i]
    for i in range(width):
        out[i] /= total


@compiled()
def bend(x: Any, gate: Any, kind: int) -> None:  # noqa: ANN401
    """Apply the activation to `x` in place; silu to `gate`, which multiplies x."""
    if kind == SILU:
        for i in range(len(x)):
            x[i] *= gate[i] / (ONE + exponential(-gate[i]))
    elif kind == GELU_TANH:  # (1 + tanh u) / 2 = 1 / (1 + exp(-2 u))
        for i in range(len(x)):
            u = SQRT_2_PI * (x[i] + CUBIC * x[i] * x[i] * x[i])
            x[i] /= ONE + exponential(-(u + u))
    elif kind == GELU:
        for i in range(len(x)):
            x[i] *= HALF * (ONE + np.float32(math.erf(x[i] * SQRT_HALF)))
    else:
        for i in range(len(x)):
            x[i] = x[i] if x[i] > 0 else np.float32(0)
            if kind == RELU_SQUARED:
                x[i] *= x[i]
