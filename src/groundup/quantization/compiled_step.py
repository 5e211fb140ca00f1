"""One token through all blocks of a GPT, as one compiled function: what each thread of a team does of it.

Threads share the rows of each matrix and the heads of each layer, and wait for each other before one reads what another
wrote. Nothing is allocated.
Shapes: D width, L layers, H query heads, G key/value heads, K head width, F inner width, C capacity of the cache.
"""

import math
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from groundup.quantization.compiler import compiled
from groundup.quantization.row_products import product
from groundup.quantization.team import all_here, share_of
from groundup.quantization.vectors import SILU, attend, bend, normalize, rotate


class Size(IntEnum):
    """Places of the numbers that describe a model."""

    LAYERS = 0
    WIDTH = 1
    HEADS = 2
    KV_HEADS = 3
    HEAD_WIDTH = 4
    INNER = 5
    CENTRED = 6
    """1: LayerNorm, 0: RMSNorm."""
    ACTIVATION = 7
    """A `vectors.Bend`."""
    QK_NORM = 8
    """1: queries and keys are normed."""
    ROTATION = 9
    """1: queries and keys are turned."""


LAYERS, WIDTH, HEADS, KV_HEADS, HEAD_WIDTH, INNER, CENTRED, ACTIVATION, QK_NORM, ROTATION = (int(size) for size in Size)
QUERY, KEY, VALUE, OUTPUT, GATE, UP, DOWN = range(7)
MATRICES = 7
"""Rows of the table for each layer, in this order; without SwiGLU that of GATE is not read."""
NORMED, ONE_QUERY, ONE_KEY = 4, 5, 6
"""Vectors of a thread's room, behind the four of `product`."""
N_VECTORS = 7
HEADS_OUT, GATHERED, INNER_OUT, GATE_OUT, ADDED = range(5)
"""Vectors that threads share: queries, keys and values; what attention gathered; the inner ones; what is added to x."""
N_SHARED = 5


class Model(NamedTuple):
    """What a step reads of a model."""

    sizes: Any
    """See `Size`: int64."""
    table: Any
    """The matrices, MATRICES rows a layer: int64 [L · 7, 9], see `row_products.Column`."""
    norms: Any
    """Scale and shift before attention, and before feed-forward: [L, 2, 2, D]."""
    final_norm: Any
    """The same after the last block: [2, D]."""
    qk_norms: Any
    """Scales for queries and for keys, and zeros: [L, 3, K]."""
    epsilon: Any
    """Of all norms: float32."""


class Token(NamedTuple):
    """What a step reads of one token, and where it writes."""

    x: Any
    """The token and its position, embedded [D]; it is overwritten."""
    keys: Any
    """The cache's [L, G, C, K]; this token's are written behind those held."""
    values: Any
    """The same."""
    held: Any
    """Tokens in the cache."""
    cos: Any
    """Of this position [K / 2]; empty without rotation."""
    sin: Any
    """The same."""
    out: Any
    """The hidden state after the final norm [D]."""


class Rooms(NamedTuple):
    """Memory that steps use over and over; M is the length of the longest vector."""

    shared: Any
    """[N_SHARED, M]."""
    vectors: Any
    """[threads, N_VECTORS, M]."""
    whole: Any
    """int16 [threads, M]."""
    scores: Any
    """[threads, C]."""


@compiled()
def attend_heads(layer: int, thread: int, n: int, model: Any, token: Any, rooms: Any) -> None:  # noqa: ANN401
    """Attend in this thread's heads, and write the newest keys and values into the cache."""
    sizes, held = model.sizes, token.held
    H, G, K = sizes[HEADS], sizes[KV_HEADS], sizes[HEAD_WIDTH]
    heads, gathered = rooms.shared[HEADS_OUT], rooms.shared[GATHERED]
    q, k = rooms.vectors[thread, ONE_QUERY, :K], rooms.vectors[thread, ONE_KEY, :K]
    qk_norms, keys, values = model.qk_norms[layer], token.keys[layer], token.values[layer]
    first, last = share_of(H, thread, n)
    for h in range(first, last):
        g = h // (H // G)
        query, key = heads[h * K : (h + 1) * K], heads[(H + g) * K : (H + g + 1) * K]
        v = heads[(H + G + g) * K : (H + G + g + 1) * K]
        if sizes[QK_NORM] == 1:
            normalize(query, qk_norms[0], qk_norms[2], q, 0, model.epsilon)
            normalize(key, qk_norms[1], qk_norms[2], k, 0, model.epsilon)
        else:
            q[:], k[:] = query, key
        if sizes[ROTATION] == 1:
            rotate(q, token.cos, token.sin)
            rotate(k, token.cos, token.sin)
        if h % (H // G) == 0:  # the first of the heads that share them
            keys[g, held], values[g, held] = k, v
        q *= np.float32(1 / math.sqrt(K))
        out = gathered[h * K : (h + 1) * K]
        attend(q, k, v, keys[g, :held], values[g, :held], out, rooms.scores[thread])


@compiled()
def read_token(thread: int, n: int, counter: int, model: Any, token: Any, rooms: Any) -> None:  # noqa: ANN401
    """Do one thread's part, of `n`, of: out = final norm of x after all blocks. `counter`: for `all_here`."""
    sizes, epsilon, x, goal = model.sizes, model.epsilon, token.x, n
    D, F, centred = sizes[WIDTH], sizes[INNER], sizes[CENTRED]
    H, G = sizes[HEADS] * sizes[HEAD_WIDTH], sizes[KV_HEADS] * sizes[HEAD_WIDTH]  # widths of all queries, of all keys
    room, p = rooms.vectors[thread], rooms.whole[thread]
    shared, normed, heads = rooms.shared, room[NORMED, :D], rooms.shared[HEADS_OUT]
    gathered, inner, gate, added = shared[GATHERED], shared[INNER_OUT], shared[GATE_OUT], shared[ADDED]
    first, last = share_of(D, thread, n)
    first_query, last_query = share_of(H, thread, n)
    first_key, last_key = share_of(G, thread, n)
    first_inner, last_inner = share_of(F, thread, n)
    for layer in range(sizes[LAYERS]):
        m, norms = model.table[layer * MATRICES : (layer + 1) * MATRICES], model.norms[layer]
        normalize(x, norms[0, 0], norms[0, 1], normed, centred, epsilon)
        product(m[QUERY], first_query, last_query, normed, heads, room, p)
        product(m[KEY], first_key, last_key, normed, heads[H:], room, p)
        product(m[VALUE], first_key, last_key, normed, heads[H + G :], room, p)
        goal = all_here(counter, goal, n)
        attend_heads(layer, thread, n, model, token, rooms)
        goal = all_here(counter, goal, n)
        product(m[OUTPUT], first, last, gathered, added, room, p)
        x[first:last] += added[first:last]
        goal = all_here(counter, goal, n)
        normalize(x, norms[1, 0], norms[1, 1], normed, centred, epsilon)
        product(m[UP], first_inner, last_inner, normed, inner, room, p)
        if sizes[ACTIVATION] == SILU:
            product(m[GATE], first_inner, last_inner, normed, gate, room, p)
        bend(inner[first_inner:last_inner], gate[first_inner:last_inner], sizes[ACTIVATION])
        goal = all_here(counter, goal, n)
        product(m[DOWN], first, last, inner, added, room, p)
        x[first:last] += added[first:last]
        goal = all_here(counter, goal, n)
    if thread == 0:
        normalize(x, model.final_norm[0], model.final_norm[1], token.out, centred, epsilon)
