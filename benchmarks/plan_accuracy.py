"""`groundup plan` held against what happens: memory and time foretold, then taken by the run itself."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from groundup.cli.parse import parse
from groundup.cli.train import Train
from groundup.configs.run import RunConfig
from groundup.planning.plan import make_plan
from groundup.planning.quantities import in_bytes, in_time
from groundup.recipes import recipe

SHORT = "--training.evaluation.every-steps {every} --training.steps {steps}"
CHAR_6X384 = ("--model.n-layers 6 --model.d-model 384 --model.n-heads 6 --model.context-length 256 "
              "--training.batch-size 16 --training.evaluation.max-tokens 8192")  # fmt: skip
GPT2_124M = ("--model.n-layers 12 --model.d-model 768 --model.n-heads 12 --model.context-length 256 --model.dropout 0 "
             "--training.batch-size 2 --training.evaluation.max-tokens 1024 "
             "--training.evaluation.sample-tokens 50")  # fmt: skip
RUNS = {
    "tales": ("tales", SHORT.format(every=200, steps=600)),
    "shakespeare-char": ("shakespeare-char", SHORT.format(every=300, steps=900)),
    "shakespeare-gpt2": ("shakespeare-gpt2", SHORT.format(every=50, steps=100)),
    "characters, 6 x 384, context 256, batch 16": (
        "shakespeare-char",
        f"{CHAR_6X384} {SHORT.format(every=8, steps=16)}",
    ),
    "GPT-2 124M, context 256, batch 2": ("shakespeare-gpt2", f"{GPT2_124M} {SHORT.format(every=7, steps=14)}"),
}
TINY = ("--data.corpus tales --data.max-bytes 60000 --model.d-model 32 --training.steps 20 "
        "--training.evaluation.max-tokens 256 --training.evaluation.sample-tokens 8")  # fmt: skip

TRAIN = """
import sys
import torch
from groundup.cli.main import main
from groundup.training.peak_memory import peak_memory
code = main(sys.argv[1:])
print(peak_memory(torch.device("cpu")))
sys.exit(code)
"""


def foretold_and_taken(name, arguments):
    """Return a row: what the plan says, and what a process that trains takes from its start to its end."""
    chosen = parse(Train[RunConfig], arguments.split(), program="benchmark", default=Train(config=recipe(name))).config
    plan = make_plan(chosen)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", TRAIN, "train", name, "--out", str(Path(folder) / "run"), *arguments.split()]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(done.stderr)
    peak = int(done.stdout.split()[-1])
    return {
        "parameters": f"{plan.parameters.total:,}",
        "memory planned": in_bytes(plan.memory.peak),
        "measured": in_bytes(peak),
        "memory, planned / measured": f"{plan.memory.peak / peak:.2f}",
        "time planned": in_time(plan.times.total),
        "taken": in_time(seconds),
        "time, planned / taken": f"{plan.times.total / seconds:.2f}",
        "steps": f"{plan.times.steps / plan.times.total:.0%}",
        "MFU": f"{plan.utilization:.0%}",
    }


def run(tiny):
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command sets it
    runs = {"tiny": ("shakespeare-char", TINY)} if tiny else RUNS
    rows = [{"run": label, **foretold_and_taken(name, arguments)} for label, (name, arguments) in runs.items()]
    what = (
        "`groundup plan`, then the same run. Memory: the estimate from the config alone, against the most that the "
        "training process had resident. Time: from a trial, against the whole command from its start to its end. The "
        "recipes are cut to fewer steps, with evaluations, samples and checkpoints in proportion; steps is their part "
        "of the time planned."
    )
    return {"what": what, "rows": rows}
