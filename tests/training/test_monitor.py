"""Advice: none on healthy runs, the right one on sick runs, said once; the same after a restart; nothing is changed."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from groundup.configs import GPTConfig, HealthConfig, OptimizerConfig, ScheduleConfig, TrainConfig
from groundup.models.gpt import GPT
from groundup.training.learned import start_at, thaw
from groundup.training.monitor import EARLY_LOOKS, QUIET_STEPS, Advice, Monitor
from groundup.training.step import Stepper

CONFIG = TrainConfig(
    steps=150,
    batch_size=8,
    learning_rate=1e-3,
    schedule=ScheduleConfig(warmup_steps=20),
    health=HealthConfig(watch_every=10),
    device="cpu",
)


class Copying:
    """A task: two letters in turn, so each is the one two before it; `noise` makes some of them random."""

    floor = None

    def __init__(self, *, noise: float = 0.3) -> None:
        self.noise = noise

    def train_batch(self, step: int) -> list[Tensor]:
        draw = np.random.default_rng(step)
        rows = np.tile(draw.integers(8, size=(8, 2)), (1, 9))[:, :17]
        other = draw.random(rows.shape) < self.noise
        return [torch.from_numpy(np.where(other, draw.integers(8, size=rows.shape), rows))]

    def n_targets(self, batch: Tensor) -> int:
        return batch[:, 1:].numel()

    def n_tokens(self, batch: Tensor) -> int:
        return self.n_targets(batch)

    def loss(self, model: nn.Module, batch: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten(), reduction="sum")


def model(**sizes: object) -> GPT:
    torch.manual_seed(0)
    told = {"vocab_size": 8, "context_length": 16, "d_model": 16, "n_layers": 3, "n_heads": 2}
    return GPT(GPTConfig(**{**told, **sizes}))


Hook = Callable[[int, Stepper[GPT, Tensor], Monitor], Monitor | None]


def watch(
    gpt: GPT, config: TrainConfig = CONFIG, *, noise: float = 0.3, hook: Hook = lambda step, stepper, monitor: None
) -> tuple[list[Advice], Monitor]:
    """Train and collect the advice; `hook` may interfere before each update, and put another monitor in place."""
    stepper = Stepper(gpt, Copying(noise=noise), config, torch.device("cpu"))  # type: ignore[arg-type]
    monitor, advice = Monitor(gpt, config), []
    for i in range(config.steps):
        gradient = stepper.gradient(i)
        monitor = hook(i + 1, stepper, monitor) or monitor
        advice += monitor.observe(i + 1, gradient.loss.item(), gradient.norm.item())
        advice += monitor.before_update(i + 1)
        advice += monitor.after_update(i + 1, stepper.update(i))
    return advice, monitor


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize(
    "sizes",
    [
        {"bias": True, "zero_init_outputs": True},  # biases of the keys have no gradient, nor has much at first
        {"bias": False, "position": "rotary", "norm": "rms", "activation": "swiglu", "tie_embeddings": False},
    ],
)
def test_a_healthy_run_gets_no_advice(optimizer: str, sizes: dict[str, object]):
    config = replace(CONFIG, optimizer=OptimizerConfig(name=optimizer))
    advice, monitor = watch(model(**sizes), config)
    assert advice == []
    assert 1e-4 < monitor.figures()["update_ratio"] < 0.05


def test_a_learning_rate_100_times_too_high():
    schedule = ScheduleConfig(name="constant", warmup_steps=20)
    config = replace(CONFIG, learning_rate=0.1, schedule=schedule, steps=300)
    advice, _ = watch(model(), config)
    assert "update_too_large" in {one.kind for one in advice}
    told = next(one for one in advice if one.kind == "update_too_large")
    assert told.module == ""
    assert "the loss does not fall: lower learning_rate" in told.text


def test_a_learning_rate_far_too_low():
    advice, _ = watch(model(), replace(CONFIG, learning_rate=1e-9, steps=60))
    assert [(one.kind, one.module) for one in advice] == [("update_too_small", "")]


@pytest.mark.parametrize(("rate", "is_said"), [(1e-3, True), (2e-4, True), (5e-5, False)])
def test_small_updates_are_meant_where_the_schedule_ends(rate: float, is_said: bool):
    net = nn.Linear(4, 4)
    monitor, advice = Monitor(net, CONFIG), []
    for step in (30, 40, 50):
        net.weight.grad = torch.ones(4, 4)
        monitor.before_update(step)
        advice += monitor.after_update(step, rate)
    assert [one.kind for one in advice] == ["update_too_small"] * is_said


def test_a_dead_relu_layer():
    gpt = model(activation="relu")
    gpt.blocks[1].feed_forward.up.bias.data.fill_(-100.0)
    advice, _ = watch(gpt, replace(CONFIG, steps=60))
    assert {(one.kind, one.module) for one in advice} == {
        ("dead", "blocks.1.feed_forward.up.weight"),
        ("dead", "blocks.1.feed_forward.down.weight"),
    }
    assert advice[0].step == 16  # the third look: 8, 10, 16
    assert "gets no gradient at 3 looks in a row" in advice[0].text


def test_a_part_that_is_not_used_is_dead_and_a_frozen_one_is_left_out():
    gpt = model()
    gpt.unused = nn.Linear(3, 3)
    gpt.blocks[0].attention.query.weight.requires_grad_(False)
    advice, monitor = watch(gpt, replace(CONFIG, steps=60))
    assert [(one.kind, one.module) for one in advice] == [("dead", "unused.weight")]
    assert "gradient_norm/unused" in monitor.figures()
    assert monitor.figures()["gradient_norm/unused"] == 0.0


def test_a_layer_whose_gradient_vanishes():
    gpt = model()
    up = gpt.blocks[2].feed_forward.up
    handle = up.weight.register_hook(lambda gradient: gradient * 1e-9)
    advice, _ = watch(gpt, replace(CONFIG, steps=60))
    handle.remove()
    assert [(one.kind, one.module) for one in advice] == [("dead", "blocks.2.feed_forward.up.weight")]
    assert "times below the median" in advice[0].text


def test_an_exploding_layer():
    gpt = model()
    gpt.blocks[1].feed_forward.down.weight.register_hook(lambda gradient: gradient * 1e4)
    advice, monitor = watch(gpt, replace(CONFIG, steps=60))
    assert {(one.kind, one.module) for one in advice if one.kind == "exploding"} == {("exploding", "blocks.1")}
    assert monitor.figures()["gradient_norm/blocks.1"] > 100 * monitor.figures()["gradient_norm/blocks.0"]


def test_a_matrix_that_does_not_settle():
    gpt = model()
    key = gpt.blocks[1].attention.key.weight
    draw = torch.Generator().manual_seed(0)

    def replace_it(step: int, stepper: Stepper[GPT, Tensor], monitor: Monitor) -> None:
        update = stepper.optimizer.step

        def other(*args: object) -> None:
            update(*args)
            key.data.normal_(std=0.02, generator=draw)

        if step == 1:
            stepper.optimizer.step = other  # type: ignore[method-assign]

    advice, _ = watch(gpt, replace(CONFIG, steps=60), hook=replace_it)
    assert [(one.kind, one.module) for one in advice] == [("update_too_large", "blocks.1.attention.key.weight")]


def test_a_spike_is_said_with_its_numbers():
    gpt, monitor = model(), Monitor(model(), CONFIG)
    draw = np.random.default_rng(0)
    for step in range(1, 201):
        assert monitor.observe(step, draw.normal(3.0, 0.05), 0.5) == []
    (told,) = monitor.observe(201, 5.0, 31.25)
    assert (told.step, told.kind, told.module) == (201, "spike", "")
    assert told.text.startswith("loss 5.000 is ")
    assert "(gradient norm 31.2)" in told.text
    del gpt


def test_a_loss_that_rises_and_stays():
    monitor, draw = Monitor(model(), CONFIG), np.random.default_rng(0)
    advice = []
    for step in range(1, 601):
        advice += monitor.observe(step, draw.normal(2.0 + max(0.0, (step - 300) * 0.005), 0.05), 0.5)
    assert [one.kind for one in advice] == ["rising"]
    assert advice[0].step < 450  # at 0.5 above, ten deviations, when half of the window is higher
    assert "from 1.9" in advice[0].text


def test_the_same_is_said_once_in_a_while():
    monitor = Monitor(model(), CONFIG)
    steps = []
    for step in range(1, 3 * QUIET_STEPS):
        loss = 9.0 if step > 100 and step % 50 == 0 else 2.0
        steps += [one.step for one in monitor.observe(step, loss, 1.0)]
    assert steps == [150, 150 + QUIET_STEPS, 150 + 2 * QUIET_STEPS]


def test_advice_is_one_line_and_names_what_to_do():
    gpt = model(activation="relu")
    gpt.blocks[1].feed_forward.up.bias.data.fill_(-100.0)
    advice, _ = watch(gpt, replace(CONFIG, steps=30))
    assert len(advice) == 2
    for one in advice:
        assert "\n" not in one.text
        assert "lower learning_rate" in one.text


@pytest.mark.parametrize("cut", [7, 8, 16, 33, 150, 299])
def test_a_restart_gives_the_same_advice_and_figures(cut: int):
    """Numbers made up, so that every kind of advice falls due: what was seen before the cut matters after it."""
    config = replace(CONFIG, health=HealthConfig(watch_every=20), learning_rate=1.0)

    def run(cut: int | None) -> tuple[list[Advice], Monitor]:
        torch.manual_seed(0)
        net = nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(4)))
        monitor, advice = Monitor(net, config), []
        for step in range(1, 301):
            if step == cut:
                state = json.loads(json.dumps(monitor.state(), allow_nan=False))
                monitor = Monitor(net, config)
                monitor.restore(state)
            sizes = (0.0, 1e4, 1.0, 1.0) if 40 < step < 200 else (1.0, 1.0, 1.0, 1.0)
            for layer, size in zip(net, sizes, strict=True):
                layer.weight.grad = size * torch.randn(4, 4)
            loss = 9.0 if step % 97 == 0 else 2.0 + 0.1 * torch.rand(()).item() + (step > 200)
            advice += monitor.observe(step, loss, 1.0)
            advice += monitor.before_update(step)
            for i, layer in enumerate(net):
                layer.weight.data += (0.3 if i == 2 or step > 240 else 1e-4) * torch.randn(4, 4)
            advice += monitor.after_update(step, 1.0)
        return advice, monitor

    (whole, first), (again, second) = run(None), run(cut)
    assert {one.kind for one in whole} == {"spike", "rising", "dead", "exploding", "update_too_large"}
    assert whole == again
    assert first.state() == second.state()
    assert first.figures() == second.figures()


def test_looking_changes_nothing_and_keeps_no_copy():
    gpt = model()
    stepper = Stepper(gpt, Copying(), CONFIG, torch.device("cpu"))  # type: ignore[arg-type]
    monitor, unwatched = Monitor(gpt, CONFIG), model()
    other = Stepper(unwatched, Copying(), CONFIG, torch.device("cpu"))  # type: ignore[arg-type]
    for i in range(EARLY_LOOKS[0]):
        for one in (stepper, other):
            one.gradient(i)
        monitor.before_update(i + 1)
        assert bool(monitor._before) == (i + 1 == EARLY_LOOKS[0])
        monitor.after_update(i + 1, stepper.update(i))
        other.update(i)
        assert not monitor._before
    for (name, mine), (_, theirs) in zip(gpt.named_parameters(), unwatched.named_parameters(), strict=True):
        assert torch.equal(mine, theirs), name


def test_norms_are_those_before_clipping():
    config = replace(CONFIG, clip_norm=0.01)
    gpt = model()
    stepper = Stepper(gpt, Copying(), config, torch.device("cpu"))  # type: ignore[arg-type]
    monitor, step = Monitor(gpt, config), EARLY_LOOKS[0]
    gradient = stepper.gradient(step - 1)
    monitor.observe(step, gradient.loss.item(), gradient.norm.item())
    monitor.before_update(step)
    norms = [norm for name, norm in monitor.figures().items() if name.startswith("gradient_norm/")]
    # torch divides by the norm + 1e-6, so what is multiplied back is off by that much.
    assert np.sqrt(np.square(norms).sum()) == pytest.approx(gradient.norm.item(), rel=1e-5)


def test_the_ratio_is_that_of_root_mean_squares():
    gpt = nn.Linear(4, 4)
    monitor = Monitor(gpt, CONFIG)
    gpt.weight.grad = gpt.bias.grad = None
    gpt.weight.data.fill_(2.0)
    monitor.before_update(8)
    gpt.weight.data.fill_(2.5)
    monitor.after_update(8, 1e-3)
    assert monitor.figures()["update_ratio"] == pytest.approx(0.25, rel=1e-6)


def test_never_looking_is_possible():
    config = replace(CONFIG, health=HealthConfig(watch_every=0), steps=40)
    advice, monitor = watch(model(), config)
    assert (advice, monitor.figures()) == ([], {})


def advice_on(net: nn.Sequential, sizes: Callable[[int], tuple[float, ...]], steps: int) -> list[Advice]:
    """What is said of layers whose gradients are made up, of these sizes at each step."""
    torch.manual_seed(0)
    monitor, advice = Monitor(net, CONFIG), []
    for step in range(1, steps + 1):
        thaw(net, step - 1)
        for layer, size in zip(net, sizes(step), strict=True):
            layer.weight.grad = size * torch.randn(4, 4) if layer.weight.requires_grad else None
        monitor.observe(step, 2.0, 1.0)
        advice += monitor.before_update(step)
        for layer in net:
            layer.weight.data += 1e-3 * torch.randn(4, 4)
        advice += monitor.after_update(step, 1e-3)
    return advice


def four_layers() -> nn.Sequential:
    return nn.Sequential(*(nn.Linear(4, 4, bias=False) for _ in range(4)))


def test_a_new_head_above_adapters_that_begin_at_zero_is_no_explosion():
    # Gradients of SmolLM2's rank 8 on SMS: 221 times the median layer's at first, less as the adapters grow.
    assert advice_on(four_layers(), lambda step: (1.0, 1.0, 1.0, 300.0 / (1 + step / 20)), 150) == []


def test_a_head_that_explodes_later_is_held_against_what_it_had():
    advice = advice_on(four_layers(), lambda step: (1.0, 1.0, 1.0, 50.0 if step < 60 else 5e3), 150)
    assert [(one.kind, one.module, one.step) for one in advice] == [("exploding", "3", 70)]  # the second look at it


def test_what_begins_to_learn_later_is_looked_at_from_then_on():
    net = four_layers()
    for layer in (net[0], net[1]):
        start_at(layer.weight, 60)
        layer.weight.requires_grad_(False)
    advice = advice_on(net, lambda step: (0.0, 1.0, 1.0, 1.0), 150)
    assert [(one.kind, one.module, one.step) for one in advice] == [("dead", "0.weight", 90)]  # looks at 70, 80, 90
