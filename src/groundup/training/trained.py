"""A run to use: its best weights with its tokenizer, and what they measure on validation text."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from groundup.configs.distillation import DistillConfig
from groundup.configs.run import RunConfig
from groundup.data.tokens import open_tokens
from groundup.errors import InputError
from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.generation.opening import opening
from groundup.models.gpt import GPT
from groundup.models.student import without_projections
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.pretrained import load_tokenizer
from groundup.training.changes import (
    earlier_configs,
)
from groundup.training.devices import choose_device
from groundup.training.preparation import build_model, prepare_data
from groundup.training.run_folder import Best, Run
from groundup.training.state import load_weights, read_training
from groundup.weights.checkpoint import Checkpoint, load_checkpoint, newest_checkpoint
from groundup.weights.manifest import verify_manifest

NEEDED = ("model", "training")
"""The files of a checkpoint that a model to use is made of."""


@dataclass(frozen=True, kw_only=True)
class LoadedRun:
    """A trained model and what belongs to it."""

    model: GPT
    """In evaluation mode."""
    tokenizer: Tokenizer
    """What turns text into its tokens."""
    config: RunConfig
    """The run's config."""
    run: Run
    """The folder it came from."""
    step: int
    """Optimizer steps behind the weights."""
    metrics: dict[str, float]
    """Validation figures measured in training: at that step, or at the last evaluation before it."""

    @property
    def bits_per_byte(self) -> float:
        """Validation loss in bits per byte, NaN when the run was never evaluated."""
        return self.metrics.get("bits_per_byte", math.nan)


def _warn(line: str) -> None:
    print(line, file=sys.stderr)


def load_run(folder: Path, *, device: str = "auto", report: Callable[[str], None] = _warn) -> LoadedRun:
    """Load the best weights of a run, or the newest intact ones where none is marked best or the best are damaged.

    Args:
        folder: the run.
        device: where the model goes.
        report: told of each damaged checkpoint, and which one is used instead. By default, standard error is.

    Raises:
        InputError: not a run, or one without an intact checkpoint of its config.
    """
    run = Run.open(folder)
    config = _language_config(run)
    found = best_checkpoint(run, report)
    tokenizer = load_tokenizer(run.tokenizer)
    model = build_model(config.model, tokenizer, seed=config.training.seed)
    load_weights(_of_the_model_alone(run, found.checkpoint), found.folder, model)
    return LoadedRun(
        model=model.to(choose_device(device)).eval(),
        tokenizer=tokenizer,
        config=config,
        run=run,
        step=found.step,
        metrics=found.metrics,
    )


def _language_config(run: Run) -> RunConfig:
    """Return the config of a run that learned to write: a student is a language model like any other."""
    if run.config.get("task") != "distill":
        return run.read_config(RunConfig)
    told = run.read_config(DistillConfig)
    return RunConfig(data=told.data, model=told.model, training=told.training)


def _of_the_model_alone(run: Run, checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint without what a student has beside its model while it learns."""
    if run.config.get("task") != "distill":
        return checkpoint
    return replace(checkpoint, tensors=checkpoint.tensors | {"model": without_projections(checkpoint.tensors["model"])})


@dataclass(frozen=True, kw_only=True)
class Found:
    """The checkpoint that a model to use is made of."""

    checkpoint: Checkpoint
    """Its weights and counters."""
    folder: Path
    """Where it is."""
    step: int
    """Optimizer steps behind it."""
    tokens: int
    """Tokens learned from until then."""
    metrics: dict[str, float]
    """Validation figures: at that step, or at the last evaluation before it."""


def best_checkpoint(run: Run, report: Callable[[str], None] = _warn) -> Found:
    """Load the checkpoint that is marked best, or the newest intact one; `report` is told of damaged ones.

    Raises:
        InputError: no intact checkpoint of the run's config.
    """
    for attempts_left in (2, 1, 0):
        place, best = _choose_checkpoint(run, report)
        try:
            checkpoint = load_checkpoint(place, only=NEEDED)
            break
        except InputError:
            if place.is_dir() or not attempts_left:  # else the process that trains this run has just removed it
                raise
    training = read_training(checkpoint, place, config=run.config, earlier=lambda: earlier_configs(run))
    return Found(
        checkpoint=checkpoint,
        folder=place,
        step=training["step"],
        tokens=training["tokens"],
        metrics=training["metrics"] if best is None else best.metrics,
    )


def opening_ids(loaded: LoadedRun) -> list[int]:
    """Return the ids that the run's own samples begin with: its sample prompt, or what opens a text of its corpus.

    Raises:
        InputError: no sample prompt, and no token files to look into.
    """
    if prompt := loaded.config.training.evaluation.sample_prompt:
        return loaded.tokenizer.encode(prompt)
    try:
        first = open_tokens(loaded.run.tokens, "train").ids[0]
    except InputError as error:
        raise InputError(f"{error}, or give a prompt") from None
    return opening(loaded.tokenizer, int(first))


def evaluate_run(folder: Path, *, max_tokens: int | None = None) -> dict[str, float | int]:
    """Measure a run's best weights on its validation text, in float32.

    Args:
        folder: the run.
        max_tokens: score the first validation tokens only. None: all of them.

    Returns:
        step, tokens, bytes, loss (nats per token), perplexity, bits_per_byte; and for a corpus of known entropy
        entropy_bits_per_byte and excess, the fraction by which the loss is above it.
    """
    loaded = load_run(folder)
    prepared = prepare_data(loaded.run, loaded.config.data)
    found = evaluate_tokens(
        loaded.model,
        prepared.validation.ids,
        context_length=loaded.config.model.context_length,
        byte_lengths=byte_lengths_of(loaded.tokenizer),
        max_tokens=max_tokens,
        end_id=prepared.end_id,
    )
    figures: dict[str, float | int] = {
        "step": loaded.step,
        "tokens": found.n_tokens,
        "bytes": found.n_bytes,
        "loss": found.loss,
        "perplexity": found.perplexity,
        "bits_per_byte": found.bits_per_byte,
    }
    if prepared.floor is not None:
        figures["entropy_bits_per_byte"] = prepared.floor
        figures["excess"] = found.bits_per_byte / prepared.floor - 1
    return figures


def _choose_checkpoint(run: Run, report: Callable[[str], None]) -> tuple[Path, Best | None]:
    """Return the best checkpoint and its mark, or the newest intact one and None."""
    damaged: dict[Path, InputError] = {}
    best, troubles = None, []
    try:
        best = run.best
    except InputError as error:
        troubles.append(error)
    if best is not None:
        place = run.checkpoint(best.step)
        try:
            verify_manifest(place, only=NEEDED)
        except InputError as error:
            if not place.is_dir():  # the process that trains this run has just found a better one
                return _choose_checkpoint(run, report)
            damaged[place] = error
        else:
            return place, best
    newest = newest_checkpoint(run.checkpoints, only=NEEDED, on_damaged=damaged.__setitem__)
    if newest is None and damaged:
        raise InputError(
            f"expected an intact checkpoint in {run.checkpoints}, found only damaged ones; "
            f"{next(iter(damaged.values()))}"
        )
    if newest is None:
        raise InputError(
            f"expected a run with an intact checkpoint, found none in {run.path}: groundup resume {run.path}, or if "
            "its loss was not finite start a new run, with a lower learning_rate and another --out"
        )
    for found in (troubles := [*troubles, *damaged.values()]):
        report(str(found))
    if troubles:
        report(f"using {newest} instead")
    return newest, None
