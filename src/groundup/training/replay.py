"""Takes a step of an earlier run again, from the checkpoint before it, and looks into it; the run stays as it is."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from groundup.configs.codec import from_dict
from groundup.configs.run import RunConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tasks.language_modeling import TokenBatch
from groundup.training.changes import compute_at, config_at, earlier_configs, read_history
from groundup.training.compute import cpu_threads, recorded
from groundup.training.devices import choose_device
from groundup.training.early_stopping import EarlyStopping
from groundup.training.environment import differences, environment
from groundup.training.fault import diagnose, show, write_report
from groundup.training.metrics import read_metrics
from groundup.training.preparation import Prepared, build_model, build_task, prepare_data
from groundup.training.progress import say
from groundup.training.run_folder import Run
from groundup.training.state import PARTS, restore_state
from groundup.training.step import Gradient, Stepper
from groundup.training.step_report import StepReport
from groundup.weights.manifest import verify_manifest

COMPARED = ("loss", "gradient_norm")
"""Figures of metrics.jsonl that a step taken again must reproduce, bit for bit."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """A step taken again."""

    report: StepReport
    """What it looked like from inside."""
    began_at: int
    """Steps behind the weights that it began from: a checkpoint's, or 0 for the initial ones."""
    n_compared: int
    """Steps, from there to this one, that metrics.jsonl has a record of."""
    unlike: dict[int, str]
    """Those that came out otherwise, by step: the figure, what was recorded, and what was found."""
    is_recorded: bool
    """Whether the step itself is one of those compared."""
    environment: str
    """How this machine and process differ from those of the checkpoint; "" if they do not."""

    @property
    def is_reproduced(self) -> bool | None:
        """Whether all that was recorded came out the same, bit for bit. None: nothing was recorded."""
        return None if self.n_compared == 0 else not self.unlike

    def verdict(self) -> str:
        """Say in one line whether what was recorded came out the same."""
        step, n = self.report.step, self.n_compared
        if self.unlike:
            first, what = next(iter(self.unlike.items()))
            why = self.environment or "another version, machine or number of threads made the run"
            return f"not reproduced: at step {first:,} {what} ({why})"
        own = f"step {step:,} has the recorded loss and gradient norm, bit for bit"
        if self.report.cause is not None:
            own = f"step {step:,} breaks as it did in the run, in the same place"
        others = n - self.is_recorded
        way = f"{others} recorded step{'s' * (others > 1)} on the way came out the same"
        if self.is_recorded:
            return f"reproduced: {own}" + (f"; {way}" if others else "")
        unknown = f"metrics.jsonl has no record of step {step:,}"
        return f"{unknown}; {way}, bit for bit" if others else f"{unknown}, nor of any on the way: not compared"


def replay(folder: Path, step: int, *, write: Path | None = None, console: Console | None = None) -> Replayed:
    """Take step `step` of a run again, without changing the run, and report on it.

    Steps are numbered as in metrics.jsonl: step N is the one after which N steps have been taken. It begins from the
    newest intact checkpoint before that step, or from the initial weights, and takes the steps between.

    Args:
        folder: the run.
        step: from 1.
        write: where to write the report too, as step-N.txt and step-N.json. None: nowhere.
        console: where to show it. None: standard output.

    Raises:
        InputError: not a run, a step that it has not taken, or one that cannot be reached, because a number before it
            is not finite.
    """
    console = Console() if console is None else console
    run = Run.open(folder)
    _check_step(run, step)
    training = recorded(run.read_config(RunConfig).training, run.path)
    device = choose_device(training.device)
    own_randomness = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    with own_randomness, cpu_threads(training.compute.threads):
        found = _Replay(run, device, console).take(step)
    say(console, "")
    show(
        found.report,
        lambda line, style: say(console, line, style=style),
        width=max(40, min(console.width, 120)),
    )
    say(console, f"\n{found.verdict()}", style="yellow" if found.unlike else "green" if found.n_compared else None)
    if write is not None:
        say(console, f"report in {write_report(write, found.report)}")
    return found


class _Replay:
    """Everything that `replay` holds while it takes steps."""

    def __init__(self, run: Run, device: torch.device, console: Console) -> None:
        self.run, self.device, self.console = run, device, console
        self.config = run.read_config(RunConfig)
        self.prepared = _open_data(run, self.config)
        self.recorded = {record["step"]: record for record in read_metrics(run.metrics) if record["kind"] == "train"}
        self.changed_at = {record["step"] for record in read_history(run)}
        self.n_compared = 0
        self.unlike: dict[int, str] = {}

    def take(self, step: int) -> Replayed:
        """Go to the step and take it apart."""
        start = self._newest_before(step)
        self.stepper = self._stepper(0 if start is None else start, None)
        told, began_at = "", 0
        if start is None:
            say(self.console, f"no checkpoint before step {step:,}: beginning from the initial weights")
        else:
            place = self.run.checkpoint(start)
            state = restore_state(
                place,
                self.stepper.model,
                self.stepper.optimizer,
                EarlyStopping(None),
                config=self.run.config,
                earlier=lambda: earlier_configs(self.run),
            )
            began_at, told = state.step, differences(state.environment, environment(self.device))
            say(self.console, f"beginning from {place}")
        self._advance(began_at, step)
        self._reconfigure(step - 1)
        gradient = self.stepper.gradient(step - 1)
        is_recorded = self._compare(step, gradient)
        report = diagnose(self.stepper, step - 1, seen=gradient, run=self.run)
        is_known_fault = self._compare_fault(report)
        return Replayed(
            report=report,
            began_at=began_at,
            n_compared=self.n_compared,
            unlike=self.unlike,
            is_recorded=is_recorded or is_known_fault,
            environment=told.partition(": ")[2],
        )

    def _newest_before(self, step: int) -> int | None:
        """Return the newest step below `step` that has an intact checkpoint; damaged ones are named."""
        for found in reversed(self.run.checkpoint_steps()):
            if found < step:
                try:
                    verify_manifest(self.run.checkpoint(found), only=PARTS)
                except InputError as error:
                    say(self.console, f"{error}\ngoing further back")
                else:
                    return found
        return None

    def _stepper(self, index: int, model: GPT | None) -> Stepper[GPT, TokenBatch]:
        """Return what takes step number `index` + 1, with the config that the run had then."""
        config = from_dict(RunConfig, config_at(self.run, index))
        # config.json says where to compute: the device of an earlier session may not be there any more.
        training = replace(config.training, device=self.config.training.device)
        training = recorded(training, self.run.path, earlier=compute_at(self.run, index))
        self.config = replace(config, training=training)
        if training.compute.threads is not None:  # `replay` puts it back
            torch.set_num_threads(training.compute.threads)
        if model is None:
            model = build_model(config.model, self.prepared.tokenizer, seed=config.training.seed)
            model.to(self.device).train()
        return Stepper(model, build_task(self.config, self.prepared), self.config.training, self.device)

    def _reconfigure(self, index: int) -> None:
        """Where the run went on with another config, go on with it too: with the same weights and moments."""
        if index in self.changed_at:
            moments = self.stepper.optimizer.state
            self.stepper = self._stepper(index, self.stepper.model)
            self.stepper.optimizer.state = moments

    def _advance(self, begin: int, step: int) -> None:
        """Take the steps after `begin` up to the one before `step`."""
        way = range(begin, step - 1)
        told = f"taking steps {begin + 1:,} to {step - 1:,} again"
        if len(way) and not self.console.is_terminal:
            say(self.console, told)
        for index in track(way, told, console=self.console, transient=True, disable=not self.console.is_terminal):
            self._reconfigure(index)
            gradient = self.stepper.gradient(index)
            self._compare(index + 1, gradient)
            if math.isfinite(gradient.loss.item()) and math.isfinite(gradient.norm.item()):
                self.stepper.update(index)
            elif self.config.training.health.on_non_finite == "stop":
                raise InputError(
                    f"expected finite numbers on the way to step {step}, found loss {gradient.loss.item()}, "
                    f"gradient norm {gradient.norm.item()} at step {index + 1}: "
                    f"groundup replay {self.run.path} --step {index + 1}"
                )

    def _compare(self, step: int, gradient: Gradient) -> bool:
        """Hold a step against its record in metrics.jsonl; return whether there is one."""
        record: dict[str, Any] | None = self.recorded.get(step)
        if record is None:
            return False
        self.n_compared += 1
        found = {"loss": gradient.loss.item(), "gradient_norm": gradient.norm.item()}
        for name in COMPARED:
            if name in record and record[name] != found[name]:
                self.unlike[step] = f"{name.replace('_', ' ')} was {record[name]!r} and is {found[name]!r}"
                break
        return True

    def _compare_fault(self, report: StepReport) -> bool:
        """Hold a step that is not finite against the report that the run left; return whether there is one."""
        path = self.run.path / "faults" / f"step-{report.step}.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            places = [_place(told), _place(report.document())]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return False  # none, or none that can be read
        self.n_compared += 1
        if places[0] != places[1]:
            self.unlike[report.step] = f"{path.name} says {places[0]}, and now it is {places[1]}"
        return True


def _place(document: dict[str, Any]) -> str:
    """Say where a report saw a step break."""
    cause = document["cause"]
    where = "no fault" if cause is None else f"{cause['phase']} in {cause['module'] or 'the model'}"
    return f"loss {document['loss']}, {where}"


def _check_step(run: Run, step: int) -> None:
    """Refuse a step that the run has not taken, as far as its folder tells."""
    log_every = run.read_config(RunConfig).training.log_every
    faults = [path.stem.removeprefix("step-") for path in (run.path / "faults").glob("step-*.json")]
    records = [record["step"] for record in read_metrics(run.metrics) if record["kind"] == "train"]
    # After the last record up to log_every - 1 steps may have been taken, and one more tried.
    last = max([*(one + log_every for one in records), *(one + 1 for one in run.checkpoint_steps()), 0])
    last = max([min(last, run.read_config(RunConfig).training.steps), *(int(one) for one in faults if one.isdecimal())])
    if not 1 <= step <= last:
        taken = f"from 1 to {last}, as in metrics.jsonl" if last else "that has taken a step"
        what = "a step of the run" if last else "a run"
        raise InputError(f"expected {what} {taken}, found {step if last else run.path}: groundup resume goes on")


def _open_data(run: Run, config: RunConfig) -> Prepared:
    """Open the run's tokens; they are never made here, for that would write into the run."""
    if not run.tokenizer.exists() or not run.tokens.exists():
        raise InputError(f"expected the tokens of {run.path}, found none: groundup resume {run.path} makes them")
    return prepare_data(run, config.data)
