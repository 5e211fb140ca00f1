"""What a run does besides its steps: monitor, tracking and checkpoints as shares of a step; and what resuming costs.

A step of a run (`Session.advance`: the step, the monitor, metrics.jsonl, TensorBoard, progress) and the bare step it
contains (`Stepper.gradient` and `update`) take turns on the same model. A checkpoint is timed apart and divided by
the steps between two of the recipe. Resuming is reading the newest checkpoint, every checksum compared, into a model
and its optimizer; an evaluation is the recipe's, on as many tokens. Tokens are random: no step depends on them.
"""

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.training_speed import CPU, Numbers, token_file
from groundup.models.gpt import GPT
from groundup.recipes import recipe
from groundup.tasks.language_modeling import LanguageModeling
from groundup.training.compute import cpu_threads, settle
from groundup.training.early_stopping import EarlyStopping
from groundup.training.interruption import Interruption
from groundup.training.run_folder import Run
from groundup.training.session import Session
from groundup.training.state import TrainingState, restore_state
from groundup.training.step import Stepper
from groundup.training.tracking import Tracker

SETTINGS = {"shakespeare-char": (65, None), "tales": (1_438, 0)}  # vocabulary, end of text
BARE, WHOLE = "bare step", "step of a run"


def timed(action, *arguments):
    started = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - started


def build(name, folder, progress, n_validation):
    """Return a session of the recipe in a new folder, at step 0."""
    vocab_size, end_id = SETTINGS[name]
    config = recipe(name)
    torch.manual_seed(0)
    model = GPT(replace(config.model, vocab_size=vocab_size))
    task = LanguageModeling(train=token_file(vocab_size, 1_000_000), validation=token_file(vocab_size, n_validation),
                            tokenizer=Numbers(vocab_size), context_length=config.model.context_length,
                            training=config.training, end_id=end_id)  # fmt: skip
    training = settle(config.training, model, task, device=CPU)
    run = Run.create(folder / name, config)
    stepper = Stepper(model.train(), task, training, CPU)
    console = Console(file=progress, force_terminal=True, width=100)
    tracker = Tracker(run, training, console=console, step=0, evaluated_at=-1, seconds=0.0, floor=None)
    return Session(stepper, run, TrainingState(stopping=EarlyStopping(None)), tracker)


def alternate_steps(session, interruption, n_steps):
    """Return the seconds of bare steps and of a run's steps, one of each in turn."""

    def bare(step):
        gradient = session.stepper.gradient(step)
        gradient.loss.item(), gradient.norm.item()
        session.stepper.update(step)

    seconds = {BARE: [], WHOLE: []}
    for step in range(n_steps):
        turns = [(BARE, bare, step), (WHOLE, session.advance, interruption)]
        for name, action, argument in turns if step % 2 else reversed(turns):
            seconds[name].append(timed(action, argument))
    return seconds


def run(tiny):
    n_steps, repeats, rows = (3, 1, []) if tiny else (500, 5, [])
    for name in SETTINGS:
        with tempfile.TemporaryDirectory() as folder, (Path(folder) / "progress").open("w") as progress:
            session = build(name, Path(folder), progress, 1_000 if tiny else 100_000)
            threads, every = session.config.compute.threads, session.config.checkpoints.every_steps
            with cpu_threads(threads), session.tracker, Interruption() as interruption:
                alternate_steps(session, interruption, 2 if tiny else 20)  # not counted
                seconds = alternate_steps(session, interruption, n_steps)
                saves, resumes, evaluations = [], [], []
                for _ in range(repeats):
                    session.advance(interruption)
                    saves.append(timed(session.save))
                    newest = session.run.checkpoint(session.state.step)
                    resumes.append(timed(lambda at=newest, to=session: restore_state(
                        at, to.model, to.stepper.optimizer, EarlyStopping(None), config=to.run.config)))  # fmt: skip
                    evaluations.append(timed(session.task.evaluate, session.model))
        # Means, so that a look at the layers every 50 steps counts; without the hundredth that something disturbed.
        bare, whole = (statistics.mean(sorted(seconds[kind])[: -max(1, n_steps // 100)]) for kind in (BARE, WHOLE))
        save, resume, evaluation = map(statistics.median, (saves, resumes, evaluations))
        watched, saved = whole / bare - 1, save / every / bare
        rows.append({"recipe": name, "bare step ms": f"{1e3 * bare:.2f}", "step of a run ms": f"{1e3 * whole:.2f}",
                     "monitor and tracking": f"{watched:.1%}", "checkpoint ms": f"{1e3 * save:.0f}",
                     "every, steps": every, "checkpoints": f"{saved:.1%}", "together": f"{watched + saved:.1%}",
                     "resume ms": f"{1e3 * resume:.0f}", "evaluation ms": f"{1e3 * evaluation:.0f}"})  # fmt: skip
    what = (
        f"{torch.get_num_threads()} threads; {n_steps} steps of each kind, in turn; medians of {repeats} checkpoints, "
        "resumes and evaluations. Percent are shares of a bare step."
    )
    return {"what": what, "rows": rows}
