"""Dropout: some numbers set to zero at random while training, so that no part can rely on another being there."""

import numpy as np

from groundup.engine.errors import DTypeError
from groundup.engine.ops.rules import Array, Result


def dropout(x: Array, *, p: float, generator: np.random.Generator) -> Result:
    """Return x with each number zeroed with probability p, and the others divided by 1 - p (Srivastava et al. 2014).

    With m = 1 where a number stays and 0 where not, y = m x / (1 - p). Since E[m] = 1 - p, E[y] = x: nothing need be
    rescaled when dropout is turned off. y is linear in x, so dx = m dy / (1 - p). Only m is kept, a byte for a number.
    One state of the generator gives one m, whatever the values and strides of x.

    Raises:
        ValueError: unless p is from 0 to 1.
        DTypeError: for numbers that are not floats.

    Example:
        >>> y, (rule,) = dropout(np.ones(6), p=0.5, generator=np.random.default_rng(1))
        >>> y.tolist(), rule(np.ones(6)).tolist()
        ([0.0, 2.0, 2.0, 2.0, 0.0, 0.0], [0.0, 2.0, 2.0, 2.0, 0.0, 0.0])
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}; it must be a probability, from 0 to 1")
    if x.dtype.kind != "f":
        raise DTypeError(f"dropout: a tensor of {x.dtype} cannot be scaled by 1 / (1 - p); convert it to floats")
    stays = np.asarray(generator.random(x.shape, dtype=np.float32) >= p)  # float32: half the time of float64
    scale = x.dtype.type(1 / (1 - p) if p < 1 else 0)

    def rule(dy: Array) -> Array:
        dx = np.multiply(dy, stays)
        return np.multiply(dx, scale, out=dx) if dx.ndim else np.asarray(dx * scale)

    return rule(x), (rule,)
