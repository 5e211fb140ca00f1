"""Spikes of the loss: robust scores against their definition, what is a spike and what is not, and a restart."""

import json
import random
import statistics

import pytest

from groundup.training.loss_spikes import FEWEST, REFRESH, WINDOW, LossSpikes


def noise(seed: int, count: int, *, level: float = 2.0, deviation: float = 0.1) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(level, deviation) for _ in range(count)]


def test_scores_are_those_of_the_definition():
    spikes, losses = LossSpikes(), noise(0, 400)
    known = 0  # losses behind the median in use
    for i, loss in enumerate(losses):
        if i >= FEWEST and (i - FEWEST) % REFRESH == 0:
            known = i
        window = losses[max(0, known - WINDOW) : known]
        expected = 0.0
        if window:
            median = statistics.median(window)
            expected = (loss - median) / (1.4826 * statistics.median(abs(one - median) for one in window))
        assert spikes.score(loss) == pytest.approx(expected, rel=1e-12)


def test_normal_noise_has_a_deviation_near_its_own():
    spikes = LossSpikes()
    for loss in noise(1, 200):
        spikes.score(loss)
    assert spikes.deviation == pytest.approx(0.1, rel=0.3)  # four standard errors of the spread of 128


@pytest.mark.parametrize("seed", range(5))
def test_neither_noise_nor_a_falling_loss_is_a_spike(seed: int):
    spikes = LossSpikes()
    falling = [max(2.0, 10.0 - 0.05 * i) + one for i, one in enumerate(noise(seed, 1_000, level=0.0))]
    assert max(map(spikes.score, falling)) < 8
    assert spikes.rise < 4


@pytest.mark.parametrize("level", [0.0, 0.02, 2.0])
def test_a_ripple_on_a_flat_loss_is_no_spike(level: float):
    spikes = LossSpikes()
    for _ in range(200):
        spikes.score(level)
    assert spikes.score(level + 0.05) < 8
    assert spikes.score(level + 0.5) > 8


def test_a_spike_does_not_hide_the_next_one():
    spikes, losses = LossSpikes(), noise(2, 600)
    at = range(100, 600, 7)  # one in seven
    for i in at:
        losses[i] = 5.0
    scores = [spikes.score(loss) for loss in losses]
    assert min(scores[i] for i in at) > 8
    assert max(score for i, score in enumerate(scores) if i not in at) < 8


def test_a_loss_that_stays_higher_has_risen():
    spikes = LossSpikes()
    for loss in [*noise(3, 300), *noise(4, 100, level=2.8)]:
        spikes.score(loss)
    assert spikes.lowest == pytest.approx(2.0, abs=0.05)
    assert spikes.rise > 4


@pytest.mark.parametrize("cut", [0, 1, FEWEST - 1, FEWEST, FEWEST + 5, 200])
def test_a_restart_changes_nothing(cut: int):
    whole, first, second = LossSpikes(), LossSpikes(), LossSpikes()
    losses = noise(5, 300)
    for loss in losses[:cut]:
        assert whole.score(loss) == first.score(loss)
    second.restore(json.loads(json.dumps(first.state())))
    for loss in losses[cut:]:
        assert whole.score(loss) == second.score(loss)
    assert whole.state() == second.state()


def test_a_loss_falls_until_it_does_not():
    spikes = LossSpikes()
    assert spikes.is_falling
    for i, one in enumerate(noise(6, 400, level=0.0, deviation=0.02)):
        spikes.score(3.0 - 0.01 * i + one)
        assert spikes.is_falling
    for one in noise(7, 300, level=-1.0, deviation=0.02):
        spikes.score(one + 0.01)
    for i, one in enumerate(noise(8, 300, level=-1.0, deviation=0.02)):
        spikes.score(one + 0.002 * i)
    assert not spikes.is_falling
