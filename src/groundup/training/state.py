"""What a checkpoint of a run holds, saved and restored so that training goes on as if it had never stopped.

Weights, the optimizer's moments, and the counters. No random state: the data order, dropout and samples of a step are
pure functions of (seed, step).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from groundup.errors import InputError
from groundup.training.changes import difference
from groundup.training.early_stopping import EarlyStopping
from groundup.training.environment import environment
from groundup.training.learned import is_learned, learned_state
from groundup.weights.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

FORMAT_VERSION = 1
"""Of training.json; a file of another version is refused."""
PARTS = ("model", "optimizer", "training")
"""The files of a checkpoint, all of which a run needs to go on from it."""
EarlierConfigs = Callable[[], Sequence[dict[str, Any]]]
"""Asked for the configs that a run had before; tuple, which returns (), where there were none."""


@dataclass(kw_only=True)
class TrainingState:
    """Where a run stands, besides its weights and its optimizer."""

    stopping: EarlyStopping
    """The best evaluation so far, and how many have passed since."""
    step: int = 0
    """Optimizer steps done."""
    tokens: int = 0
    """Tokens learned from."""
    seconds: float = 0.0
    """Time spent."""
    evaluated_at: int = 0
    """Step of the last evaluation."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Figures of the last evaluation."""
    best_metrics: dict[str, float] = field(default_factory=dict)
    """Figures of the best one."""
    skipped: int = 0
    """Steps that were left out because their loss or gradient was not finite."""
    monitor: dict[str, Any] | None = None
    """What `Monitor.state` returned. None: nothing has been watched yet."""
    environment: dict[str, str | int] = field(default_factory=dict)
    """What the checkpoint that this was read from was computed with; empty where none was."""


def save_state(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    *,
    config: dict[str, Any],
    marked: bool = False,
) -> None:
    """Write a checkpoint: model.safetensors, optimizer.safetensors, training.json with the run's `config` in it.

    Of the model it holds what is learned: frozen parameters are those of the base that the config names.
    """
    device = next(model.parameters()).device
    remembered = _optimizer_state(model, optimizer)
    training = {
        "format_version": FORMAT_VERSION,
        "step": state.step,
        "tokens": state.tokens,
        "seconds": round(state.seconds, 3),
        "evaluated_at": state.evaluated_at,
        "metrics": state.metrics,
        "best_metrics": state.best_metrics,
        "stopping": state.stopping.state(),
        "skipped": state.skipped,
        "monitor": state.monitor,
        "remembered": sorted({name.rpartition(".")[0] for name in remembered}),
        "environment": environment(device),
        "config": config,
    }
    tensors = {"model": learned_state(model), "optimizer": remembered}
    save_checkpoint(folder, tensors=tensors, documents={"training": training}, marked=marked)


def restore_state(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    stopping: EarlyStopping,
    *,
    config: dict[str, Any],
    earlier: EarlierConfigs = tuple,
) -> TrainingState:
    """Load a checkpoint into `model`, `optimizer` and `stopping`, and return the counters.

    Args:
        folder: the checkpoint.
        model: gets its weights.
        optimizer: gets its memory.
        stopping: gets the best evaluation so far.
        config: what config.json says.
        earlier: what it said before recorded changes (`groundup.training.changes.earlier_configs`); asked if needed.

    Raises:
        InputError: a damaged checkpoint, or one made with another config; each is named.
    """
    checkpoint = load_checkpoint(folder, only=PARTS)
    training = read_training(checkpoint, folder, config=config, earlier=earlier)
    load_weights(checkpoint, folder, model)
    # A parameter that has had no gradient yet is not remembered; earlier versions did not write which are.
    everything = [name for name, parameter in model.named_parameters() if is_learned(parameter)]
    wanted = set(training.get("remembered", everything))
    _load_optimizer_state(checkpoint.tensors["optimizer"], folder, model, optimizer, wanted)
    stopping.restore(training["stopping"])
    return TrainingState(
        stopping=stopping,
        step=training["step"],
        tokens=training["tokens"],
        seconds=training["seconds"],
        evaluated_at=training["evaluated_at"],
        metrics=training["metrics"],
        best_metrics=training["best_metrics"],
        skipped=training.get("skipped", 0),  # earlier versions wrote none of the three
        monitor=training.get("monitor"),
        environment=training.get("environment", {}),
    )


def read_training(
    checkpoint: Checkpoint, folder: Path, *, config: dict[str, Any], earlier: EarlierConfigs = tuple
) -> dict[str, Any]:
    """Return training.json of a checkpoint of the run with `config`, or with one of the `earlier` ones.

    Raises:
        InputError: when it was written by another version, or made with another config: most fields change no shape,
            so nothing else would tell.
    """
    training = checkpoint.documents.get("training")
    version = training.get("format_version") if isinstance(training, dict) else None
    if not isinstance(training, dict) or version != FORMAT_VERSION:
        raise InputError(
            f"expected {folder} to be of format version {FORMAT_VERSION}, found {version}: use the version that made it"
        )
    if (found := difference(training["config"], config)) and not any(
        not difference(training["config"], other) for other in earlier()
    ):
        raise InputError(
            f"expected {folder} to be a checkpoint of this run's config, found a checkpoint of another config: "
            f"{found}; restore config.json or start a new run"
        )
    return training


def load_weights(checkpoint: Checkpoint, folder: Path, model: nn.Module) -> None:
    """Load the weights of a checkpoint into `model`; what is frozen stays as it is.

    Raises:
        InputError: naming the first tensor that the model has not, or has in another shape.
    """
    saved, wanted = checkpoint.tensors["model"], learned_state(model)
    for name in sorted(saved.keys() | wanted.keys()):
        here, there = (list(w[name].shape) if name in w else "none" for w in (wanted, saved))
        if here != there:
            raise InputError(
                f"expected {folder} to fit the model of config.json, found a checkpoint of another config: "
                f"{name} is {there} there and {here} here; restore config.json or start a new run"
            )
    model.load_state_dict(saved, strict=False)


def _optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what the optimizer remembers, as "parameter name.key"; our optimizers remember tensors only."""
    return {
        f"{name}.{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def _load_optimizer_state(
    tensors: dict[str, Tensor], folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, wanted: set[str]
) -> None:
    remembered: dict[str, dict[str, Tensor]] = {}
    for name_and_key, tensor in tensors.items():
        name, _, key = name_and_key.rpartition(".")
        remembered.setdefault(name, {})[key] = tensor
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    in_order = [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
    if lacking := sorted((remembered.keys() ^ wanted) | (remembered.keys() - set(in_order))):
        what = "a memory of it" if lacking[0] in remembered else "nothing of it"
        raise InputError(
            f"expected {folder / 'optimizer.safetensors'} to remember the optimizer's steps for each parameter of the "
            f"model, found for {lacking[0]} {what}: remove {folder.name} and resume from the one before"
        )
    described = optimizer.state_dict()  # its groups stay as the config made them
    described["state"] = {i: remembered[name] for i, name in enumerate(in_order) if name in remembered}
    optimizer.load_state_dict(described)  # puts each tensor where its parameter is
