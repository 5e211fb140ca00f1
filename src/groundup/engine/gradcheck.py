"""Gradients held against their definition: central differences, and the adjoint identity.

**Central differences.** Taylor's theorem on both sides of x, for f of one number:

    f(x + ε) = f(x) + ε f'(x) + ε²/2 f''(x) + ε³/6 f'''(x) + …
    f(x - ε) = f(x) - ε f'(x) + ε²/2 f''(x) - ε³/6 f'''(x) + …

Subtracted and divided by 2ε, the even terms cancel:

    (f(x + ε) - f(x - ε)) / 2ε = f'(x) + ε²/6 f'''(x) + O(ε⁴)

One-sided, (f(x + ε) - f(x)) / ε, the error would be ε/2 f''(x): a thousand times as large at ε = 1e-3. But both values
are rounded, each by up to u |f| with u = 2⁻⁵³ = 1.1e-16 in float64, and the quotient by up to u |f| / ε. A smaller ε
makes the first error smaller and the second larger:

    E(ε) = ε²/6 |f'''| + u |f| / ε,      E'(ε) = ε/3 |f'''| - u |f| / ε² = 0      at ε³ = 3 u |f| / |f'''|

With f and f''' of one size, that is ε = ∛(3u) = 7e-6, and E = ε²/6 + ε²/3 = ε²/2 = 2.4e-11. In float32, u = 6e-8, it
would be 1.6e-5: too much to tell a wrong gradient from a right one, so inputs must be float64.

**The adjoint identity.** With J the Jacobian of f at x, a backward pass computes Jᵀw. For any v and w,

    ⟨J v, w⟩ = Σᵢ (Σⱼ Jᵢⱼ vⱼ) wᵢ = Σⱼ vⱼ (Σᵢ Jᵢⱼ wᵢ) = ⟨v, Jᵀ w⟩

and J v is one central difference, along v. So two evaluations test all gradients together, however many there are; but
a failure does not say which is wrong.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from groundup.engine.autograd import no_grad
from groundup.engine.errors import DTypeError, GradientError
from groundup.engine.ops.rules import Array
from groundup.engine.tensor import Tensor

EPS = float(np.cbrt(3 * 2.0**-53))
"""7e-6, the best step for functions whose values and third derivatives are of one size; derived above."""

Function: TypeAlias = Callable[..., Tensor | Sequence[Tensor]]
"""Tensors to a tensor, or to several. Called many times: what it draws at random must be the same each time."""


def gradcheck(
    function: Function, inputs: Sequence[Tensor], eps: float = EPS, atol: float = 1e-7, rtol: float = 1e-6
) -> bool:
    """Return True if backward and central differences agree for every number of every input that requires a gradient.

    The outputs are differentiated together, each weighed at random, so that no gradient hides behind another: two
    evaluations for each number of the inputs.

    Args:
        function: what to differentiate.
        inputs: its arguments, float64 where a gradient is required.
        eps: the step.
        atol: how large |analytic - numeric| may be where the gradient is 0.
        rtol: how much larger for each 1 of |numeric|.

    Raises:
        GradientError: where they differ by more, naming the input, the place and both values; or no input requires one.
        DTypeError: for inputs whose rounding would hide an error.

    Example:
        >>> gradcheck(lambda x: x * x, [Tensor(np.array([3.0]), requires_grad=True)])
        True
    """
    for i, (analytic, numeric) in enumerate(_pairs(function, inputs, eps)):
        wrong = ~(np.abs(analytic - numeric) <= atol + rtol * np.abs(numeric))  # not ">": NaN is wrong too
        if wrong.any():
            place = tuple(int(k) for k in np.argwhere(wrong)[0])
            raise GradientError(
                f"gradcheck: input {i} at {list(place)}: backward gives {analytic[place]:.9g}, central differences "
                f"{numeric[place]:.9g} ({int(wrong.sum())} of {wrong.size} numbers differ); the rule of that input is "
                "wrong, or the function has a kink there"
            )
    return True


def largest_error(function: Function, inputs: Sequence[Tensor], eps: float = EPS) -> float:
    """Return how far backward is from central differences: the largest |analytic - numeric| / max(1, |numeric|).

    Infinity if either is NaN.

    Example:
        >>> largest_error(lambda x: x * x, [Tensor(np.array([3.0]), requires_grad=True)]) < 1e-9
        True
    """
    errors = [np.abs(a - n) / np.maximum(1, np.abs(n)) for a, n in _pairs(function, inputs, eps)]
    largest = max((float(error.max()) for error in errors if error.size), default=0.0)
    return largest if all(np.isfinite(error).all() for error in errors) else np.inf


def adjoint_gap(function: Function, inputs: Sequence[Tensor], eps: float = EPS, seed: int = 1) -> float:
    """Return |⟨J v, w⟩ - ⟨v, Jᵀ w⟩| / max(1, |J v| |w|) for v and w drawn at random: 0 but for rounding.

    Example:
        >>> adjoint_gap(lambda x: x.sum(), [Tensor(np.ones((3, 2)), requires_grad=True)]) < 1e-9
        True
    """
    generator = np.random.default_rng(seed)
    arrays = [x.data for x in inputs]
    moves = [generator.standard_normal(x.shape) if x.requires_grad else np.zeros(x.shape) for x in inputs]

    def moved(step: float) -> list[Array]:
        places = zip(inputs, arrays, moves, strict=True)
        return _values(function, [a + step * v if x.requires_grad else a for x, a, v in places])

    pushed = [(up - down) / (2 * eps) for up, down in zip(moved(eps), moved(-eps), strict=True)]  # J v
    weights = [generator.standard_normal(p.shape) for p in pushed]
    pulled = _gradients(function, inputs, weights)  # Jᵀ w
    forward = sum(float((p * w).sum()) for p, w in zip(pushed, weights, strict=True))
    back = sum(float((v * g).sum()) for v, g in zip(moves, pulled, strict=True))
    size = np.sqrt(sum(float((p * p).sum()) for p in pushed) * sum(float((w * w).sum()) for w in weights))
    return abs(forward - back) / max(1.0, float(size))


def _pairs(function: Function, inputs: Sequence[Tensor], eps: float) -> list[tuple[Array, Array]]:
    """Return for each input its gradient by backward and by central differences; zeros where none is required."""
    if not any(x.requires_grad for x in inputs):
        raise GradientError(
            "gradcheck: no input requires a gradient, so nothing would be checked; set requires_grad=True"
        )
    for i, x in enumerate(inputs):
        if x.requires_grad and x.dtype != np.float64:
            raise DTypeError(
                f"gradcheck: input {i} is {x.dtype}; only float64 is exact enough, convert it with double()"
            )
    generator = np.random.default_rng(0)
    work = [x.data.copy() for x in inputs]
    weights = [generator.standard_normal(y.shape) for y in _values(function, work)]
    pairs = []
    for x, array, analytic in zip(inputs, work, _gradients(function, inputs, weights), strict=True):
        numeric = np.zeros(x.shape)
        for place in np.ndindex(x.shape) if x.requires_grad else ():
            before = array[place]
            array[place] = before + eps
            up = _values(function, work)
            array[place] = before - eps
            down = _values(function, work)
            array[place] = before
            changes = zip(up, down, weights, strict=True)
            numeric[place] = sum(float(((u - d) * w).sum()) for u, d, w in changes) / (2 * eps)
        pairs.append((analytic, numeric))
    return pairs


def _values(function: Function, arrays: Sequence[Array]) -> list[Array]:
    """Return the outputs for these inputs, as they are now."""
    with no_grad():
        outputs = _outputs(function, [Tensor(array) for array in arrays])
    for i, y in enumerate(outputs):
        if y.dtype.kind != "f":
            raise DTypeError(
                f"gradcheck: output {i} is {y.dtype}, which has no gradient; return tensors of floats only"
            )
    return [y.data.copy() for y in outputs]


def _gradients(function: Function, inputs: Sequence[Tensor], weights: Sequence[Array]) -> list[Array]:
    """Return for each input Σ over outputs of (∂output/∂input)ᵀ weight; zeros where no gradient is required or came."""
    leaves = [Tensor(x.data, requires_grad=x.requires_grad) for x in inputs]
    for y, weight in zip(_outputs(function, leaves), weights, strict=True):
        if y.requires_grad:
            y.backward(Tensor(weight.astype(y.dtype)), retain_graph=True)
    return [np.zeros(x.shape) if x.grad is None else x.grad.data for x in leaves]


def _outputs(function: Function, inputs: Sequence[Tensor]) -> list[Tensor]:
    found = function(*inputs)
    return [found] if isinstance(found, Tensor) else list(found)
