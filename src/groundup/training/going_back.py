"""Weights that are no longer finite cannot be mended: says which they are, and which checkpoint to go back to."""

import torch
from torch import Tensor, nn

from groundup.errors import InputError
from groundup.training.run_folder import Run
from groundup.weights.checkpoint import load_checkpoint

NAMED = 3
"""Most parameters that are named."""


def broken_weights(model: nn.Module) -> str:
    """Name the parameters that are not finite, with how much of each, or return "".

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> broken_weights(layer)
        ''
        >>> layer.weight.data[0, 0] = torch.nan
        >>> broken_weights(layer)
        'weight holds 1 NaN of 4'
    """
    broken = [f"{name} holds {counts(p)}" for name, p in model.named_parameters() if not is_finite(p)]
    more = f", and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
    return ", ".join(broken[:NAMED]) + more


def way_back(run: Run | None, step: int) -> str:
    """Say how to go on with a run whose weights were not finite any more before step number `step`.

    The newest checkpoint may hold them already, or have finite weights and moments that are not: all are looked into.

    Args:
        run: whose checkpoints are read, the newest first, until one is finite. None: nothing is known of any.
        step: numbered as in metrics.jsonl.
    """
    anew = "start a new run, with a lower learning_rate or a longer warmup and another --out"
    if run is None:
        return f"go back to an earlier checkpoint, or {anew}"
    broken: list[str] = []
    for saved in reversed([saved for saved in run.checkpoint_steps() if saved < step]):
        name, is_good = run.checkpoint(saved).name, _holds_finite_numbers(run, saved)
        if is_good is None:
            continue  # damaged: `resume` passes it over by itself
        if not is_good:
            broken.append(name)
        elif broken:
            return (
                f"go back to {name}, the last good checkpoint: move {', '.join(reversed(broken))} out of "
                f"{run.checkpoints}, then groundup resume {run.path}; if they break again, lower "
                "--training.learning-rate there"
            )
        else:
            return (
                f"go back to {name}, the last good checkpoint, with smaller steps: groundup resume {run.path} "
                "--training.learning-rate, lower than now; with the same one they break again"
            )
    return f"{run.path} has no good checkpoint to go back to: {anew}"


def is_finite(tensor: Tensor) -> bool:
    """Tell whether a tensor holds neither NaN nor an infinity."""
    return bool(torch.isfinite(tensor).all())


def counts(tensor: Tensor) -> str:
    """Say how much of a tensor is not finite.

    Example:
        >>> counts(torch.tensor([1.0, torch.nan, torch.inf, -torch.inf]))
        '1 NaN and 2 infinite of 4'
    """
    nan, infinite = int(torch.isnan(tensor).sum()), int(torch.isinf(tensor).sum())
    parts = [f"{n:,} {what}" for n, what in ((nan, "NaN"), (infinite, "infinite")) if n]
    return f"{' and '.join(parts)} of {tensor.numel():,}"


def _holds_finite_numbers(run: Run, step: int) -> bool | None:
    try:
        saved = load_checkpoint(run.checkpoint(step), only=("model", "optimizer"))
    except InputError:
        return None
    return all(is_finite(tensor) for tensors in saved.tensors.values() for tensor in tensors.values())
