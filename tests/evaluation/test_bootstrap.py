"""Bootstrap intervals against SciPy's, and against what an interval of 95 % promises."""

import numpy as np
import pytest
from scipy import stats

from groundup.evaluation.bootstrap import confidence_interval, confidence_intervals


def test_the_interval_is_near_scipys():
    values = np.random.default_rng(0).exponential(size=200)
    ours = confidence_interval(lambda drawn: float(values[drawn].mean()), 200, resamples=4_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    # Ends of 4,000 resamples scatter by about 3 % of the standard error, here 0.07: two draws of them.
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_it_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    covered = 0
    for i in range(100):
        right = random.uniform(size=150) < 0.8
        low, high = confidence_interval(lambda drawn, right=right: right[drawn].mean(), 150, seed=i, resamples=200)
        covered += low <= 0.8 <= high
    assert 0.88 <= covered / 100 <= 0.99  # 95 % of 100 with a standard error of 2 points, and a few for n = 150


def test_the_seed_decides_and_all_figures_see_the_same_examples():
    values = np.random.default_rng(0).normal(size=50)

    def both(drawn: np.ndarray) -> dict[str, float]:
        return {"mean": values[drawn].mean(), "shifted": values[drawn].mean() + 1}

    first = confidence_intervals(both, 50, seed=1, resamples=100)
    assert first == confidence_intervals(both, 50, seed=1, resamples=100)
    assert first != confidence_intervals(both, 50, seed=2, resamples=100)
    assert first["shifted"] == pytest.approx([end + 1 for end in first["mean"]])
    wide = confidence_intervals(both, 50, seed=1, resamples=100, level=0.99)["mean"]
    assert wide[0] < first["mean"][0] < first["mean"][1] < wide[1]


def test_a_figure_that_is_sometimes_missing():
    found = confidence_intervals(lambda drawn: {"a": 1.0, "b": np.nan, **({"c": 2.0} if 0 in drawn else {})}, 3)
    assert found == {"a": (1.0, 1.0), "c": (2.0, 2.0)}


@pytest.mark.parametrize("fields", [{"n": 0}, {"resamples": 0}, {"level": 1.0}, {"level": 0.0}])
def test_what_cannot_be(fields: dict[str, float]):
    with pytest.raises(ValueError, match="expected examples, resamples and a level"):
        confidence_interval(lambda drawn: 0.0, **{"n": 5, **fields})
