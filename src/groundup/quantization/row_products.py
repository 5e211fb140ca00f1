"""Products of the rows of a matrix with a vector, compiled by numba: float32, 8 and 4 bits.

Weights of few bits are multiplied as whole numbers: each group of the vector is rounded to 15 bits and a sign,
x = p t with t = max |x| / 32,767, and with w = q s + m the share of a group in an output is

    Σ x w = s t Σ p q + m t Σ p

Σ p q is exact in int32, by an instruction that multiplies and adds 16 pairs at once (vpmaddwd); the rest is a number a
group. The rounding moves an input by at most 1.5e-5 of the largest in its group, 256 times less than one to int8.

A matrix is a row of a table of int64: see `Column`. Shapes: I columns, O rows, G groups of a row.
"""

from enum import IntEnum
from typing import Any

import numpy as np

from groundup.quantization.compiler import carray, cgutils, compiled, intrinsic, ir, types


class Column(IntEnum):
    """What a row of the table says of its matrix. Addresses are in bytes; whoever calls keeps the memory alive."""

    KIND = 0
    """A `Kind`."""
    WEIGHTS = 1
    """Address of the numbers, by row, as `Int4.packed` or `Int8.values` lay them out."""
    SCALE = 2
    """Address of the scales: float16 [O, G], for int8_rows float32 [O]."""
    MINIMUM = 3
    """Address of what q = 0 stands for, as the scales; 0: nothing."""
    BIAS = 4
    """Address of the bias, float32 [O]; 0: none."""
    INPUT_SCALE = 5
    """Address of what each input is multiplied by first, float32 [I]; 0: nothing."""
    ROWS = 6
    """O."""
    WIDTH = 7
    """I."""
    GROUP = 8
    """Inputs that are rounded by one scale, a multiple of 32; for int4 and int8_groups those of the weights."""


class Kind(IntEnum):
    """How weights are kept."""

    FLOAT32 = 0
    INT8_ROWS = 1
    """A scale for each row."""
    INT8_GROUPS = 2
    INT4 = 3


N_VECTORS = 4
"""Vectors of float32 that a thread needs as room."""
LARGEST = 32_767
"""Of a rounded input: with q of 8 bits, the sum of 128 products is below 2^31."""
TINIEST_BITS = int(np.float32(1e-33).view(np.int32))
"""Bits of the largest |x| below which a block counts as zeros: 32,767 / |x| would leave float32's range at 1e-34."""
KIND, WEIGHTS, SCALE, MINIMUM, BIAS, INPUT_SCALE, ROWS, WIDTH, GROUP = (int(column) for column in Column)
FLOAT32, INT8_ROWS, INT8_GROUPS, INT4 = (int(kind) for kind in Kind)  # numba reads plain numbers
LANES = 8


@intrinsic
def pointer(typing: Any, address: Any) -> Any:  # noqa: ANN401
    """Take an address for a pointer, as numba's carray wants it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@intrinsic
def half(typing: Any, bits: Any) -> Any:  # noqa: ANN401
    """Read 16 bits as float16, which numba lacks: uint16 -> float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.fpext(builder.bitcast(arguments[0], ir.HalfType()), ir.FloatType())

    return types.float32(types.uint16), generate


def _whole_products(bits: int) -> Any:  # noqa: ANN401 - numba's own
    """Return an intrinsic: Σ over blocks of 32 of factor · Σ p q, q of so many bits. LLVM finds no such loop by itself.

    Its arguments: addresses of q, of p (int16) and of the factors (float32, one a block), and how many blocks.
    """

    @intrinsic
    def product(typing: Any, q: Any, p: Any, factors: Any, blocks: Any) -> Any:  # noqa: ANN401
        whole, long, nothing = ir.IntType(32), ir.IntType(64), ir.Undefined
        bytes_, shorts = ir.VectorType(ir.IntType(8), 16), ir.VectorType(ir.IntType(16), 16)
        products, floats = ir.VectorType(whole, 16), ir.VectorType(ir.FloatType(), LANES)
        fast = ("reassoc", "contract", "nsz")

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ANN401
            q, p, factors, blocks = arguments

            def load(kind: Any, base: Any, block: Any, stride: int, offset: int = 0) -> Any:  # noqa: ANN401
                place = builder.add(builder.add(base, builder.mul(block, long(stride))), long(offset))
                return builder.load(builder.inttoptr(place, kind.as_pointer()), align=1)

            def lanes(vector: Any, order: list[int]) -> Any:  # noqa: ANN401
                turn = ir.Constant(ir.VectorType(whole, len(order)), order)
                return builder.shuffle_vector(vector, ir.Constant(vector.type, nothing), turn)

            def halves(block: Any) -> list[Any]:  # noqa: ANN401 - the 32 q of a block, as two int16 [16]
                if bits == 8:
                    return [builder.sext(load(bytes_, q, block, 32, half), shorts) for half in (0, 16)]
                both = load(bytes_, q, block, 16)
                low = builder.and_(both, ir.Constant(bytes_, [15] * 16))
                return [builder.zext(x, shorts) for x in (low, builder.lshr(both, ir.Constant(bytes_, [4] * 16)))]

            total = cgutils.alloca_once_value(builder, ir.Constant(floats, [0.0] * LANES))
            with cgutils.for_range(builder, blocks) as loop:
                sums = []
                for weights, offset in zip(halves(loop.index), (0, 32), strict=True):
                    inputs = load(shorts, p, loop.index, 64, offset)
                    both = builder.mul(builder.sext(weights, products), builder.sext(inputs, products))
                    sums.append(builder.add(lanes(both, list(range(0, 16, 2))), lanes(both, list(range(1, 16, 2)))))
                sum_ = builder.sitofp(builder.add(*sums), floats)
                factor = load(ir.FloatType(), factors, loop.index, 4)
                one = builder.insert_element(ir.Constant(floats, nothing), factor, whole(0))
                share = builder.fmul(sum_, lanes(one, [0] * LANES), flags=fast)
                builder.store(builder.fadd(builder.load(total), share, flags=fast), total)
            vector = builder.load(total)
            for step in (4, 2, 1):
                turned = lanes(vector, [(lane + step) % LANES for lane in range(LANES)])
                vector = builder.fadd(vector, turned, flags=fast)
            return builder.extract_element(vector, whole(0))

        return types.float32(*(types.int64,) * 4), generate

    return product


int8_products = _whole_products(8)
int4_products = _whole_products(4)


@compiled()
def floats_at(address: int, n: int) -> Any:  # noqa: ANN401
    """Return the `n` float32 at an address, in place."""
    return carray(pointer(address), n, np.float32)


@compiled()
def round_inputs(x: Any, blocks: int, size: int, p: Any, room: Any) -> None:  # noqa: ANN401
    """Round `x` [I] by blocks of `size`: p [I], and in room t and t Σ p of each block. NaN makes t NaN; tiniest are 0.

    The size is an argument because LLVM unrolls loops of 32 before it could see a vector in them.
    """
    bits, steps, sums = x.view(np.int32), room[0], room[1]
    largest_bits = steps.view(np.int32)
    for b in range(blocks):
        first = b * size
        block, signs, whole = x[first : first + size], bits[first : first + size], p[first : first + size]
        largest = np.int32(0)  # of positive floats, also infinity and NaN, the order is that of their bits
        for i in range(size):
            largest = max(largest, np.int32(signs[i] & np.int32(0x7FFFFFFF)))
        largest_bits[b] = largest
        inverse = np.float32(LARGEST) / steps[b] if largest > TINIEST_BITS else np.float32(0)
        total = np.int32(0)
        for i in range(size):
            scaled = block[i] * inverse
            nearest = np.int32(scaled + (np.float32(0.5) if scaled > 0 else np.float32(-0.5)))
            whole[i] = nearest
            total = np.int32(total + nearest)
        steps[b] /= np.float32(LARGEST)
        sums[b] = steps[b] * np.float32(total)


@compiled()
def _rows_with_one_scale(m: Any, first: int, last: int, out: Any, room: Any, p: Any) -> None:  # noqa: ANN401
    width, weights, inputs, factors = m[WIDTH], m[WEIGHTS], p.ctypes.data, room.ctypes.data
    scale = floats_at(m[SCALE], m[ROWS])
    for row in range(first, last):
        out[row] = scale[row] * int8_products(weights + row * width, inputs, factors, width // 32)
    if m[MINIMUM] != 0:
        minimum, total = floats_at(m[MINIMUM], m[ROWS]), room[1, : width // 32].sum()
        for row in range(first, last):
            out[row] += minimum[row] * total


@compiled()
def _rows_of_groups(m: Any, first: int, last: int, out: Any, room: Any, p: Any) -> None:  # noqa: ANN401
    width, weights, inputs = m[WIDTH], m[WEIGHTS], p.ctypes.data
    groups, blocks, together = width // m[GROUP], width // 32, m[GROUP] // 32
    scales = carray(pointer(m[SCALE]), m[ROWS] * groups, np.uint16)
    minima = carray(pointer(m[MINIMUM]), m[ROWS] * groups, np.uint16)
    steps, sums, factors = room[0], room[1], room[2]
    place = factors.ctypes.data
    for g in range(groups):
        for b in range(1, together):
            sums[g * together] += sums[g * together + b]
        sums[g] = sums[g * together]  # t Σ p of a whole group
    for row in range(first, last):
        scale, low = scales[row * groups : (row + 1) * groups], np.float32(0)
        if together == 1:
            for g in range(groups):
                factors[g] = half(scale[g]) * steps[g]
        else:
            for g in range(groups):
                for b in range(g * together, (g + 1) * together):
                    factors[b] = half(scale[g]) * steps[b]
        if m[KIND] == INT4:
            minimum = minima[row * groups : (row + 1) * groups]
            for g in range(groups):
                low += half(minimum[g]) * sums[g]
            out[row] = low + int4_products(weights + row * width // 2, inputs, place, blocks)
        else:
            out[row] = int8_products(weights + row * width, inputs, place, blocks)


@compiled("void(int64[::1], int64, int64, float32[::1], float32[::1], float32[:, ::1], int16[::1])")
def product(m: Any, first: int, last: int, x: Any, out: Any, room: Any, p: Any) -> None:  # noqa: ANN401
    """Write rows first … last of matrix `m` times `x` [I], with the bias, to out [O].

    `room` [N_VECTORS, I or more] and `p` [I or more] are the calling thread's alone.
    """
    width = m[WIDTH]
    if m[INPUT_SCALE] != 0:
        input_scale, scaled = floats_at(m[INPUT_SCALE], width), room[3]
        for i in range(width):
            scaled[i] = x[i] * input_scale[i]
        x = scaled
    if m[KIND] == FLOAT32:
        weights = floats_at(m[WEIGHTS], m[ROWS] * width)
        for row in range(first, last):
            w, total = weights[row * width : (row + 1) * width], np.float32(0)
            for i in range(width):
                total += w[i] * x[i]
            out[row] = total
    else:
        round_inputs(x, width // 32, 32, p, room)
        if m[KIND] == INT8_ROWS:
            _rows_with_one_scale(m, first, last, out, room, p)
        else:
            _rows_of_groups(m, first, last, out, room, p)
    if m[BIAS] != 0:
        bias = floats_at(m[BIAS], m[ROWS])
        for row in range(first, last):
            out[row] += bias[row]
