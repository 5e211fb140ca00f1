"""How a run computes: precision, threads and matrix kernels, and where they are left open, the choice by measuring."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import nn

from groundup.configs.codec import from_dict
from groundup.configs.training import TrainConfig
from groundup.download import cache_folder
from groundup.errors import InputError
from groundup.layers.linear import is_exact
from groundup.tasks.task import Task
from groundup.training.environment import environment
from groundup.training.run_folder import write_atomically
from groundup.training.trials import LITTLE_WORK, measured

M = TypeVar("M", bound=nn.Module)
B = TypeVar("B")

RECORD = "compute.json"
"""In the folder of a run: what was chosen, so that a resumed run computes alike, to the last bit."""
LITTLE_GAIN = 1.05
"""A choice that is less faster than this is called no faster."""
FORMAT_VERSION = 1
"""Of what is cached; a choice made by other rules is made anew."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How a run computes, with nothing left open."""

    precision: Literal["float32", "bfloat16"]
    """Of the forward and backward pass."""
    threads: int
    """CPU threads."""
    linear: Literal["default", "onednn"]
    """What multiplies matrices on the CPU in float32."""
    gain: float | None = None
    """How many times faster than float32, all threads and torch's default. None: not measured."""

    def __str__(self) -> str:
        """Say it in one line."""
        threads = f"{self.threads} thread{'s' * (self.threads > 1)}"
        kernels = "oneDNN linears" if self.linear == "onednn" else "default linears"
        return f"{self.precision}, {threads}, {kernels}"


def settle(
    config: TrainConfig,
    model: M,
    task: Task[M, B],
    *,
    device: torch.device,
    run: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> TrainConfig:
    """Return `config` with precision, compute.threads and compute.linear settled.

    What the config gives is kept. The rest is what this run has used before (`run`/compute.json), else what was found
    for the same model and batch on this machine (the cache folder), else what a measurement of a second or two finds
    fastest on the model and its first batch; see `trials.measured`. Weights, random numbers and the number of
    threads are left as they were, so a run has the same bits whether its choice was measured, cached or given.

    On CUDA and MPS threads and CPU kernels decide nothing; precision becomes bfloat16 where CUDA says that it has it.

    Args:
        config: how to train.
        model: what learns. It is moved to `device`.
        task: what is learned.
        device: where.
        run: folder of the run, which gets the record. None: nothing is recorded.
        report: is told the choice in one line.

    Raises:
        InputError: compute.linear is onednn where oneDNN is absent or inexact.
    """
    if config.compute.linear == "onednn" and not is_exact():
        raise InputError(
            "expected compute.linear=onednn on a processor where oneDNN has exact float32 products, found none here: "
            "take auto or default"
        )
    record = None if run is None else run / RECORD
    kept = None if record is None else _read(record, report)
    choice, source = _given(config, kept), "given" if kept is None else "as before"
    if choice is None:
        choice, source = _chosen(config, model, task, device)
    elif kept is not None and choice != kept:
        source = "changed"
    if record is not None and choice != kept:
        write_atomically(record, json.dumps(asdict(choice), indent=2) + "\n")
    compared = "" if choice.gain is None else f"{choice.gain:.2g}x of float32, all threads, default linears; "
    if choice.gain is not None and choice.gain < LITTLE_GAIN:
        compared = "nothing else is faster; "
    report(f"compute     {choice} ({compared}{source})")
    compute = replace(config.compute, threads=choice.threads, linear=choice.linear)
    return replace(config, precision=choice.precision, compute=compute)


def recorded(config: TrainConfig, run: Path, *, earlier: object = None) -> TrainConfig:
    """Return `config` with what is left open taken from the record of a run, where it has one.

    Args:
        config: how to train.
        run: its folder.
        earlier: what the record said before a change (`changes.compute_at`). None: what it says now.

    Example:
        >>> recorded(TrainConfig(), Path("no such run")).precision
        'auto'
    """
    kept = _read(run / RECORD) if earlier is None else _choice(earlier)
    choice = None if kept is None else _given(config, kept)
    if choice is None:
        return config
    compute = replace(config.compute, threads=choice.threads, linear=choice.linear)
    return replace(config, precision=choice.precision, compute=compute)


@contextmanager
def cpu_threads(n_threads: int | None) -> Iterator[None]:
    """Compute with `n_threads` in the block, and with as many as before after it: torch counts them for the process.

    Example:
        >>> before = torch.get_num_threads()
        >>> with cpu_threads(1):
        ...     torch.get_num_threads()
        1
        >>> torch.get_num_threads() == before
        True
    """
    before = torch.get_num_threads()
    if n_threads is not None and n_threads != before:
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def _given(config: TrainConfig, kept: Choice | None) -> Choice | None:
    """Return the choice that the config makes, with what it leaves open as in `kept`; None where something is open."""
    precision, threads, linear = config.precision, config.compute.threads, config.compute.linear
    if kept is not None:
        given = Choice(
            precision=kept.precision if precision == "auto" else precision,
            threads=kept.threads if threads is None else threads,
            linear=kept.linear if linear == "auto" else linear,
        )
        return kept if replace(kept, gain=None) == given else given
    if precision == "auto" or threads is None or (linear == "auto" and precision == "float32"):
        return None
    return Choice(precision=precision, threads=threads, linear="default" if linear == "auto" else linear)


def _chosen(config: TrainConfig, model: M, task: Task[M, B], device: torch.device) -> tuple[Choice, str]:
    """Return the choice for what is left open, and where it comes from."""
    threads = config.compute.threads or torch.get_num_threads()
    linear = "default" if config.compute.linear == "auto" else config.compute.linear
    if device.type != "cpu":
        has_bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        precision = config.precision
        if precision == "auto":
            precision = "bfloat16" if has_bfloat16 else "float32"
        return Choice(precision=precision, threads=threads, linear=linear), f"on {device.type}"
    batch = task.train_batch(0)[0]
    n_numbers = sum(p.numel() for p in model.parameters()) * task.n_tokens(batch)
    if n_numbers < LITTLE_WORK:
        # A choice by the size alone: a clock would choose differently from one start to the next.
        precision = "float32" if config.precision == "auto" else config.precision
        threads = config.compute.threads or 1
        return Choice(precision=precision, threads=threads, linear=linear), "too little work for more"
    place = _cache(config, model, task.n_tokens(batch), device)
    if (cached := _read(place)) is not None:
        return cached, "measured before"
    config_found, gain = measured(config, model.to(device), task, batch)
    found = Choice(
        precision="bfloat16" if config_found.precision == "bfloat16" else "float32",
        threads=config_found.compute.threads or 1,
        linear="onednn" if config_found.compute.linear == "onednn" else "default",
        gain=round(gain, 2),
    )
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if (first := _read(place)) is not None:
            return first, "measured before"  # by another run that began meanwhile
        write_atomically(place, json.dumps(asdict(found), indent=2) + "\n")
    except OSError:
        pass  # a cache that cannot be written costs the next run a measurement
    return found, "measured"


def _cache(config: TrainConfig, model: nn.Module, n_tokens: int, device: torch.device) -> Path:
    """Return where the choice for this machine, model, batch and open fields is, or would be."""
    asked = {
        "version": FORMAT_VERSION,
        "environment": environment(device),
        "model": repr(model),
        "shapes": [[name, *p.shape, p.requires_grad] for name, p in model.named_parameters()],
        "batch": [config.batch_size, n_tokens],
        "given": [config.precision, config.compute.threads, config.compute.linear, config.compute.compile],
    }
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
    return cache_folder() / "compute" / f"{digest[:32]}.json"


def _choice(told: object) -> Choice | None:
    try:
        return from_dict(Choice, told)
    except (TypeError, InputError):
        return None


def _read(path: Path, report: Callable[[str], None] = lambda line: None) -> Choice | None:
    """Return the choice in a file, or None where there is none, or a damaged one."""
    try:
        return from_dict(Choice, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError, InputError):
        report(f"{path} is damaged: how to compute is chosen anew, and may differ from before in the last bits")
        return None
