"""Initial weights: how large random numbers must be for signals to keep their size through the layers.

Each function fills a tensor in place, from a generator of its own or the engine's (`manual_seed`), and returns it.
"""

import math

import numpy as np

from groundup.engine.autograd import no_grad
from groundup.engine.errors import ShapeError
from groundup.engine.ops.rules import Array
from groundup.engine.random import Generator, default_generator
from groundup.engine.tensor import Tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with numbers uniform in [a, b).

    Example:
        >>> 3 <= uniform_(Tensor([0.0]), 3, 4).item() < 4
        True
    """
    numbers = (generator or default_generator).numbers
    return _filled(tensor, numbers.random(tensor.shape, dtype=tensor.dtype) * (b - a) + a)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with normal numbers.

    Example:
        >>> normal_(Tensor([0.0]), mean=5, std=0).item()
        5.0
    """
    numbers = (generator or default_generator).numbers
    return _filled(tensor, numbers.standard_normal(tensor.shape, dtype=tensor.dtype) * std + mean)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return _filled(tensor, np.zeros(()))


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return _filled(tensor, np.ones(()))


def kaiming_uniform_(tensor: Tensor, a: float = 0.0, generator: Generator | None = None) -> Tensor:
    """Fill the weight of a linear map or convolution uniformly in ±√(6 / ((1 + a²) fan_in)) (He et al. 2015).

    Derivation. An output y = Σ wᵢ xᵢ has fan_in terms. If the w are independent, of mean 0 and variance v, then
    E[y²] = fan_in · v · E[x²]. If x came out of max(z, a z) with z symmetric, E[x²] = (1 + a²)/2 · E[z²]: half of the
    numbers are left as they are, half are multiplied by a. For E[y²] = E[z²]:

        v = 2 / ((1 + a²) fan_in)

    Numbers uniform in ±b have variance b²/3, so b = √(3v). With a = √5, torch's choice for its layers, b = 1/√fan_in.

    Args:
        tensor: [out, in, …]; fan_in is the product of all sizes but the first.
        a: slope of the leaky ReLU in front; 0 for ReLU.
        generator: where the numbers come from.

    Example:
        >>> bool(np.abs(kaiming_uniform_(Tensor(np.zeros((8, 100))), a=math.sqrt(5)).data).max() <= 0.1)
        True
    """
    bound = math.sqrt(6 / ((1 + a * a) * max(1, fan_in(tensor))))
    return uniform_(tensor, -bound, bound, generator)


def fan_in(tensor: Tensor) -> int:
    """Return how many inputs each output adds up: the product of all sizes but the first of [out, in, …]."""
    if tensor.ndim < 2:
        raise ShapeError(f"fan_in: a weight is [out, in, …]; {list(tensor.shape)} has no inputs to count")
    return math.prod(tensor.shape[1:])


def _filled(tensor: Tensor, values: Array) -> Tensor:
    with no_grad():  # a leaf that requires a gradient may be written to only here
        return tensor.copy_(values)
