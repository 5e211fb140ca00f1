"""A fine-tuning run to use: its base with the best weights that were learned, as a model or as a classifier."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from groundup.configs.finetune_runs import ClassifyConfig
from groundup.configs.run_tasks import run_task, use_of
from groundup.errors import InputError
from groundup.finetuning.lora import lora_layers, merge_and_remove
from groundup.finetuning.preparation import build_classifier, pad_id, tune
from groundup.finetuning.runs import FinetuneConfig, check_base, kind_of
from groundup.models.classifier import Classifier
from groundup.quantization.convert import dequantize_model
from groundup.tasks.labelling import Predictions, predict
from groundup.training.run_folder import Run
from groundup.training.state import load_weights
from groundup.training.trained import Found, best_checkpoint
from groundup.weights.pretrained import Pretrained


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """A run's best weights, in its base."""

    run: Run
    """The folder."""
    config: FinetuneConfig
    """How it was tuned."""
    base: Pretrained
    """What it was tuned from; its model is the tuned one now, adapters beside its weights."""
    model: nn.Module
    """A Classifier for task classify, else the GPT; in evaluation mode."""
    labels: tuple[str, ...]
    """Names of a classifier's labels."""
    found: Found
    """The checkpoint."""


def open_tuned(folder: Path, *, open_base: Callable[[str], Pretrained], begun_by: str = "groundup finetune") -> Tuned:
    """Open a fine-tuning run.

    Args:
        folder: the run.
        open_base: opens its base, as `groundup.resolve.open_model`.
        begun_by: the command that makes such runs.

    Raises:
        InputError: not a fine-tuning run, no intact checkpoint, or a base that is not the one it began with.
    """
    run = Run.open(folder, begun_by=begun_by)
    kind = kind_of(run)
    if kind is None:
        task = run.config.get("task")
        raise InputError(
            f"expected a fine-tuning run, found {folder}, of {run_task(task).model}: {use_of(task, folder)} uses it"
        )
    config: FinetuneConfig = run.read_config(kind)
    found = best_checkpoint(run)
    base = open_base(config.base)
    check_base(run, base, config.base)
    model: nn.Module = base.model
    labels: tuple[str, ...] = ()
    if isinstance(config, ClassifyConfig):
        labels = _labels(run)
        model = build_classifier(config, base, len(labels))
    else:
        tune(base, config.tuning, seed=config.training.seed)
    load_weights(found.checkpoint, found.folder, model)
    return Tuned(run=run, config=config, base=base, model=model.eval(), labels=labels, found=found)


def open_classifier(folder: Path, *, open_base: Callable[[str], Pretrained]) -> Tuned:
    """Open a run that labels texts, its adapters merged.

    Raises:
        InputError: a run of another task, or what `open_tuned` refuses.
    """
    tuned = open_tuned(folder, open_base=open_base, begun_by="groundup finetune classify")
    if not isinstance(tuned.model, Classifier):
        raise InputError(f"expected a run of groundup finetune classify, found {folder}, which learned to write")
    _merge(tuned)
    return tuned


def label_texts(tuned: Tuned, texts: Sequence[str]) -> Predictions:
    """Return what a run of task classify says about each of `texts`, cut as in training.

    Raises:
        ValueError: a run of another task.
    """
    if not isinstance(tuned.config, ClassifyConfig) or not isinstance(tuned.model, Classifier):
        raise ValueError(f"a run of task classify is needed, found {tuned.config.task}")
    return predict(
        tuned.model,
        texts,
        encode=tuned.base.encode,
        max_tokens=tuned.config.data.max_tokens,
        pad_id=pad_id(tuned.base),
    )


def open_writer(folder: Path, *, open_base: Callable[[str], Pretrained]) -> Pretrained:
    """Open a run that writes, as a model like any other: adapters merged, learned vectors before the text.

    Raises:
        InputError: a run that labels texts, or what `open_tuned` refuses.
    """
    tuned = open_tuned(folder, open_base=open_base)
    if isinstance(tuned.model, Classifier):
        raise InputError(
            f"expected a model that writes, found {folder}, which labels texts: groundup classify {folder}"
        )
    _merge(tuned)
    for parameter in tuned.base.model.parameters():
        parameter.requires_grad_(True)  # as every other model that is opened: nothing is frozen any more
    return replace(tuned.base, source=str(folder))


def _merge(tuned: Tuned) -> None:
    """Write the adapters into the weights; those of a quantized base become floating point, in which they have room."""
    if lora_layers(tuned.base.model):
        dequantize_model(tuned.base.model)
        merge_and_remove(tuned.model)


def _labels(run: Run) -> tuple[str, ...]:
    path = run.path / "data.json"
    try:
        return tuple(str(name) for name in json.loads(path.read_text(encoding="utf-8"))["labels"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"expected the labels of {run.path} in {path}, found none: restore it from a copy") from None
