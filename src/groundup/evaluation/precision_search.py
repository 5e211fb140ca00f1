"""Which layers to leave as they are so that perplexity rises by no more than is allowed: predict, measure, correct."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from groundup.evaluation.sensitivity import Sensitivity

NEAR_ENOUGH = 0.8
"""Of the increase that is allowed: what comes so near to it is not searched further."""
PREDICTIONS = 4
"""After so many the rest is found by halving, which ends soon whatever the model is like."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Layers to leave as they are."""

    names: tuple[str, ...]
    """Those that lose most for the bytes they save, first."""
    increase: float
    """By which part perplexity rises with these left."""
    tried: dict[int, float]
    """What was measured: the increase, by how many were left."""


def choose_layers(costs: Sequence[Sensitivity], increase: Callable[[tuple[str, ...]], float], *, most: float) -> Choice:
    """Return the fewest layers, from the first of `costs` on, that must be left for an increase of at most `most`.

    What layers cost together is predicted by the sum of what each costs alone, times what the last measurement was off
    by. If less is lost with fewer layers left, which chance may bring about, that is not found.

    Args:
        costs: in the order in which layers are to be left.
        increase: measures by which part perplexity rises with layers of these names left.
        most: the increase allowed, 0 or more; with all layers left it is 0.

    Example:
        >>> costs = [Sensitivity(name=name, kl=kl, n_bytes_saved=1) for name, kl in zip("abcd", (0.4, 0.3, 0.2, 0.1))]
        >>> alone = {one.name: one.kl for one in costs}
        >>> found = choose_layers(costs, lambda left: 2 * (1 - sum(alone[name] for name in left)), most=0.65)
        >>> found.names, round(found.increase, 6), sorted(found.tried)
        (('a', 'b'), 0.6, [0, 2])
    """
    names = tuple(one.name for one in costs)
    left_over = [*accumulate((one.kl for one in reversed(costs)), initial=0.0)][::-1]  # by how many are left out of it
    tried = {0: increase(())}
    too_few, enough = 0, len(names)
    if tried[0] <= most:
        return Choice(names=(), increase=tried[0], tried=tried)
    last = 0
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if len(tried) <= PREDICTIONS and left_over[last] > 0:
            scale = tried[last] / left_over[last]
            predicted = (k for k in range(too_few + 1, enough) if scale * left_over[k] <= most)
            middle = next(predicted, enough - 1)
        last = middle
        tried[last] = increase(names[:last])
        if tried[last] > most:
            too_few = last
            continue
        enough = last
        if tried[last] >= NEAR_ENOUGH * most:
            break
    if enough not in tried:  # all of them: not nothing, where they are left in 8 bits
        tried[enough] = increase(names)
    return Choice(names=names[:enough], increase=tried[enough], tried=tried)
