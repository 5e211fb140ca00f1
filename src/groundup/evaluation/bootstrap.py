"""How far a measured figure may be from the true one: percentile intervals of the bootstrap (Efron 1979)."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def confidence_interval(
    metric: Callable[[Indices], float], n: int, *, seed: int = 0, resamples: int = 1_000, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of one figure; see `confidence_intervals`.

    Example:
        >>> right = np.array([True] * 90 + [False] * 10)
        >>> low, high = confidence_interval(lambda drawn: right[drawn].mean(), len(right))
        >>> 0.80 < low < 0.86 and 0.93 < high < 0.97  # of 0.9 ± 1.96 · √(0.9 · 0.1 / 100)
        True
    """
    return confidence_intervals(
        lambda drawn: {"figure": metric(drawn)}, n, seed=seed, resamples=resamples, level=level
    )["figure"]


def confidence_intervals(
    metrics: Callable[[Indices], Mapping[str, float]],
    n: int,
    *,
    seed: int = 0,
    resamples: int = 1_000,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Return (low, high) of several figures, measured again on examples drawn with replacement.

    The examples are what varies, not the training: another seed of a run may land outside. A figure at its limit, such
    as an accuracy of 1, stays there in every resample, and its interval says too little. Where a figure is missing from
    a resample, or nan, the interval is of the resamples that have it.

    Args:
        metrics: figures of the examples with the given indices [n], which repeat.
        n: how many examples there are.
        seed: decides what is drawn: all figures are of the same resamples.
        resamples: how many times.
        level: how much of the resamples the interval spans.

    Raises:
        ValueError: n or resamples below 1, or a level that is not inside (0, 1).

    Example:
        >>> values = np.arange(100.0)
        >>> measure = lambda drawn: {"mean": values[drawn].mean(), "least": values[drawn].min()}
        >>> {name: [round(end) for end in ends] for name, ends in confidence_intervals(measure, 100).items()}
        {'mean': [44, 55], 'least': [0, 3]}
    """
    if n < 1 or resamples < 1 or not 0 < level < 1:
        raise ValueError(f"expected examples, resamples and a level inside (0, 1), found {n=}, {resamples=}, {level=}")
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _ in range(resamples):
        for name, figure in metrics(random.integers(n, size=n)).items():
            if not np.isnan(figure):
                found.setdefault(name, []).append(figure)
    tail = (1 - level) / 2
    intervals = {}
    for name, figures in found.items():
        low, high = np.quantile(figures, [tail, 1 - tail])
        intervals[name] = (float(low), float(high))
    return intervals
