"""Matrices of few bits laid out in float32 by compiled code: what products with many rows multiply by."""

from typing import Any

import numpy as np

from groundup.quantization.compiler import carray, compiled
from groundup.quantization.row_products import (
    GROUP,
    INT4,
    INT8_ROWS,
    KIND,
    MINIMUM,
    ROWS,
    SCALE,
    WEIGHTS,
    WIDTH,
    floats_at,
    half,
    pointer,
)


@compiled()
def _widen_int4(address: int, s: Any, low: Any, wide: Any, n: int) -> None:  # noqa: ANN401
    """Write a group: q s + low; `n` is 16, half a block, but an argument, lest LLVM unrolls what vectors could do."""
    packed = carray(pointer(address), len(wide) // 2, np.uint8)
    for b in range(len(wide) // 32):
        both, left, right = packed[16 * b : 16 * b + n], wide[32 * b : 32 * b + n], wide[32 * b + 16 : 32 * b + 16 + n]
        for i in range(n):
            left[i] = np.float32(np.uint8(both[i] & np.uint8(15))) * s + low
            right[i] = np.float32(np.uint8(both[i] >> np.uint8(4))) * s + low


@compiled("void(int64[::1], int64, int64, float32[:, ::1])")
def widen(m: Any, first: int, last: int, out: Any) -> None:  # noqa: ANN401
    """Write rows first … last of matrix `m`, in 8 or 4 bits, to out [last - first, I]; without the input scale."""
    n_rows, width, size = m[ROWS], m[WIDTH], m[GROUP]
    if m[KIND] == INT8_ROWS:
        scale, minimum = floats_at(m[SCALE], n_rows), floats_at(m[MINIMUM], n_rows)
        q = carray(pointer(m[WEIGHTS]), n_rows * width, np.int8)
        for row in range(first, last):
            values, wide, s = q[row * width : (row + 1) * width], out[row - first], scale[row]
            low = np.float32(0) if m[MINIMUM] == 0 else minimum[row]
            for i in range(width):
                wide[i] = np.float32(values[i]) * s + low
        return
    groups = width // size
    scales = carray(pointer(m[SCALE]), n_rows * groups, np.uint16)
    minima = carray(pointer(m[MINIMUM]), n_rows * groups, np.uint16)
    for row in range(first, last):
        for g in range(groups):
            s, begin = half(scales[row * groups + g]), row * width + g * size
            wide = out[row - first, g * size : (g + 1) * size]
            if m[KIND] == INT4:
                _widen_int4(m[WEIGHTS] + begin // 2, s, half(minima[row * groups + g]), wide, 16)
            else:
                values = carray(pointer(m[WEIGHTS] + begin), size, np.int8)
                for i in range(size):
                    wide[i] = np.float32(values[i]) * s
