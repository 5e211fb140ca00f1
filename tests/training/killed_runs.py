"""A run with everything that could drift, sessions of it that are killed, and what must be the same in the end."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

from groundup.configs import (
    CheckpointConfig,
    DataConfig,
    EvaluationConfig,
    GPTConfig,
    RunConfig,
    ScheduleConfig,
    TrainConfig,
)
from groundup.training.metrics import read_metrics
from groundup.training.run_folder import Run

STEPS = 12


def config(corpus: Path) -> RunConfig:
    """Accumulation, dropout, evaluation, sampling, a checkpoint at each step, marks."""
    return RunConfig(
        data=DataConfig(corpus=str(corpus)),
        model=GPTConfig(context_length=16, d_model=16, n_layers=2, n_heads=2, dropout=0.2),
        training=TrainConfig(
            steps=STEPS,
            batch_size=2,
            accumulation_steps=2,
            learning_rate=1e-2,
            device="cpu",
            log_every=1,
            schedule=ScheduleConfig(warmup_steps=3),
            evaluation=EvaluationConfig(every_steps=4, max_tokens=200, sample_tokens=8),
            checkpoints=CheckpointConfig(every_steps=1, mark_every_steps=5),
        ),
    )


def write_corpus(folder: Path) -> Path:
    """Write a small text."""
    path = folder / "text.txt"
    path.write_text("".join(f"{n} green bottles on the wall, {n * n % 97} fell.\n" for n in range(200)))
    return path


# One process imports torch, and forks a session at a time; it never computes itself, so nothing of torch is running
# when it forks.
NURSERY = """
    import os, random, signal, sys, time
    from pathlib import Path
    import matplotlib.figure, torch._dynamo, torch.utils.tensorboard  # what a session would import, once for all
    from rich.console import Console
    from groundup.training.launch import resume

    run, kind, number = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

    def dies_at_event(n):
        '''Die just before the n-th time that anything in the run's folder is opened, made, renamed, removed, synced.'''
        left = n

        def count():
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def watch(event, given):
            if event in ("os.remove", "os.rmdir") or (
                event in ("open", "os.mkdir", "os.rename", "os.chmod") and str(run) in str(given[0])
            ):
                count()

        def fsync(descriptor, fsync=os.fsync):
            count()
            fsync(descriptor)

        os.fsync = fsync
        sys.addaudithook(watch)

    def session(prepare):
        child = os.fork()
        if child == 0:
            prepare()
            try:
                resume(run, console=Console(quiet=True))
            finally:
                sys.stdout.flush()
                os._exit(0 if sys.exc_info()[0] is None else (sys.excepthook(*sys.exc_info()), 1)[1])
        return child

    n_kills, chance = 0, random.Random(number)
    while True:
        if kind == "events":
            child = session(lambda: dies_at_event(number + n_kills))
        else:
            child = session(lambda: None)
            if n_kills < number:
                time.sleep(chance.uniform(0.0, 0.3))
                os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            break
        n_kills += 1
    print(n_kills, os.WEXITSTATUS(status))
"""


def killed_until_done(run: Path, kind: str, number: int) -> int:
    """Resume a run again and again, each time killed, until it is done; return how often it was killed.

    Args:
        run: its folder.
        kind: events (session k dies at its event number + k) or moments (killed `number` times at random moments).
        number: see kind.
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(NURSERY), str(run), kind, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    n_kills, code = map(int, done.stdout.split())
    assert code == 0, done.stderr
    return n_kills


def outcome(run: Run, steps: int) -> dict[str, object]:
    """Return all that a run has made, except what a clock says."""
    last = run.checkpoint(steps)
    training = json.loads((last / "training.json").read_text())
    del training["seconds"]
    clock = ("seconds", "tokens_per_second")
    return {
        "model": (last / "model.safetensors").read_bytes(),
        "optimizer": (last / "optimizer.safetensors").read_bytes(),
        "training": training,
        "metrics": [{n: v for n, v in record.items() if n not in clock} for record in read_metrics(run.metrics)],
        "samples": {path.name: path.read_text() for path in run.samples.glob("*.txt")},
        "best": run.best,
        "checkpoints": {
            path.name: sorted(file.name for file in path.iterdir()) for path in run.checkpoints.glob("step-*")
        },
        "files": sorted(path.name for path in run.path.iterdir() if not path.name.startswith("events")),
    }
