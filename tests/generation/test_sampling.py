"""Drawing: frequencies are the softmax, generators belong to rows, NaN is refused."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from groundup.errors import InputError
from groundup.generation.sampling import draw, greedy, log_probabilities, report, row_generators

PROBABILITIES = torch.tensor([0.4, 0.0, 0.3, 0.2, 0.1])
CHI_SQUARE_3_999 = 16.27  # 99.9 % quantile with 3 degrees of freedom: 4 possible ids


def chi_square(ids: torch.Tensor) -> float:
    counts = torch.bincount(ids, minlength=5).double()
    assert counts[1] == 0
    possible = PROBABILITIES > 0
    expected = PROBABILITIES[possible] * len(ids)
    return float(((counts[possible] - expected) ** 2 / expected).sum())


def test_frequencies_match_the_softmax_along_one_generator():
    logits, generators = PROBABILITIES.log()[None], row_generators(1, 1)
    assert chi_square(torch.cat([draw(logits, generators) for _ in range(4_000)])) < CHI_SQUARE_3_999


def test_frequencies_match_the_softmax_across_neighbouring_seeds():
    ids = draw(PROBABILITIES.log().expand(4_000, -1), row_generators(0, 4_000))
    assert chi_square(ids) < CHI_SQUARE_3_999


@settings(deadline=None)
@given(st.integers(0, 2**64), st.integers(1, 5))
def test_a_row_draws_the_same_in_any_batch(seed: int, n_rows: int):
    logits = torch.randn(n_rows, 20, generator=torch.Generator().manual_seed(0))
    together = draw(logits, row_generators(seed, n_rows)).tolist()
    alone = [draw(logits[row : row + 1], row_generators(seed + row, 1)).item() for row in range(n_rows)]
    assert together == alone


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 2_000))
def test_removed_ids_are_never_drawn(seed: int, width: int):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(8, width, generator=generator)
    removed = torch.rand(8, width, generator=generator) < 0.9
    removed[:, -1] = True  # the last one is what a sum that rounds below 1 would fall through to
    removed[:, 0] = False
    drawn = draw(logits.masked_fill(removed, -torch.inf), row_generators(seed, 8))
    assert not removed.gather(1, drawn[:, None]).any()


@pytest.mark.parametrize(("uniform", "expected"), [(0.0, 1), (1 - 2**-53, 3)])
def test_the_ends_of_the_unit_interval_draw_the_first_and_last_possible_id(
    monkeypatch: pytest.MonkeyPatch, uniform: float, expected: int
):
    monkeypatch.setattr(torch, "rand", lambda *size, generator, dtype: torch.tensor(uniform, dtype=dtype))
    for seed in range(200):  # whatever the sum of the probabilities rounds to
        logits = torch.randn(1, 5, generator=torch.Generator().manual_seed(seed))
        logits[0, [0, 4]] = -torch.inf
        assert draw(logits, row_generators(0, 1)).item() == expected


def test_greedy_takes_the_largest():
    logits = torch.randn(6, 30, generator=torch.Generator().manual_seed(3))
    assert greedy(logits).tolist() == [max(range(30), key=row.__getitem__) for row in logits.tolist()]


def test_the_report_is_the_log_softmax():
    logits = torch.tensor([[1.0, 3.0, 2.0, 0.0]])
    one = report([5], torch.tensor([2]), log_probabilities(logits), n_top=9)[0]
    assert one.row == 5
    assert one.token == 2
    normalizer = math.log(sum(math.exp(value) for value in (0, 1, 2, 3)))
    assert one.logprob == pytest.approx(2 - normalizer, abs=1e-6)  # float32
    assert [token for token, _ in one.top] == [1, 2, 0, 3]
    assert sum(math.exp(value) for _, value in one.top) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_diverged_model_is_refused(bad: float):
    with pytest.raises(InputError, match="found NaN: the model has diverged"):
        log_probabilities(torch.tensor([[0.0, 1.0], [0.0, bad]]))
