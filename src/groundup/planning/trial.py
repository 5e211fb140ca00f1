"""A short trial of a run in a process of its own: real text, real steps, their time, and the memory they took.

A process of its own, because a process's peak of memory never falls again: what this one took before would hide it.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from groundup.configs.codec import from_dict, to_json
from groundup.configs.run import RunConfig
from groundup.errors import InputError

if TYPE_CHECKING:  # torch: only the child needs it
    from groundup.planning.workbench import Workbench

TRIAL_BYTES = 2_000_000
"""Text that the trial prepares; the time for all of it is in proportion."""
STEPS_SECONDS = 6.0
"""Time for steps that are timed, after those that are not."""
PART_SECONDS = 3.0
"""Time for the evaluation that is timed; a long one is cut and taken in proportion."""
MOST_STEPS = 60
SAMPLE_TOKENS = 48
"""Most tokens of the sample that is timed."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a trial measured. Seconds, each of the whole thing it names, unless said otherwise."""

    vocab_size: int
    """Of the tokenizer."""
    is_whole_text: bool
    """Whether the trial read all of the corpus, or its first TRIAL_BYTES."""
    n_train_tokens: int
    """Tokens to learn from, of the whole text."""
    startup: float
    """From starting Python to having imported everything."""
    preparation: float
    """Making the tokenizer, encoding all of the text, building the model and taking the first, slow step."""
    step: float
    """One optimizer step: the median."""
    step_spread: float
    """Half the distance between the quartiles of the steps, as a part of the median."""
    n_steps: int
    """Steps behind it."""
    evaluation: float
    """One evaluation of the run."""
    sample: float
    """One sample of the run."""
    checkpoint: float
    """Writing one checkpoint to the temporary folder."""
    peak_bytes: int | None
    """Most memory that the trial took: resident on the CPU, allocated on a GPU. None where the system does not say."""
    flops_per_second: float
    """The fastest matrix product in the precision of the run."""
    precision: str
    """What was computed in: the run's, settled where it was left open."""
    threads: int
    """CPU threads."""
    device: str
    """cpu, cuda or mps."""


def run_trial(config: RunConfig) -> Trial:
    """Prepare the beginning of the corpus, take a few steps, evaluate, sample and save, in a child process.

    It takes about 20 seconds for a small model. Nothing is left behind.

    Raises:
        InputError: whatever would stop the run: a corpus that is not there, a text that is too short.
    """
    command = [sys.executable, "-m", "groundup.planning.trial"]
    with tempfile.TemporaryDirectory(prefix="groundup-trial-") as folder:
        answer = Path(folder) / "answer.json"
        began = time.time()
        done = subprocess.run(
            [*command, str(answer), repr(began)], input=to_json(config), capture_output=True, text=True, check=False
        )
        try:
            told = json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise InputError(
                f"expected the trial to end, found {last[0]!r}: with --no-trial there is none"
                + (", and a process that the system kills has run out of memory" if done.returncode < 0 else "")
            ) from None
    if "refused" in told:
        raise InputError(told["refused"])
    return Trial(**told)


def beginning_of(config: RunConfig) -> RunConfig:
    """Return `config` with as much of its corpus as a trial reads: enough for windows on both sides of the split."""
    least = int(40 * config.model.context_length / min(config.data.validation_fraction, 0.5))
    n_bytes = max(TRIAL_BYTES, least)
    if config.data.max_bytes is not None:
        n_bytes = min(n_bytes, config.data.max_bytes)
    return replace(config, data=replace(config.data, max_bytes=n_bytes))


def _measure(config: RunConfig, folder: Path, began: float) -> Trial:
    """Do what `run_trial` promises, in this process."""
    from groundup.data.corpora import find_corpus
    from groundup.planning.workbench import Workbench
    from groundup.training.compute import cpu_threads

    startup = time.time() - began
    whole = find_corpus(config.data.corpus, max_bytes=config.data.max_bytes).n_bytes
    part = beginning_of(config)
    n_bytes = min(whole, part.data.max_bytes or whole)
    began = time.perf_counter()
    bench = Workbench(part, folder)
    preparation = time.perf_counter() - began - bench.tokenizer_seconds - bench.encoding_seconds
    preparation += bench.reading_seconds(n_bytes, whole)
    with cpu_threads(bench.config.training.compute.threads):
        return _measure_on(bench, startup, preparation, whole / n_bytes)


def _measure_on(bench: "Workbench", startup: float, preparation: float, whole: float) -> Trial:
    """Take steps, evaluate, sample and save; `whole` is the size of the text in units of what was prepared."""
    import torch

    from groundup.planning.machine import measure_peak
    from groundup.training.devices import arithmetic
    from groundup.training.peak_memory import peak_memory

    training = bench.config.training
    warming = bench.seconds(partial(bench.step, 0)) + bench.seconds(partial(bench.step, 1))
    times: list[float] = []
    while not times or (sum(times) < STEPS_SECONDS and len(times) < MOST_STEPS):
        times.append(bench.seconds(partial(bench.step, 2 + len(times))))
    step = statistics.median(times)
    quartiles = statistics.quantiles(times, n=4) if len(times) > 3 else [step, step, step]
    checkpoint = bench.checkpoint_seconds()
    evaluation = bench.evaluation_seconds(step, PART_SECONDS, round(bench.prepared.validation.n_tokens * whole))
    sample = bench.sample_seconds(SAMPLE_TOKENS)
    peak_bytes = peak_memory(bench.device)  # before the large matrices of the next lines
    precision = "bfloat16" if training.precision == "bfloat16" else "float32"
    with arithmetic(bench.device, training):
        peak = measure_peak(precision, bench.device.type)
    return Trial(
        vocab_size=bench.prepared.tokenizer.vocab_size,
        is_whole_text=whole == 1,
        n_train_tokens=round(bench.prepared.train.n_tokens * whole),
        startup=startup,
        preparation=preparation + max(0.0, warming - 2 * step),
        step=step,
        step_spread=(quartiles[2] - quartiles[0]) / 2 / step,
        n_steps=len(times),
        checkpoint=checkpoint,
        evaluation=evaluation,
        sample=sample,
        peak_bytes=peak_bytes,
        flops_per_second=peak.flops_per_second,
        precision=precision,
        threads=torch.get_num_threads(),
        device=bench.device.type,
    )


def _main(answer: Path, began: float) -> None:
    config = from_dict(RunConfig, json.loads(sys.stdin.read()))
    try:
        told = asdict(_measure(config, answer.parent, began))
    except InputError as error:
        told = {"refused": str(error)}
    answer.write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), float(sys.argv[2]))
