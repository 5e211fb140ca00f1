"""Timed trials: what is chosen follows the times, and a trial leaves nothing behind."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.training import ComputeConfig, TrainConfig
from groundup.training import trials
from groundup.training.trials import agree, measured, trial

Pair = tuple[Tensor, Tensor]


class Regression:
    """Learn a vector from a vector, with dropout."""

    floor = None

    def n_targets(self, batch: Pair) -> int:
        return batch[1].numel()

    def n_tokens(self, batch: Pair) -> int:
        return self.n_targets(batch)

    def loss(self, model: nn.Module, batch: Pair) -> Tensor:
        return F.mse_loss(model(batch[0]).float(), batch[1], reduction="sum")


def setting() -> tuple[nn.Module, Regression, Pair]:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Dropout(0.5), nn.Linear(64, 8))
    return model, Regression(), (torch.randn(16, 32), torch.randn(16, 8))


def test_a_trial_leaves_everything_as_it_was():
    model, task, batch = setting()
    model.eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    found = trial(TrainConfig(compute=ComputeConfig(threads=2)), model, task, batch)
    assert found.seconds > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_bfloat16_agrees_and_what_is_wrong_does_not():
    model, task, batch = setting()
    exact = trial(TrainConfig(precision="float32"), model, task, batch)
    rounded = trial(TrainConfig(precision="bfloat16"), model, task, batch)
    assert rounded.loss != exact.loss
    assert agree(exact, rounded)
    assert not agree(exact, replace(rounded, loss=float("nan")))
    assert not agree(exact, replace(rounded, loss=exact.loss * 1.01))
    first, *others = rounded.gradients
    assert not agree(exact, replace(rounded, gradients=[first * float("nan"), *others]))
    assert not agree(exact, replace(rounded, gradients=[first * 1.5, *others]))


Candidate = tuple[str, int, str]


class Clock:
    """Seconds that each candidate takes, by precision, threads and linear: 1.0 unless set. Remembers what was asked."""

    def __init__(self) -> None:
        self.seconds: dict[Candidate, float] = {}
        self.asked: list[Candidate] = []
        self.gradient = {"float32": 1.0, "bfloat16": 1.0}
        self.disturbed: dict[tuple[Candidate, int], float] = {}
        """How many times as long the n-th trial of a candidate takes."""

    def trial(self, config: TrainConfig, *rest: object) -> trials.Trial:
        key = (config.precision, config.compute.threads or 0, config.compute.linear)
        seconds = self.seconds.get(key, 1.0) * self.disturbed.get((key, self.asked.count(key)), 1.0)
        self.asked.append(key)
        return trials.Trial(config, seconds, 1.0, [torch.tensor(self.gradient[config.precision])])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(trials, "trial", clock.trial)
    monkeypatch.setattr(trials, "bfloat16_is_faster", lambda: True)
    monkeypatch.setattr(trials, "is_exact", lambda: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    return clock


def chosen(config: TrainConfig | None = None) -> tuple[str, int | None, str, float]:
    found, gain = measured(TrainConfig() if config is None else config, *setting())
    return found.precision, found.compute.threads, found.compute.linear, gain


def test_without_a_clear_gain_all_stays_as_it_is(clock: Clock):
    clock.seconds = {("bfloat16", 8, "default"): 0.95, ("float32", 8, "onednn"): 0.95, ("float32", 4, "default"): 0.95}
    assert chosen() == ("float32", 8, "default", 1.0)
    assert clock.asked == [("float32", 8, "default"), *clock.seconds]


def test_the_fastest_is_taken_and_half_of_the_threads_as_long_as_it_helps(clock: Clock):
    clock.seconds = {
        ("bfloat16", 8, "default"): 0.5,
        ("bfloat16", 4, "default"): 0.3,
        ("bfloat16", 2, "default"): 0.25,
        ("bfloat16", 1, "default"): 0.4,
    }
    assert chosen() == ("bfloat16", 2, "default", 4.0)
    assert all(linear == "default" for _, _, linear in clock.asked)  # bfloat16's products are oneDNN's anyway


def test_onednn_where_it_is_faster_and_exact(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    clock.seconds = {("float32", 8, "onednn"): 0.5}
    assert chosen() == ("float32", 8, "onednn", 2.0)
    monkeypatch.setattr(trials, "is_exact", lambda: False)
    assert chosen() == ("float32", 8, "default", 1.0)


@pytest.mark.parametrize(("onednn", "taken"), [(1.0, False), (0.85, True)])
def test_a_trial_that_was_disturbed_decides_nothing(clock: Clock, onednn: float, taken: bool):
    """The first trial of a run is also the coldest: what follows it seems faster by that alone."""
    default, other = ("float32", 8, "default"), ("float32", 8, "onednn")
    clock.seconds, clock.disturbed = {other: onednn}, {(default, 0): 1.25, (other, 1): 1.4}
    assert chosen(TrainConfig(precision="float32", compute=ComputeConfig(threads=8))) == (
        "float32",
        8,
        "onednn" if taken else "default",
        1 / onednn if taken else 1.0,
    )
    assert clock.asked == [default, other, default, other]


def test_a_large_gain_is_not_measured_twice(clock: Clock):
    clock.seconds = {("float32", 8, "onednn"): 0.5}
    chosen(TrainConfig(precision="float32", compute=ComputeConfig(threads=8)))
    assert len(clock.asked) == len(set(clock.asked))


def test_bfloat16_with_other_gradients_is_not_taken(clock: Clock):
    clock.seconds = {("bfloat16", 8, "default"): 0.1}
    clock.gradient["bfloat16"] = 1.1
    assert chosen()[0] == "float32"


def test_a_processor_without_bfloat16_never_tries_the_model_in_it(clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trials, "bfloat16_is_faster", lambda: False)
    assert chosen()[0] == "float32"
    assert {precision for precision, _, _ in clock.asked} == {"float32"}


def test_what_is_given_is_kept(clock: Clock):
    clock.seconds = {("bfloat16", 8, "default"): 0.1}
    assert chosen(TrainConfig(precision="float32", compute=ComputeConfig(linear="default", threads=3)))[:3] == (
        "float32",
        3,
        "default",
    )
    assert clock.asked == [("float32", 3, "default")]
