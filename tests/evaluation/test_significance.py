"""Paired bootstrap against sacrebleu's, with its seed; laws of a comparison."""

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest
from tests.evaluation.systems import captions

from groundup.evaluation.bleu import Bleu
from groundup.evaluation.chrf import Chrf
from groundup.evaluation.edit_distance import ErrorRate
from groundup.evaluation.exact_match import ExactMatch
from groundup.evaluation.significance import compare_systems, resampled_scores, score_interval


@pytest.mark.parametrize(
    ("metric", "reference"), [(Bleu(), BLEU), (Chrf(character_order=3), lambda: CHRF(char_order=3))]
)
@pytest.mark.parametrize(("n_errors", "seed"), [(3, 1), (4, 1)])
def test_p_values_means_and_intervals_are_sacrebleus(metric, reference, n_errors: int, seed: int):
    baseline, truth = captions(120)
    system = captions(120, seed=seed, n_errors=n_errors)[0]
    test = PairedTest([("a", baseline), ("b", system)], {"m": reference()}, [truth], test_type="bs", n_samples=300)
    _, found = test()
    theirs, other = found[metric.name][1], found[metric.name][0]
    counts = [metric.counts(texts, [truth]) for texts in (system, baseline)]
    ours = compare_systems(metric, *counts, resamples=300)
    assert ours.p_value == theirs.p_value
    # They score resamples in float32: 2e-5 percent.
    assert (ours.mean, ours.baseline_mean) == pytest.approx((theirs.mean, other.mean), abs=2e-5)
    assert (ours.score, ours.baseline) == pytest.approx((theirs.score, other.score))
    # Their interval: half the span between the 8th and the 293rd of 300. Ours is drawn between neighbours of them.
    ordered = np.sort(resampled_scores(metric, counts[0], resamples=300))
    assert (ordered[292] - ordered[7]) / 2 == pytest.approx(theirs.ci, abs=2e-5)
    low, high = score_interval(metric, counts[0], resamples=300)
    assert ordered[7] <= low <= ordered[8]
    assert ordered[291] <= high <= ordered[292]


def test_a_system_is_not_better_than_itself():
    system, truth = captions(30)
    counts = Bleu().counts(system, [truth])
    found = compare_systems(Bleu(), counts, counts, resamples=50)
    assert (found.p_value, found.better_share, found.interval) == (1.0, 0.0, (0.0, 0.0))


def test_the_other_way_round_the_difference_has_the_other_sign():
    system, truth = captions(60)
    one, two = (Bleu().counts(texts, [truth]) for texts in (system, captions(60, seed=1, n_errors=4)[0]))
    there, back = compare_systems(Bleu(), one, two, resamples=100), compare_systems(Bleu(), two, one, resamples=100)
    assert there.p_value == back.p_value
    assert there.interval == pytest.approx((-back.interval[1], -back.interval[0]))
    assert there.better_share == pytest.approx(1 - back.better_share)


def test_fewer_errors_are_better():
    few, many = np.array([[1.0, 10.0]] * 20), np.array([[2.0, 10.0]] * 20)
    found = compare_systems(ErrorRate(), few, many, resamples=20)
    assert (found.score, found.baseline, found.better_share) == (10, 20, 1)


def test_the_interval_of_a_share_is_the_binomial_s():
    counts = np.array([[1.0, 1.0]] * 300 + [[0.0, 1.0]] * 700)
    low, high = score_interval(ExactMatch(), counts)
    # 30 ± 1.96 · √(0.3 · 0.7 / 1000) = 30 ± 2.84; the ends of 1,000 resamples are known to about 0.2.
    assert (low, high) == pytest.approx((30 - 2.84, 30 + 2.84), abs=0.5)


def test_one_seed_draws_the_same_texts_for_every_system():
    counts = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    scores, opposite = (
        resampled_scores(ExactMatch(), one, resamples=40) for one in (counts, counts * [-1, 1] + [1, 0])
    )
    assert scores + opposite == pytest.approx(np.full(40, 100.0))
    assert (scores != resampled_scores(ExactMatch(), counts, seed=1, resamples=40)).any()


def test_other_texts_are_refused():
    with pytest.raises(ValueError, match=r"expected counts of the same texts, found \(2, 2\) and \(3, 2\)"):
        compare_systems(ExactMatch(), np.ones((2, 2)), np.ones((3, 2)))
