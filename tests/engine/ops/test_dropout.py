import numpy as np
import pytest

from groundup.engine.errors import DTypeError
from groundup.engine.ops.dropout import dropout

N, P = 200_000, 0.3


def dropped(x, seed=0, p=P):
    return dropout(x, p=p, generator=np.random.default_rng(seed))


def test_a_share_of_p_is_zero_and_the_mean_stays():
    y, _ = dropped(np.ones(N, np.float32))
    assert set(np.unique(y)) == {0, np.float32(1 / (1 - P))}
    deviation = np.sqrt(P * (1 - P) / N)  # of the share; 5 of them are passed by chance once in two million
    assert abs((y == 0).mean() - P) < 5 * deviation
    assert abs(y.mean(dtype=float) - 1) < 5 * deviation / (1 - P)


def test_neighbours_fall_independently():
    zero = dropped(np.ones(N))[0] == 0
    both = (zero[1:] & zero[:-1]).mean()
    assert abs(both - P * P) < 5 * np.sqrt(P * P * (1 - P * P) * (1 + 2 * P) / N)  # pairs that overlap are related


def test_the_gradient_is_dropped_where_the_value_was():
    x = np.random.default_rng(1).standard_normal((30, 40))
    y, (rule,) = dropped(x)
    assert np.array_equal(rule(x), y)


def test_one_seed_gives_one_mask_whatever_the_strides_and_dtype():
    x = np.ones((30, 40))
    assert np.array_equal(dropped(x)[0] == 0, dropped(x.T.copy().T.astype(np.float32))[0] == 0)
    assert not np.array_equal(dropped(x)[0], dropped(x, seed=1)[0])


@pytest.mark.parametrize(("p", "expected"), [(0.0, [1.0, 2.0]), (1.0, [0.0, 0.0])])
def test_the_ends_of_the_scale(p, expected):
    assert dropped(np.array([1.0, 2.0]), p=p)[0].tolist() == expected


def test_what_cannot_be_dropped_is_refused():
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=r"dropout: p is .*; it must be a probability, from 0 to 1"):
            dropped(np.ones(2), p=p)
    with pytest.raises(DTypeError, match="dropout: a tensor of int64 cannot be scaled"):
        dropped(np.ones(2, int))
