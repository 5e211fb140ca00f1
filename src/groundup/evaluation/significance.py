"""Whether one system is better than another, or lucky with these texts: paired bootstrap (Koehn 2004).

Both are scored again on texts drawn with replacement, the same ones for both: what makes a text easy makes it easy for
both, so their difference varies far less than the score of each.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundup.evaluation.text_metric import Counts, TextMetric

SEED = 12_345
"""The one that sacrebleu uses, with the same draws of NumPy."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A system beside a baseline, by one metric, in percent."""

    score: float
    """Of the system on all texts."""
    baseline: float
    """Of the baseline on all texts."""
    mean: float
    """Of the system's resamples."""
    baseline_mean: float
    """Of the baseline's resamples."""
    interval: tuple[float, float]
    """The 95 % of resamples in the middle, of the difference system - baseline."""
    better_share: float
    """Share of resamples in which the system is better: Koehn's test says "better" from 0.95 on."""
    p_value: float
    """How likely so large a difference, either way, is if neither is better: as Moses and sacrebleu compute it."""


def resampled_scores(
    metric: TextMetric, counts: Counts, *, seed: int = SEED, resamples: int = 1_000
) -> npt.NDArray[np.float64]:
    """Return the scores [resamples] of texts drawn with replacement; one seed draws the same texts for every system.

    Args:
        metric: scores the sums.
        counts: what it counted for each text [N, K].
        seed: decides what is drawn.
        resamples: how many times.

    Example:
        >>> from groundup.evaluation.exact_match import ExactMatch
        >>> resampled_scores(ExactMatch(), np.array([[1.0, 1.0], [0.0, 1.0]]), resamples=6).tolist()
        [50.0, 50.0, 50.0, 0.0, 50.0, 50.0]
    """
    draw, n = np.random.default_rng(seed), len(counts)
    # How often each text was drawn, times what was counted for it: the same sum without a copy of the rows.
    return np.array(
        [metric.score(np.bincount(draw.integers(n, size=n), minlength=n) @ counts) for _ in range(resamples)]
    )


def score_interval(
    metric: TextMetric, counts: Counts, *, seed: int = SEED, resamples: int = 1_000
) -> tuple[float, float]:
    """Return the 95 % of resampled scores in the middle, (low, high).

    Example:
        >>> from groundup.evaluation.exact_match import ExactMatch
        >>> score_interval(ExactMatch(), np.array([[1.0, 1.0]] * 90 + [[0.0, 1.0]] * 10))  # 90 ± 1.96 · 3
        (84.0, 95.0)
    """
    return _middle(resampled_scores(metric, counts, seed=seed, resamples=resamples))


def compare_systems(
    metric: TextMetric, system: Counts, baseline: Counts, *, seed: int = SEED, resamples: int = 1_000
) -> Comparison:
    """Return how a system stands beside a baseline.

    The p-value is the share of resamples whose absolute difference is further above the mean one than the difference
    that was found. Systems with the same counts differ in no resample, and get 1; sacrebleu would say 0.001.

    Args:
        metric: what counted, and scores the sums.
        system: its counts for each text [N, K].
        baseline: those of the other for the same texts.
        seed: decides what is drawn.
        resamples: how many times.

    Raises:
        ValueError: counts of differing shape: other texts, or another metric.

    Example:
        >>> from groundup.evaluation.exact_match import ExactMatch
        >>> better = np.array([[1.0, 1.0]] * 60 + [[0.0, 1.0]] * 40)
        >>> found = compare_systems(ExactMatch(), better, np.roll(better, 30, 0) * [0.5, 1])
        >>> found.score - found.baseline, found.better_share, round(found.p_value, 3)
        (30.0, 1.0, 0.001)
    """
    if system.shape != baseline.shape:
        raise ValueError(f"expected counts of the same texts, found {system.shape} and {baseline.shape}")
    scores, others = (resampled_scores(metric, one, seed=seed, resamples=resamples) for one in (system, baseline))
    score, other = metric.score(system.sum(0)), metric.score(baseline.sum(0))
    gains = scores - others
    further = np.abs(gains) - np.abs(gains).mean() > abs(score - other)
    is_same = bool((system == baseline).all())
    return Comparison(
        score=score,
        baseline=other,
        mean=float(scores.mean()),
        baseline_mean=float(others.mean()),
        interval=_middle(gains),
        better_share=float(np.mean(gains < 0 if metric.lower_is_better else gains > 0)),
        p_value=1.0 if is_same else float((further.sum() + 1) / (resamples + 1)),  # + 1: the texts as they are
    )


def _middle(figures: npt.NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(figures, [0.025, 0.975])
    return float(low), float(high)
