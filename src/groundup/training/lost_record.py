"""A run that has begun and has no record of how it computes goes on by the reference: it is never measured anew."""

from collections.abc import Callable
from dataclasses import replace

import torch

from groundup.configs.training import ComputeConfig, TrainConfig
from groundup.errors import InputError
from groundup.training.compute import RECORD, recorded
from groundup.training.run_folder import Run
from groundup.training.state import PARTS
from groundup.weights.checkpoint import load_checkpoint, newest_checkpoint


def lacks_record(run: Run) -> bool:
    """Tell whether a run has checkpoints, and no compute.json that can be read."""
    everything_open = TrainConfig(precision="auto", compute=ComputeConfig())
    return bool(run.checkpoint_steps()) and recorded(everything_open, run.path) == everything_open


def by_reference(
    run: Run, config: TrainConfig, device: torch.device, report: Callable[[str], None] = lambda line: None
) -> TrainConfig:
    """Return `config` with what it leaves open closed: float32, default linears, the threads of the newest checkpoint.

    So did every run compute before there was a compute.json, which earlier versions did not write. A measurement could
    choose bfloat16 in the middle of a run, and otherwise from one resume to the next. On a GPU what is open follows
    from the device alone, and stays open here. A damaged compute.json is set aside.

    Args:
        run: one that `lacks_record`.
        config: how it is to go on.
        device: where.
        report: is told in one line.

    Raises:
        InputError: the damaged file cannot be renamed.
    """
    path, found = run.path / RECORD, "is missing"
    if path.exists():
        aside = path.with_name(f"{RECORD}.damaged")
        try:
            path.replace(aside)
        except OSError as error:
            raise InputError(f"expected to rename {path}, which is damaged, found: {error.strerror}") from None
        found = f"is damaged, and was set aside as {aside.name}"
    compute = config.compute
    is_open = config.precision == "auto" or compute.threads is None or compute.linear == "auto"
    if device.type != "cpu" or not is_open:
        return config
    threads = compute.threads or _threads(run) or torch.get_num_threads()
    closed = replace(
        config,
        precision="float32" if config.precision == "auto" else config.precision,
        compute=replace(compute, threads=threads, linear="default" if compute.linear == "auto" else compute.linear),
    )
    report(
        f"{path} {found}: nothing is measured anew in the middle of a run; what is open is the reference, float32, "
        "default linears and the threads of the last checkpoint (--training.precision or --training.compute.linear, "
        "if it was another)"
    )
    return closed


def _threads(run: Run) -> int | None:
    newest = newest_checkpoint(run.checkpoints, only=PARTS)
    if newest is None:
        return None
    told = load_checkpoint(newest, only=("training",)).documents["training"]
    threads = told.get("environment", {}).get("threads") if isinstance(told, dict) else None
    return threads if isinstance(threads, int) and threads > 0 else None
