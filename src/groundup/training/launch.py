"""Language model runs: begin one, go on with one, also with stated changes."""

import shutil
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
    find_changes,
    record_changes,
    reopens,
)
from groundup.training.compute import RECORD, cpu_threads, settle
from groundup.training.devices import choose_device
from groundup.training.loop import Outcome, fit
from groundup.training.lost_record import by_reference, lacks_record
from groundup.training.metrics import set_damaged_lines_aside
from groundup.training.one_report import one_report
from groundup.training.preparation import Prepared, build_model, build_task, prepare_data
from groundup.training.progress import say
from groundup.training.run_folder import Run
from groundup.training.run_lock import locked
from groundup.training.standing import check_place


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

    A run that has ended, all of whose files are there, is left as it is (`Outcome.was_over`).

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
    page: list[str] = []  # shown when nothing refuses any more: what a resume may still find is its checkpoints damaged

    def report(line: str) -> None:
        page.append(line) if run.checkpoint_steps() else say(console, line)

    changes = find_changes(run.read_config(RunConfig), config)
    step = check_place(run, changes, config)
    device = choose_device(config.training.device)  # a wrong one is known before any text is read
    prepared = prepare_data(run, config.data, report=lambda line: say(console, line))
    model = build_model(config.model, prepared.tokenizer, seed=config.training.seed)
    task = build_task(config, prepared)
    for line in describe(run, config, prepared, model, device):
        report(line)
    training = config.training
    if lacks_record(run) and not reopens(changes):
        training = by_reference(run, training, device, report)
    if changes and step is not None:
        report(describe_changes(changes, run.read_config(RunConfig), config, step=step))
        run = record_changes(run, changes, step=step)
        if reopens(changes):
            (run.path / RECORD).unlink(missing_ok=True)  # history.jsonl has what it said
    training = settle(training, model, task, device=device, run=run.path, report=report)
    with cpu_threads(training.compute.threads):  # around all of it: checkpoints tell the number of threads
        expected = BandWatch(replace(config, training=training))
        return fit(model, task, training, run, console=console, expected=expected, bands=expected.shown, page=page)


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
