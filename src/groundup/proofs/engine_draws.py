"""What each kind of operation takes: inputs and settings, drawn from `Choices`."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from groundup.proofs.engine_cases import Case, Choices, Shape

Draw = Callable[[Choices], Case]


def one(low: float = -2.0, high: float = 2.0) -> Draw:
    """Draw one array, of numbers between low and high."""
    return lambda c: Case(c.numbers(c.shape(), low=low, high=high))


def two(c: Choices) -> Case:
    """Draw two that broadcast."""
    return Case(c.numbers(*c.both(c.shape())))


def two_with(low: float, high: float, *, of: int) -> Draw:
    """Draw two that broadcast, one of them between low and high."""

    def draw(c: Choices) -> Case:
        shapes = c.both(c.shape())
        inputs = [c.numbers(shape)[0] for shape in shapes]
        inputs[of] = c.numbers(shapes[of], low=low, high=high)[0]
        return Case(tuple(inputs))

    return draw


def between_jumps(c: Choices) -> Case:
    """Draw a with fractions 0.25 … 0.75, and b 1 or 2: a / b is never near a whole number, where a remainder jumps."""
    of_a, of_b = c.both(c.shape())
    a = c.numbers(of_a)[0]
    below = np.floor(a)
    return Case((below + 0.25 + (a - below) / 2, (c.places(of_b, 2) + 1).astype("float64")))


def whole(n_inputs: int) -> Draw:
    """Draw one or two arrays of whole numbers -2 … 2, many of them equal."""

    def draw(c: Choices) -> Case:
        shape = c.shape()
        shapes = c.both(shape) if n_inputs == 2 else (shape,)
        return Case(tuple((c.places(shape, 5) - 2).astype("float64") for shape in shapes))

    return draw


def unusual(c: Choices) -> Case:
    """Draw NaN, infinities, 0 and 1."""
    values = np.array([math.nan, math.inf, -math.inf, 0.0, 1.0])
    return Case((values[c.places(c.shape(), 5)],))


def along(c: Choices) -> Case:
    """Draw an array, and one of its dimensions."""
    shape = c.shape(1, 3)
    return Case(c.numbers(shape), {"dim": c.dim(len(shape))})


def reduced(smallest: int, *, one_dim: bool = False, **settings: Sequence[Any]) -> Draw:
    """Draw an array, and dimensions to reduce (one at most, if so) that hold at least `smallest` numbers each."""

    def draw(c: Choices) -> Case:
        least = int(smallest > 1)  # a single number has no variance, and torch warns of that of none
        shape = c.shape(least, smallest=least)
        dim = c.dims(len(shape))
        if one_dim and isinstance(dim, tuple):
            dim = dim[0]
        dims = range(len(shape)) if dim is None else [d % len(shape) for d in ((dim,) if isinstance(dim, int) else dim)]
        sizes = tuple(max(smallest, n) if d in dims else n for d, n in enumerate(shape))
        return Case(c.numbers(sizes), {"dim": dim, **{name: c.one(options) for name, options in settings.items()}})

    return draw


def matmul(c: Choices) -> Case:
    """Draw vectors, matrices and batches of them that broadcast."""
    m, k, n = c.size(), c.size(), c.size()
    left, right = c.both(c.shape(0, 2))
    a = (k,) if c.number(0, 3) == 0 else (*left, m, k)
    b = (k,) if c.number(0, 3) == 0 else (*right, k, n)
    return Case(c.numbers(a, b))


def linear(c: Choices) -> Case:
    """Draw rows, a weight, and a bias or none."""
    i, o = c.size(1), c.size(1)
    return Case(c.numbers((*c.shape(0, 2), i), (o, i), *([(o,)] if c.flag() else [])))


def reshape(c: Choices) -> Case:
    """Draw another shape of as many numbers."""
    shape = c.shape()
    order = list(c.order(len(shape)))
    new = [shape[d] for d in order] + [1] * c.number(0, 1)
    if math.prod(shape) and new and c.flag():
        new[c.number(0, len(new) - 1)] = -1
    return Case(c.numbers(shape), {"shape": tuple(new)})


def view(c: Choices) -> Case:
    """Draw a shape that needs no copy."""
    a = c.numbers(c.shape())[0].copy()  # in order, as a view needs it
    return Case((a,), {"shape": (*a.shape[:1], math.prod(a.shape[1:]), 1) if a.ndim else (1, 1)})


def with_settings(least: int, settings: Callable[[Choices, Shape], dict[str, Any]]) -> Draw:
    """Draw one array of at least so many dimensions, and settings that depend on its shape."""

    def draw(c: Choices) -> Case:
        shape = c.shape(least)
        return Case(c.numbers(shape), settings(c, shape))

    return draw


def expand(c: Choices) -> Case:
    """Draw a shape to expand to, with -1 here and there."""
    target = c.shape()
    start = c.beside(target)
    n_new = len(target) - len(start)
    sizes = tuple(-1 if d >= n_new and start[d - n_new] == n and c.flag() else n for d, n in enumerate(target))
    return Case(c.numbers(start), {"shape": sizes})


def pad(c: Choices) -> Case:
    """Draw padding, negative here and there."""
    shape = c.shape(1, 3, smallest=2)
    pad = tuple(c.number(-1, 2) for _ in range(2 * c.number(1, len(shape))))
    return Case(c.numbers(shape), {"pad": pad, "value": c.one((0.0, 1.5))})


def index(c: Choices) -> Case:
    """Draw a key of any kind."""
    shape = c.shape()
    return Case(c.numbers(shape), {"key": c.key(shape)})


def gather(c: Choices) -> Case:
    """Draw an index that is smaller than the array here and there."""
    shape = c.shape(1, 3, smallest=1)
    dim = c.dim(len(shape))
    sizes = [c.number(0, n) for n in shape]
    sizes[dim] = c.number(0, 5)
    return Case(c.numbers(shape), {"dim": dim, "index": c.places(tuple(sizes), shape[dim])})


def embedding(c: Choices) -> Case:
    """Draw a table and ids, some of them several times."""
    v = c.size(1)
    ids = c.places(c.shape(0, 2), v)
    return Case(c.numbers((v, c.size())), {"ids": ids})


def where(c: Choices) -> Case:
    """Draw two and a condition that broadcast."""
    shapes = c.both(c.shape())
    return Case(c.numbers(*shapes), {"condition": c.mask(c.one(shapes))})


def masked_fill(c: Choices) -> Case:
    """Draw an array and a mask that broadcast."""
    a, mask = c.both(c.shape())
    return Case(c.numbers(a), {"mask": c.mask(mask), "value": c.one((0.5, -1e4))})


def concatenate(c: Choices) -> Case:
    """Draw some that differ in one dimension."""
    shape = list(c.shape(1))
    dim = c.dim(len(shape))
    shapes = []
    for _ in range(c.number(1, 3)):
        shape[dim] = c.size()
        shapes.append(tuple(shape))
    return Case(c.numbers(*shapes), {"dim": dim})


def stack(c: Choices) -> Case:
    """Draw some of one shape."""
    shape = c.shape(0, 2)
    return Case(c.numbers(*[shape] * c.number(1, 3)), {"dim": c.dim(len(shape) + 1)})


def conv2d(c: Choices) -> Case:
    """Draw images, kernels that fit them, and a bias or none."""
    kernel, dilation = (c.number(1, 3), c.number(1, 3)), (c.number(1, 2), c.number(1, 2))
    stride, padding = (c.number(1, 3), c.number(1, 2)), (c.number(0, 2), c.number(0, 1))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    size = tuple(max(1, span - 2 * p) + c.number(0, 2) for span, p in zip(spans, padding, strict=True))
    channels, n_out = c.number(1, 2), c.number(1, 2)
    bias = [(n_out,)] if c.flag() else []
    inputs = c.numbers((c.number(0, 2), channels, *size), (n_out, channels, *kernel), *bias)
    return Case(inputs, {"stride": stride, "padding": padding, "dilation": dilation})


def pool2d(c: Choices) -> Case:
    """Draw images, and a kernel that fits them; windows that overlap, touch or leave gaps."""
    kernel = (c.number(1, 3), c.number(1, 3))
    padding = (c.number(0, kernel[0] // 2), c.number(0, kernel[1] // 2))
    size = tuple(k + c.number(0, 3) for k in kernel)
    stride = None if c.flag() else (c.number(1, 3), c.number(1, 3))
    inputs = c.numbers((c.number(0, 2), c.number(1, 2), *size))
    return Case(inputs, {"kernel_size": kernel, "stride": stride, "padding": padding})


def dropout(c: Choices) -> Case:
    """Draw an array, a probability and a generator."""
    generator = np.random.default_rng(c.number(0, 99))
    return Case(c.numbers(c.shape()), {"p": c.one((0.3, 0.0, 1.0)), "generator": generator})


def attention(c: Choices) -> Case:
    """Draw queries, keys and values of one number of heads or of fewer, and a mask or none, some of it blind."""
    b, heads, groups, t, s, k = c.size(), *c.one(((2, 2), (2, 1), (1, 1))), c.number(1, 3), c.number(1, 3), c.size(1)
    mask = c.one((None, c.mask((t, s)), c.mask((b, 1, t, s))))
    return Case(c.numbers((b, heads, t, k), (b, groups, s, k), (b, groups, s, k)), {"mask": mask})


def normalization(n_parameters: int) -> Draw:
    """Draw rows of at least two numbers, over one dimension or two, and up to so many parameters."""

    def draw(c: Choices) -> Case:
        row = tuple(c.number(2, 4) for _ in range(c.number(1, 2)))
        parameters = [row] * c.number(0, n_parameters)
        inputs = c.numbers((*c.shape(0, 2), *row), *parameters)
        return Case(inputs, {"n_dims": len(row), "eps": c.one((1e-5, 0.1))})

    return draw


def loss(c: Choices) -> Case:
    """Draw two of one shape, the second between 0 and 1."""
    shape = c.shape(smallest=1)
    return Case(
        (*c.numbers(shape), *c.numbers(shape, low=0.1, high=0.9)), {"reduction": c.one(("mean", "sum", "none"))}
    )


def classes(c: Choices) -> Case:
    """Draw rows of scores, and the class of each, some ignored."""
    n, n_classes = c.number(1, 5), c.number(1, 5)
    target = c.places((n,), n_classes)
    target[1:][c.mask((n - 1,))] = -100  # the first counts: the mean of nothing is NaN
    return Case(c.numbers((n, n_classes)), {"target": target, "reduction": c.one(("mean", "sum", "none"))})
