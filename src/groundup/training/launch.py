"""Language model runs: begin one, go on with one, also with stated changes."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from groundup.configs.run import RunConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
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
from groundup.training.run_folder import Run
from groundup.training.run_lock import locked
from groundup.training.state import PARTS, read_training
from groundup.weights.checkpoint import load_checkpoint, newest_checkpoint


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
