"""Random tensors: seeds, distributions, independence of generators."""

import numpy as np
import pytest

from groundup import engine as eg


def test_one_seed_gives_one_stream_and_other_generators_do_not_disturb_it():
    draws = []
    for disturbed in (False, True):
        eg.manual_seed(3)
        first = eg.randn(2, 3)
        if disturbed:
            eg.randn(5, generator=eg.Generator(3))
        draws.append((first.tolist(), eg.rand(4).tolist(), eg.randint(0, 9, (5,)).tolist(), eg.randperm(6).tolist()))
    assert draws[0] == draws[1]
    eg.manual_seed(4)
    assert eg.randn(2, 3).tolist() != draws[0][0]


def test_a_generator_goes_on_from_a_saved_state():
    generator = eg.Generator(1)
    eg.rand(3, generator=generator)
    state = generator.get_state()
    expected = eg.randn(3, generator=generator).tolist()
    again = eg.Generator(2)
    again.set_state(state)
    assert eg.randn(3, generator=again).tolist() == expected
    assert again.manual_seed(1) is again


def test_distributions_have_their_moments_and_types():
    g = eg.Generator(0)
    n = 20_000  # standard error of a mean of deviation 1: 0.007; bounds of five of them
    x, u = eg.randn(n, generator=g), eg.rand(n, generator=g)
    assert x.dtype == u.dtype == np.float32
    assert abs(x.mean().item()) < 0.035
    assert abs(x.std().item() - 1) < 0.035
    assert abs(u.mean().item() - 0.5) < 0.035
    assert u.min().item() >= 0
    assert u.max().item() < 1
    assert abs(eg.normal(3.0, 2.0, (n,), generator=g).mean().item() - 3) < 0.07
    whole = eg.randint(2, 5, (n,), generator=g)
    assert whole.dtype == np.int64
    assert set(whole.tolist()) == {2, 3, 4}
    assert eg.randn(2, dtype=eg.float64).dtype == np.float64
    assert eg.randn(()).shape == ()


def test_multinomial_draws_by_weight_with_and_without_replacement():
    g = eg.Generator(0)
    weights = eg.tensor([[0.0, 1.0, 3.0], [2.0, 0.0, 0.0]])
    drawn = eg.multinomial(weights, 4000, replacement=True, generator=g)
    assert drawn.shape == (2, 4000)
    assert abs((drawn[0] == 2).float().mean().item() - 0.75) < 0.035  # five standard errors of 0.0068
    assert set(drawn[1].tolist()) == {0}
    assert sorted(eg.multinomial(eg.ones(5), 5, generator=g).tolist()) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="at least 2 above 0"):
        eg.multinomial(weights, 2)
    with pytest.raises(ValueError, match="0 or more"):
        eg.multinomial(eg.tensor([-1.0, 2.0]), 1)
