"""Proof on this machine that a run which is killed and resumed ends in the same bits as one that is not."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from groundup.configs.run import Configured
from groundup.errors import InputError
from groundup.training.metrics import read_metrics
from groundup.training.run_folder import Run

FEWEST_STEPS = 6
"""Below it there is no room for three kills at different steps."""
MOST = {"max_bytes": 1_000_000, "max_pairs": 2_000}
"""What the proof reads, by the field of the data's config that says so: more would only take longer."""
COMPARED = ("model.safetensors", "optimizer.safetensors")
"""Files of the last checkpoint that must be the same, byte for byte."""
MOMENTS = {
    "step": "between gradient and update of step",
    "save": "inside the save after step",
    "evaluation": "in the evaluation after step",
}
"""Where `groundup.training.killed` can let a session die, and how that is said."""
_PREPARED = ("config.json", "tokenizer.json", "source-tokenizer.json", "data.json", "tokens", "compute.json")
C = TypeVar("C", bound=Configured)
_FIGURES = ("kind", "step", "loss", "gradient_norm", "learning_rate", "tokens", "bits_per_byte")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of two runs of one config."""

    step: int
    """Where both ended."""
    kills: tuple[tuple[str, int], ...]
    """When the second one was killed: (moment, step), see MOMENTS."""
    hashes: dict[str, tuple[str, str]]
    """SHA-256 of each compared file, of the run without a stop and of the other."""
    same_records: bool
    """Whether metrics.jsonl tells the same, but for what a clock says."""

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return self.same_records and all(one == other for one, other in self.hashes.values())


def shorten(config: C, steps: int) -> C:
    """Return `config` with fewer steps and all that could drift in them: the model and the batches stay.

    Raises:
        InputError: fewer than FEWEST_STEPS.

    Example:
        >>> from groundup.configs.run import RunConfig
        >>> shorten(RunConfig(), 24).training.evaluation.every_steps
        6
    """
    if steps < FEWEST_STEPS:
        raise InputError(f"expected at least {FEWEST_STEPS} steps, found {steps}: three kills need room")
    training, evaluation = config.training, config.training.evaluation
    evaluation = replace(
        evaluation,
        every_steps=max(2, steps // 4),
        max_tokens=min(evaluation.max_tokens, 4_096),
        sample_tokens=min(evaluation.sample_tokens, 16),
        patience=None,
    )
    checkpoints = replace(training.checkpoints, every_steps=max(1, steps // 8))
    training = replace(training, steps=steps, log_every=1, evaluation=evaluation, checkpoints=checkpoints)
    made: Any = config  # each kind has a data of its own
    most = {name: MOST[name] for name in MOST if name in {field.name for field in fields(made.data)}}
    shorter = {name: min(getattr(made.data, name) or number, number) for name, number in most.items()}
    changed: C = replace(made, data=replace(made.data, **shorter), training=training)
    return changed


def verify_resume(config: Configured, folder: Path, *, seed: int, report: Callable[[str], None]) -> Verdict:
    """Train a (shortened) config twice in `folder`: at one go, and killed three times and resumed each time.

    Each session is a process of its own. The second run reads the first one's tokens and its choices of threads and
    kernels, where it made any.

    Raises:
        InputError: a config that cannot be trained here.
    """
    whole = Run.create(folder / "whole", config)
    report(f"training {config.training.steps} steps at one go")
    _session(whole.path)
    killed = Run.open(_prepared_copy(whole.path, folder / "killed"))
    kills = choose_kills(config, seed)
    for moment, step in kills:
        report(f"killing another run {MOMENTS[moment]} {step}")
        _session(killed.path, moment, step)
    report("resuming it to its end")
    _session(killed.path)
    step = config.training.steps
    hashes = {name: (_hash(whole.checkpoint(step) / name), _hash(killed.checkpoint(step) / name)) for name in COMPARED}
    same_records = _records(whole) == _records(killed)
    return Verdict(step=step, kills=kills, hashes=hashes, same_records=same_records)


def choose_kills(config: Configured, seed: int) -> tuple[tuple[str, int], ...]:
    """Return three moments to die at, one in each third of the run.

    Example:
        >>> from groundup.configs.run import RunConfig
        >>> choose_kills(shorten(RunConfig(), 24), seed=0)
        (('step', 7), ('save', 12), ('evaluation', 18))
    """
    steps, chance = config.training.steps, random.Random(seed)
    saves = [step for step in range(steps) if step % config.training.checkpoints.every_steps == 0]
    evaluations = [step for step in range(steps + 1) if step % config.training.evaluation.every_steps == 0]
    third = steps // 3
    first = chance.randint(1, third)
    second = chance.choice([step for step in saves if first < step <= 2 * third])
    last = chance.choice([step for step in evaluations if step > second])
    return ("step", first), ("save", second), ("evaluation", last)


def format_verdict(verdict: Verdict) -> str:
    """Return a table of what was compared, and the verdict.

    Example:
        >>> kills = (("step", 7), ("save", 12), ("evaluation", 18))
        >>> hashes = {"model.safetensors": ("5f" * 32, "5f" * 32)}
        >>> print(format_verdict(Verdict(step=24, kills=kills, hashes=hashes, same_records=True)))
        after 24 steps         at one go         killed 3 times
        model.safetensors      5f5f5f5f5f5f5f5f  5f5f5f5f5f5f5f5f  same
        metrics.jsonl                                              same
        <BLANKLINE>
        exact: the killed run ended in the same bits
    """
    rows = [f"{f'after {verdict.step} steps':<23}{'at one go':<18}killed {len(verdict.kills)} times"]
    for name, (one, other) in verdict.hashes.items():
        rows.append(f"{name:<23}{one[:16]:<18}{other[:16]:<18}{_same(one == other)}")
    rows.append(f"{'metrics.jsonl':<59}{_same(verdict.same_records)}")
    told = "exact: the killed run ended in the same bits"
    return "\n".join([*rows, "", told if verdict.is_same else "NOT exact: the killed run ended in other bits"])


def _session(run: Path, moment: str = "", step: int = 0) -> None:
    """Train a run in a process until its end, or until it kills itself."""
    # -P: what lies in the folder where a person stands is not imported in place of a package.
    command = [sys.executable, "-P", "-m", "groundup.training.killed", str(run)]
    if moment:
        command += [moment, str(step)]
    # As the command line does for its own sessions: threads that wait leave the core to those that work.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000", **os.environ}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    expected = (-getattr(signal, "SIGKILL", signal.SIGTERM), 1) if moment else (0,)  # 1: Windows
    if done.returncode not in expected or (moment and done.stderr.strip()):
        said = (done.stderr.strip() or "nothing").splitlines()[-1].partition("InputError: ")
        raise InputError(said[2] or f"expected a session that {'dies' if moment else 'ends'}, found: {said[0]}")


def _prepared_copy(source: Path, target: Path) -> Path:
    """Copy what a run is made of, and nothing that it has learned."""
    target.mkdir()
    for path in (source / name for name in _PREPARED):
        if path.is_dir():
            shutil.copytree(path, target / path.name)
        elif path.exists():
            shutil.copyfile(path, target / path.name)
    return target


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _records(run: Run) -> list[dict[str, object]]:
    return [{name: record.get(name) for name in _FIGURES} for record in read_metrics(run.metrics)]


def _same(is_same: bool) -> str:
    return "same" if is_same else "DIFFERENT"
