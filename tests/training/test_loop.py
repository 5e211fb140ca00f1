"""The loop: accumulation changes nothing, a resumed run is the same run to the bit, Ctrl-C, early stopping, records."""

import io
import json
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from groundup.configs import (
    CheckpointConfig,
    EvaluationConfig,
    GPTConfig,
    OptimizerConfig,
    ScheduleConfig,
    TrainConfig,
)
from groundup.data.corpora import find_corpus
from groundup.data.tokens import open_tokens, prepare_tokens
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tasks.language_modeling import LanguageModeling
from groundup.tokenization.characters import CharacterTokenizer
from groundup.training.loop import Outcome, fit
from groundup.training.loss_curve import draw_loss_curve
from groundup.training.metrics import read_metrics
from groundup.training.optimizers import build_optimizer
from groundup.training.run_folder import Run
from groundup.training.schedules import learning_rate
from groundup.weights.checkpoint import load_checkpoint

TEXT = "".join(chr(97 + n) for n in np.random.default_rng(0).integers(10, size=3_000))
CONFIG = TrainConfig(
    steps=12,
    batch_size=2,
    accumulation_steps=2,
    learning_rate=1e-2,
    device="cpu",
    log_every=1,
    schedule=ScheduleConfig(warmup_steps=2),
    evaluation=EvaluationConfig(every_steps=4, max_tokens=100, sample_tokens=4),
    checkpoints=CheckpointConfig(every_steps=3, keep_last=20),
)


def small_model(*, dropout: float = 0.2) -> GPT:
    torch.manual_seed(0)
    return GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=2, dropout=dropout))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "text.txt").write_text(TEXT)
    tokenizer = CharacterTokenizer.from_text([TEXT])
    prepare_tokens(find_corpus(str(folder / "text.txt")), tokenizer, folder / "tokens", validation_fraction=0.1)
    return folder / "tokens"


@pytest.fixture
def task(tokens: Path) -> Callable[[TrainConfig], LanguageModeling]:
    return lambda config: LanguageModeling(
        train=open_tokens(tokens, "train"),
        validation=open_tokens(tokens, "validation"),
        tokenizer=CharacterTokenizer.from_text([TEXT]),
        context_length=8,
        training=config,
        floor=1.0,
    )


MakeTask = Callable[[TrainConfig], LanguageModeling]


def weights(run: Run, step: int) -> bytes:
    return (run.checkpoint(step) / "model.safetensors").read_bytes()


class StopsAt:
    """A task that presses Ctrl-C, or raises, at a chosen moment."""

    def __init__(self, task: LanguageModeling, *, moment: str, step: int) -> None:
        self._task, self._moment, self._step, self._now = task, moment, step, 0

    def _act(self, moment: str) -> None:
        if (moment, self._now) == (self._moment, self._step):
            signal.raise_signal(signal.SIGINT)

    @property
    def floor(self) -> float | None:
        return self._task.floor

    def train_batch(self, step: int) -> Sequence[object]:
        self._now = step
        self._act("batch")
        return self._task.train_batch(step)

    def n_targets(self, batch: object) -> int:
        return self._task.n_targets(batch)

    def n_tokens(self, batch: object) -> int:
        return self.n_targets(batch)

    def loss(self, model: GPT, batch: object) -> Tensor:
        self._act("loss")
        return self._task.loss(model, batch)

    def evaluate(self, model: GPT) -> dict[str, float]:
        self._now += 1
        self._act("evaluate")
        return self._task.evaluate(model)

    def sample(self, model: GPT, step: int) -> str:
        self._act("sample")
        return self._task.sample(model, step)


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_by_hand", "muon"])
def test_a_run_that_was_stopped_equals_one_that_was_not_to_the_bit(tmp_path: Path, task: MakeTask, optimizer: str):
    config = replace(CONFIG, optimizer=OptimizerConfig(name=optimizer))
    whole = Run.create(tmp_path / "whole", config)
    fit(small_model(), task(config), config, whole)

    parts = Run.create(tmp_path / "parts", config)
    for moment, step in (("loss", 2), ("evaluate", 4), ("sample", 8), ("batch", 11)):
        outcome = fit(small_model(), StopsAt(task(config), moment=moment, step=step), config, parts)
        assert outcome.interrupted
        assert outcome.step == step
    outcome = fit(small_model(), task(config), config, parts)
    assert not outcome.interrupted
    assert outcome.step == 12
    assert weights(parts, 12) == weights(whole, 12)
    optimizers = [(run.checkpoint(12) / "optimizer.safetensors").read_bytes() for run in (parts, whole)]
    assert optimizers[0] == optimizers[1]

    # The records are the same ones too, each once, except for what a clock says.
    def records(run: Run) -> list[dict[str, object]]:
        return [
            {name: value for name, value in record.items() if name not in ("seconds", "tokens_per_second")}
            for record in read_metrics(run.metrics)
        ]

    assert records(parts) == records(whole)
    assert parts.best == whole.best


def test_ctrl_c_inside_an_update_waits_for_its_end(tmp_path: Path, task: MakeTask, monkeypatch: pytest.MonkeyPatch):
    whole, parts = (Run.create(tmp_path / name, CONFIG) for name in ("whole", "parts"))
    fit(small_model(), task(CONFIG), CONFIG, whole)

    def build_impatient(*arguments: object, **named: object) -> torch.optim.Optimizer:
        optimizer = build_optimizer(*arguments, **named)
        # The weights have changed and the step has not been counted: to stop here would take it twice.
        optimizer.register_step_post_hook(lambda *_: signal.raise_signal(signal.SIGINT))
        return optimizer

    with monkeypatch.context() as patched:
        patched.setattr("groundup.training.step.build_optimizer", build_impatient)
        for step in (1, 2):
            outcome = fit(small_model(), task(CONFIG), CONFIG, parts)
            assert (outcome.interrupted, outcome.step) == (True, step)
    fit(small_model(), task(CONFIG), CONFIG, parts)
    assert weights(parts, 12) == weights(whole, 12)


def test_equals_a_loop_written_out_with_torch_alone(tmp_path: Path, task: MakeTask):
    config = replace(CONFIG, clip_norm=0.3, steps=6)
    model = small_model(dropout=0.0).double()
    fit(model, task(config), config, Run.create(tmp_path / "run", config))

    plain, windows = small_model(dropout=0.0).double(), task(config).windows
    matrices = [p for name, p in plain.named_parameters() if p.ndim == 2 and "position" not in name]
    others = [p for p in plain.parameters() if not any(p is matrix for matrix in matrices)]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)
    clipped = 0
    for step in range(6):
        inputs, targets = map(torch.from_numpy, windows.batch(step, 4))
        optimizer.zero_grad()
        nn.functional.cross_entropy(plain(inputs).flatten(0, 1), targets.flatten()).backward()
        clipped += bool(nn.utils.clip_grad_norm_(plain.parameters(), 0.3) > 0.3)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        optimizer.step()
    assert clipped > 0
    for name, weight in plain.state_dict().items():
        # As above: float64 sums in another order, enlarged where a gradient is nearly zero.
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0, atol=1e-9)


def test_another_seed_gives_other_weights(tmp_path: Path, task: MakeTask):
    runs = []
    for seed in (1, 2):
        config = replace(CONFIG, seed=seed, steps=3)
        runs.append(Run.create(tmp_path / str(seed), config))
        fit(small_model(), task(config), config, runs[-1])
    assert weights(runs[0], 3) != weights(runs[1], 3)


def test_training_leaves_the_generators_of_torch_alone(tmp_path: Path, task: MakeTask):
    model = small_model()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(model, task(CONFIG), replace(CONFIG, steps=2), Run.create(tmp_path / "run", CONFIG))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("batch_size", "accumulation_steps"), [(4, 2), (1, 8)])
def test_accumulation_changes_nothing(tmp_path: Path, task: MakeTask, batch_size: int, accumulation_steps: int):
    def train(size: int, parts: int) -> dict[str, Tensor]:
        config = replace(CONFIG, batch_size=size, accumulation_steps=parts, steps=4)
        model = small_model(dropout=0.0).double()
        fit(model, task(config), config, Run.create(tmp_path / f"{size}-{parts}", config))
        return model.state_dict()

    at_once, in_parts = train(8, 1), train(batch_size, accumulation_steps)
    for name, weight in at_once.items():
        # float64 sums in another order; Adam divides by the root of the gradient's square, which enlarges the
        # rounding of gradients that are nearly zero.
        torch.testing.assert_close(in_parts[name], weight, rtol=0, atol=1e-9)


def test_the_loss_of_a_step_weighs_every_token_alike(tmp_path: Path):
    run = Run.create(tmp_path / "run", CONFIG)
    fit(nn.Linear(1, 1), Uneven(), replace(CONFIG, steps=1, accumulation_steps=2, clip_norm=100.0), run)
    [first] = [record for record in read_metrics(run.metrics) if record["kind"] == "train"]
    # Micro-batches of 1 and 3 targets with losses 8 and 4 each: (8 + 3 * 4) / 4, not (8 + 4) / 2.
    assert first["loss"] == pytest.approx(5.0)
    assert first["tokens"] == 4


class Uneven:
    """Two micro-batches of different size, and nothing of language models."""

    floor = None

    def train_batch(self, step: int) -> list[tuple[int, float]]:
        return [(1, 8.0), (3, 4.0)]

    def n_targets(self, batch: tuple[int, float]) -> int:
        return batch[0]

    def n_tokens(self, batch: tuple[int, float]) -> int:
        return self.n_targets(batch)

    def loss(self, model: nn.Module, batch: tuple[int, float]) -> Tensor:
        zero = sum(parameter.sum() * 0 for parameter in model.parameters())
        return zero + batch[0] * batch[1]

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"loss": 1.0}

    def sample(self, model: nn.Module, step: int) -> str:
        return ""


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, task: MakeTask):
    before = signal.getsignal(signal.SIGINT)
    console = Console(file=io.StringIO(), width=40)
    run = Run.create(tmp_path / "run", CONFIG)
    fit(small_model(), StopsAt(task(CONFIG), moment="loss", step=5), CONFIG, run, console=console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert f"stopped after step 5 of 12; saved in {run.checkpoint(5)}\n" in text
    assert f"groundup resume {run.path}\n" in text
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_twice_leaves_at_once_and_says_how_to_go_on(
    tmp_path: Path, task: MakeTask, monkeypatch: pytest.MonkeyPatch
):
    console = Console(file=io.StringIO(), width=80)
    whole, run = (Run.create(tmp_path / name, CONFIG) for name in ("whole", "run"))
    fit(small_model(), task(CONFIG), CONFIG, whole)
    with monkeypatch.context() as patched:
        patched.setattr("groundup.training.session.Session.save", lambda _: signal.raise_signal(signal.SIGINT))
        outcome = fit(small_model(), StopsAt(task(CONFIG), moment="loss", step=2), CONFIG, run, console=console)
    assert outcome.interrupted
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "stopped after step 2 of 12; not saved, Ctrl-C came again meanwhile\n" in text
    assert f"groundup resume {run.path}\n" in text
    fit(small_model(), task(CONFIG), CONFIG, run)
    assert weights(run, 12) == weights(whole, 12)


def test_ctrl_c_before_the_first_step_loses_nothing(tmp_path: Path, task: MakeTask):
    run = Run.create(tmp_path / "run", CONFIG)
    outcome = fit(small_model(), StopsAt(task(CONFIG), moment="batch", step=0), CONFIG, run)
    assert (outcome.interrupted, outcome.step, run.checkpoint_steps()) == (True, 0, [])
    assert fit(small_model(), task(CONFIG), CONFIG, run).step == 12


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path, task: MakeTask):
    run = Run.create(tmp_path / "run", CONFIG)
    first = fit(small_model(), task(CONFIG), CONFIG, run)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}
    console = Console(file=io.StringIO(), width=200)
    again = fit(small_model(), task(CONFIG), CONFIG, run, console=console, page=["never shown"])
    assert (first.was_over, again.was_over) == (False, True)
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before
    assert (again.step, again.metrics, again.best_step) == (first.step, first.metrics, first.best_step)


class Scripted(Uneven):
    """Validation losses by script; the only weight counts the steps."""

    def __init__(self, losses: list[float]) -> None:
        self._losses = iter(losses)

    def loss(self, model: nn.Module, batch: tuple[int, float]) -> Tensor:
        return -sum(parameter.sum() for parameter in model.parameters())

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return {"loss": next(self._losses)}


def test_early_stopping_brings_the_best_weights_back(tmp_path: Path):
    config = replace(
        CONFIG,
        steps=100,
        evaluation=EvaluationConfig(every_steps=2, patience=2),
        checkpoints=CheckpointConfig(keep_last=1),
    )
    model, run = nn.Linear(1, 1), Run.create(tmp_path / "run", config)
    outcome = fit(model, Scripted([3.0, 1.0, 2.0, 1.5, 0.0]), config, run)
    assert outcome.stopped_early
    assert (outcome.step, outcome.best_step, outcome.best_loss, outcome.metrics) == (8, 4, 1.0, {"loss": 1.0})
    best = nn.Linear(1, 1)
    again = fit(best, Scripted([]), config, run)  # resuming an ended run evaluates nothing and trains nothing
    assert again.stopped_early
    assert torch.equal(model.weight, best.weight)
    assert run.best is not None
    assert run.best.step == 4
    assert run.checkpoint_steps() == [4, 8]  # the best and the last; what was best at step 2 is gone


def test_damaged_best_weights_are_named_and_the_last_ones_kept(tmp_path: Path):
    config = replace(CONFIG, steps=100, evaluation=EvaluationConfig(every_steps=2, patience=2))
    run = Run.create(tmp_path / "run", config)
    losses = [1.0, 2.0, 3.0]

    class Damaging(Scripted):
        def evaluate(self, model: nn.Module) -> dict[str, float]:
            if run.best is not None:
                (run.checkpoint(2) / "model.safetensors").write_bytes(b"")
            return super().evaluate(model)

    model, console = nn.Linear(1, 1), Console(file=io.StringIO(), width=400)
    outcome = fit(model, Damaging(losses), config, run, console=console)
    assert (outcome.step, outcome.best_step, outcome.metrics) == (6, 2, {"loss": 3.0})
    last = load_checkpoint(run.checkpoint(6), only=("model",)).tensors["model"]
    assert torch.equal(model.weight, last["weight"])
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert str(run.checkpoint(2) / "model.safetensors") in shown
    assert "the best weights, of step 2, are damaged: the last ones are kept" in shown


def test_without_patience_the_last_weights_stay(tmp_path: Path):
    config = replace(CONFIG, steps=6, evaluation=EvaluationConfig(every_steps=2))
    run = Run.create(tmp_path / "run", config)
    outcome = fit(nn.Linear(1, 1), Scripted([1.0, 2.0, 3.0]), config, run)
    assert (outcome.step, outcome.best_step, outcome.stopped_early, outcome.metrics) == (6, 2, False, {"loss": 3.0})


def test_a_run_leaves_its_records(tmp_path: Path, task: MakeTask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("groundup.training.tracking.draw_loss_curve", draw_loss_curve)  # tests leave it out elsewhere
    run = Run.create(tmp_path / "run", CONFIG)
    fit(small_model(), task(CONFIG), CONFIG, run)
    records = read_metrics(run.metrics)
    assert [r["step"] for r in records if r["kind"] == "train"] == list(range(1, 13))
    assert [r["step"] for r in records if r["kind"] == "validation"] == [4, 8, 12]
    assert records[0]["tokens"] == 2 * 2 * 8
    assert sorted(path.name for path in run.samples.iterdir()) == ["step-12.txt", "step-4.txt", "step-8.txt"]
    assert run.loss_curve.read_bytes().startswith(b"\x89PNG")
    assert list(run.path.glob("events.out.tfevents.*"))
    training = json.loads((run.checkpoint(12) / "training.json").read_text())
    assert training["config"] == run.config


def test_old_checkpoints_go_and_the_best_stays(tmp_path: Path):
    config = replace(
        CONFIG,
        steps=10,
        evaluation=EvaluationConfig(every_steps=2),
        checkpoints=CheckpointConfig(every_steps=1, keep_last=2),
    )
    run = Run.create(tmp_path / "run", config)
    fit(nn.Linear(1, 1), Scripted([3.0, 1.0, 2.0, 2.0, 2.0]), config, run)
    assert run.checkpoint_steps() == [4, 9, 10]
    assert not list(run.checkpoints.glob(".*"))


def test_a_damaged_checkpoint_is_named_and_the_one_before_used(tmp_path: Path, task: MakeTask):
    run = Run.create(tmp_path / "run", CONFIG)
    fit(small_model(), task(CONFIG), CONFIG, run)
    good = weights(run, 12)
    damaged = run.checkpoint(12) / "model.safetensors"
    damaged.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    console = Console(file=io.StringIO(), width=400)
    outcome = fit(small_model(), task(CONFIG), CONFIG, run, console=console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert str(damaged) in text
    assert "set aside as step-12.damaged" in text
    assert outcome.step == 12
    assert weights(run, 12) == good  # done again, to the bit


def test_only_damaged_checkpoints_are_an_error_and_stay(tmp_path: Path, task: MakeTask):
    run = Run.create(tmp_path / "run", CONFIG)
    config = replace(CONFIG, steps=4, checkpoints=CheckpointConfig(keep_last=1))
    fit(small_model(), task(config), config, run)
    for folder in run.checkpoints.iterdir():
        (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"found only damaged ones; step-4: .*model\.safetensors"):
        fit(small_model(), task(config), config, run)
    assert run.checkpoint_steps() == [4]


def test_a_checkpoint_of_another_config_is_refused(tmp_path: Path, task: MakeTask):
    run = Run.create(tmp_path / "run", CONFIG)
    fit(small_model(), task(CONFIG), CONFIG, run)
    edited = Run(run.path, {**run.config, "learning_rate": 0.5})
    with pytest.raises(
        InputError, match=r"checkpoint of another config: learning_rate is 0.01 there and 0.5 in config"
    ):
        fit(small_model(), task(CONFIG), CONFIG, edited)


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path, task: MakeTask):
    run = Run.create(tmp_path / "run", CONFIG)
    fit(small_model(), task(CONFIG), CONFIG, run)
    wider = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=32, n_layers=2, n_heads=2))
    with pytest.raises(
        InputError, match=r"another config: blocks.0.attention.key.bias is \[16\] there and \[32\] here"
    ):
        fit(wider, task(CONFIG), CONFIG, run)


def test_a_loss_that_is_not_finite_stops_the_run_and_is_not_saved(tmp_path: Path, task: MakeTask):
    run = Run.create(tmp_path / "run", CONFIG)
    model = small_model()
    model.blocks[1].feed_forward.up.weight.data[0, 0] = float("nan")
    told = (
        r"^expected finite numbers, found loss nan at step 1: the weights were already .* \(blocks\.1\.feed_forward\.up"
    )
    with pytest.raises(InputError, match=told):
        fit(model, task(CONFIG), CONFIG, run)
    assert run.checkpoint_steps() == []  # weights that are not finite are of no use to anyone


def test_bfloat16_trains_with_weights_in_float32(tmp_path: Path, task: MakeTask):
    config = replace(CONFIG, precision="bfloat16", steps=8)
    model, run = small_model(dropout=0.0), Run.create(tmp_path / "run", config)
    exact = Run.create(tmp_path / "exact", config)
    fit(model, task(config), config, run)
    fit(small_model(dropout=0.0), task(config), replace(config, precision="float32"), exact)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    losses = [[r["loss"] for r in read_metrics(one.metrics) if r["kind"] == "train"] for one in (run, exact)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)  # eight bits of mantissa: 0.4 % an operation


def test_a_missing_device_is_named(tmp_path: Path, task: MakeTask):
    absent = "mps" if not torch.backends.mps.is_available() else "cuda"
    config = replace(CONFIG, device=absent)
    with pytest.raises(InputError, match=f"found '{absent}'"):
        fit(small_model(), task(config), config, Run.create(tmp_path / "run", config))


def test_a_run_in_another_thread(tmp_path: Path, task: MakeTask):
    outcomes: list[Outcome] = []
    run = Run.create(tmp_path / "run", CONFIG)
    thread = threading.Thread(target=lambda: outcomes.append(fit(small_model(), task(CONFIG), CONFIG, run)))
    thread.start()
    thread.join()
    assert outcomes[0].step == 12
