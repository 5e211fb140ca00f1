"""Language model runs from beginning to end: start one, go on with one, load one, measure one."""

import math
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from groundup.configs.run import RunConfig
from groundup.errors import InputError
from groundup.evaluation.perplexity import byte_lengths_of, evaluate_tokens
from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer
from groundup.tokenization.pretrained import load_tokenizer
from groundup.training.bands import BandWatch
from groundup.training.changes import (
    check_changes,
    describe_changes,
    earlier_configs,
    find_changes,
    record_changes,
)
from groundup.training.compute import cpu_threads, settle
from groundup.training.devices import choose_device
from groundup.training.loop import Outcome, fit
from groundup.training.metrics import set_damaged_lines_aside
from groundup.training.one_report import one_report
from groundup.training.preparation import Prepared, build_model, build_task, prepare_data
from groundup.training.progress import say
from groundup.training.run_folder import Best, Run
from groundup.training.run_lock import locked
from groundup.training.state import PARTS, load_weights, read_training
from groundup.weights.checkpoint import load_checkpoint, newest_checkpoint
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


def start(config: RunConfig, folder: Path, *, console: Console | None = None) -> Outcome:
    """Begin a run in a new folder and train it to its end, or to Ctrl-C.

    A run that cannot begin (a corpus that is not there, a text that is too short) leaves no folder behind.

    Args:
        config: everything that decides the run.
        folder: must not exist.
        console: where progress is shown. None: standard output.

    Raises:
        InputError: what was asked for cannot be done, or `folder` exists.
    """
    console = Console() if console is None else console
    run = Run.create(folder, config)
    with locked(folder, report=lambda line: say(console, line)):
        try:
            return _train(run, config, console)
        except BaseException:
            if not run.checkpoint_steps() and not run.metrics.exists():
                shutil.rmtree(folder, ignore_errors=True)
            raise


def resume(folder: Path, *, config: RunConfig | None = None, console: Console | None = None) -> Outcome:
    """Go on with a run from its newest intact checkpoint, or from the beginning if it has none.

    Args:
        folder: the run.
        config: how to go on. Where it differs from the run's own, the change is shown, recorded in history.jsonl, and
            kept for later sessions. None: as before.
        console: where progress is shown. None: standard output.

    Raises:
        InputError: not a run, a run that another process trains, checkpoints that are all damaged or of another
            config, a change that a run cannot make, or a disk that cannot be written.
    """
    console = Console() if console is None else console
    Run.open(folder)  # what is no run gets no lock file
    with locked(folder, report=lambda line: say(console, line)):
        run = Run.open(folder)
        before = run.read_config(RunConfig)
        after = before if config is None else config
        check_changes(find_changes(before, after), after)
        lost = set_damaged_lines_aside(run.metrics)
        if lost:
            say(console, lost)
        return _train(run, after, console)


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
    config = run.read_config(RunConfig)
    for attempts_left in (2, 1, 0):
        place, best = _choose_checkpoint(run, report)
        try:
            checkpoint = load_checkpoint(place, only=NEEDED)
            break
        except InputError:
            if place.is_dir() or not attempts_left:  # else the process that trains this run has just removed it
                raise
    training = read_training(checkpoint, place, config=run.config, earlier=lambda: earlier_configs(run))
    tokenizer = load_tokenizer(run.tokenizer)
    model = build_model(config.model, tokenizer, seed=config.training.seed)
    load_weights(checkpoint, place, model)
    return LoadedRun(
        model=model.to(choose_device(device)).eval(),
        tokenizer=tokenizer,
        config=config,
        run=run,
        step=training["step"],
        metrics=training["metrics"] if best is None else best.metrics,
    )


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


def _train(run: Run, config: RunConfig, console: Console) -> Outcome:
    try:
        with one_report():
            return _prepare_and_fit(run, config, console)
    except OSError as error:
        raise InputError(
            f"expected to read and write in {run.path}, found: {error.strerror or error}; earlier checkpoints are as "
            "they were: make room or make it writable, then try again"
        ) from None


def _prepare_and_fit(run: Run, config: RunConfig, console: Console) -> Outcome:
    def report(line: str) -> None:
        say(console, line)

    device = choose_device(config.training.device)  # a wrong one is known before any text is read
    prepared = prepare_data(run, config.data, report=report)
    model = build_model(config.model, prepared.tokenizer, seed=config.training.seed)
    task = build_task(config, prepared)
    for line in describe(run, config, prepared, model, device):
        report(line)
    run = _change(run, config, report)
    training = settle(config.training, model, task, device=device, run=run.path, report=report)
    with cpu_threads(training.compute.threads):  # around all of it: checkpoints tell the number of threads
        expected = BandWatch(replace(config, training=training))
        return fit(model, task, training, run, console=console, expected=expected)


def _change(run: Run, after: RunConfig, report: Callable[[str], None]) -> Run:
    """State and record how `after` differs from the run's config, if it does; return the run with that config."""
    before = run.read_config(RunConfig)
    changes = find_changes(before, after)
    newest = newest_checkpoint(run.checkpoints, only=PARTS) if changes else None
    if not changes or (newest is None and run.checkpoint_steps()):  # all are damaged: `fit` will say so
        return run
    step, patience = 0, after.training.evaluation.patience
    if newest is not None:
        found = load_checkpoint(newest, only=("training",))
        told = read_training(found, newest, config=run.config, earlier=lambda: earlier_configs(run))
        step = told["step"]
        if after.training.steps <= step:
            raise InputError(
                f"expected training.steps above the {step} that {run.path} has taken, found {after.training.steps}: "
                "raise it, nothing is left to change"
            )
        if patience is not None and told["stopping"]["n_since_best"] >= patience:
            raise InputError(
                f"expected training.evaluation.patience above the {told['stopping']['n_since_best']} evaluations "
                f"without a new best that ended {run.path}, found {patience}: raise it"
            )
    report(describe_changes(changes, before, after, step=step))
    return record_changes(run, changes, step=step)


def describe(run: Run, config: RunConfig, prepared: Prepared, model: GPT, device: torch.device) -> list[str]:
    """Return what is about to be trained, in a few lines."""
    training, data = config.training, config.data
    tokens_per_step = training.sequences_per_step * config.model.context_length
    epochs = training.steps * tokens_per_step / prepared.train.n_tokens
    floor = "" if prepared.floor is None else f"; exact entropy {prepared.floor:.4f} bits per byte"
    return [
        f"run         {run.path}",
        f"corpus      {data.corpus}: {prepared.train.n_tokens:,} tokens to learn, "
        f"{prepared.validation.n_tokens:,} held out{floor}",
        f"vocabulary  {prepared.tokenizer.vocab_size:,} ({data.tokenizer})",
        f"model       {model.n_parameters():,} parameters: {config.model.n_layers} layers, "
        f"{config.model.d_model} wide, {config.model.n_heads} heads, context {config.model.context_length}",
        f"training    {training.steps:,} steps of {tokens_per_step:,} tokens ({epochs:.2g} epochs) on {device}",
    ]
