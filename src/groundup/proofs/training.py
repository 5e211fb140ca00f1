"""Proofs of training/ and weights/: AdamW against torch's, accumulation against one batch, resume against no stop."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from safetensors.torch import load_file

from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import (
    CheckpointConfig,
    EvaluationConfig,
    ScheduleConfig,
    TrainConfig,
)
from groundup.models.gpt import GPT
from groundup.proofs.compare import apart, largest
from groundup.proofs.table import Proof
from groundup.training.launch import resume, start
from groundup.training.optimizers import AdamW
from groundup.training.trained import load_run


def _adamw() -> float:
    """Return the largest difference of any weight after 100 steps of our AdamW and torch's, float64."""

    def trained(optimizer_class: Callable[..., torch.optim.Optimizer]) -> torch.Tensor:
        torch.manual_seed(0)
        weights = torch.randn(40, 30, dtype=torch.float64, requires_grad=True)
        target = torch.randn(40, 30, dtype=torch.float64)
        optimizer = optimizer_class([weights], lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
        for _ in range(100):
            optimizer.zero_grad()
            torch.autograd.backward((weights.sin() - target).pow(4).mean())
            optimizer.step()
        return weights.detach()

    with torch.random.fork_rng(devices=[]):
        return apart(trained(AdamW), trained(torch.optim.AdamW))


def _config(steps: int) -> RunConfig:
    """Return a run of seconds that has everything that could drift: dropout, accumulation, evaluation, samples."""
    return RunConfig(
        data=DataConfig(corpus="tales", tokenizer="bpe", bpe_vocab_size=300, max_bytes=60_000),
        model=GPTConfig(context_length=32, d_model=32, n_layers=2, n_heads=2, dropout=0.1),
        training=TrainConfig(
            steps=steps,
            batch_size=4,
            accumulation_steps=2,
            device="cpu",
            schedule=ScheduleConfig(name="constant", warmup_steps=2),
            evaluation=EvaluationConfig(every_steps=4, max_tokens=256, sample_tokens=8),
            checkpoints=CheckpointConfig(every_steps=5),
        ),
    )


def _weights(run: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(run / "checkpoints" / f"step-{step}" / "model.safetensors")


def _resumed() -> float:
    """Return the largest difference between weights of a run that was cut short, and of one that was not."""
    with tempfile.TemporaryDirectory() as folder:
        whole, cut, quiet = Path(folder) / "whole", Path(folder) / "cut", Console(quiet=True)
        start(_config(steps=10), whole, console=quiet)
        shutil.copytree(whole, cut)
        for later in (cut / "checkpoints").iterdir():
            if later.name != "step-5":
                shutil.rmtree(later)
        resume(cut, console=quiet)
        ours, theirs = _weights(cut, 10), _weights(whole, 10)
        return largest(apart(ours[name], theirs[name]) for name in theirs)


def _accumulated() -> float:
    """Return the largest difference of any weight after 3 steps of 8 × 1 and of 2 × 4 sequences."""
    with tempfile.TemporaryDirectory() as folder:
        quiet, weights = Console(quiet=True), []
        for batch_size, parts in ((8, 1), (2, 4)):
            config = _config(steps=3)
            training = replace(config.training, batch_size=batch_size, accumulation_steps=parts)
            config = replace(config, model=replace(config.model, dropout=0.0), training=training)
            start(config, Path(folder) / str(parts), console=quiet)
            weights.append(_weights(Path(folder) / str(parts), 3))
        return largest(apart(weights[0][name], weights[1][name]) for name in weights[0])


def _built_model_is_saved_whole() -> float:
    """Return the largest difference between a model and the one rebuilt from its saved config and weights."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        start(_config(steps=2), run, console=Console(quiet=True))
        rebuilt: GPT = load_run(run, device="cpu").model
        saved = _weights(run, 2)
        return largest(apart(parameter.detach(), saved[name]) for name, parameter in rebuilt.named_parameters())


def _proof(part: str, reference: str, difference: Callable[[], float], bound: float, why: str) -> Proof:
    return Proof(room="training", part=part, reference=reference, bound=bound, why=why, difference=difference)


_BITS = "the same operations in the same order give the same bits"
PROOFS = (
    _proof("AdamW by hand, 100 steps: weights", "torch AdamW", _adamw, 1e-6, "float64: rounding only"),
    _proof(
        "8 × 1 sequences a step: weights", "2 × 4, accumulated", _accumulated, 1e-5, "float32 sums in another order"
    ),
    _proof("a run stopped and resumed: weights", "the run without a stop", _resumed, 0.0, _BITS),
    _proof("a model rebuilt from its checkpoint", "what was saved", _built_model_is_saved_whole, 0.0, _BITS),
)
