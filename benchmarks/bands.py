"""Bands: the validation loss of each shipped recipe over three seeds, at each evaluation, and the band that follows.

A band is the mean of the seeds ± 5 of their standard deviations, or ± 1 % where that is wider. 5: a fourth seed lies
within 4.97 deviations of the mean of three in 95 of 100 cases (Student's t with two degrees of freedom, 4.30 · √(4/3)).
1 %: other processors, thread counts and number formats round otherwise, and three seeds can be alike by chance.

`BANDS_RECIPES=tales,shakespeare-char` chooses recipes (default: all), `BANDS_PROCESSES=2` the runs at a time (default:
one a core), each with one thread in float32.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from groundup.configs import Band
from groundup.recipes.language import RECIPES
from groundup.training.metrics import read_metrics

SEEDS = (1337, 1338, 1339)
DEVIATIONS, LEAST = 5.0, 0.01


def band(step, losses):
    mean = statistics.mean(losses)
    reach = max(DEVIATIONS * statistics.stdev(losses), LEAST * mean)
    return Band(step=step, low=round(mean - reach, 3), high=round(mean + reach, 3))


def losses_of(name, seed, tiny):
    """Train one recipe with one seed in a process of its own; return its validation loss by step."""
    with tempfile.TemporaryDirectory() as folder:
        fields = {"seed": seed, "precision": "float32", "device": "cpu", "compute.threads": 1,
                  "evaluation.sample-tokens": 0, "checkpoints.every-steps": 10**6}  # fmt: skip
        if tiny:
            fields |= {"steps": 4, "evaluation.every-steps": 2, "evaluation.max-tokens": 512}
        options = [text for field, value in fields.items() for text in (f"--training.{field}", str(value))]
        small = ["--data.max-bytes", "300000"] if tiny else []
        command = [sys.executable, "-m", "groundup", "train", name, "--out", f"{folder}/run", *options, *small]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2_000:]}{done.stderr[-2_000:]}")
        records = read_metrics(Path(folder) / "run" / "metrics.jsonl")
    return {record["step"]: record["loss"] for record in records if record["kind"] == "validation"}


def run(tiny):
    chosen = os.environ.get("BANDS_RECIPES", "").split(",") if os.environ.get("BANDS_RECIPES") else list(RECIPES)
    names = ["shakespeare-char"] if tiny else chosen
    processes = int(os.environ.get("BANDS_PROCESSES", os.cpu_count() or 1))
    with ThreadPoolExecutor(processes) as pool:
        pending = {name: [pool.submit(losses_of, name, seed, tiny) for seed in SEEDS] for name in names}
        found = {name: [future.result() for future in futures] for name, futures in pending.items()}
    rows = []
    for name, seeds in found.items():
        for step in sorted(set.intersection(*map(set, seeds))):  # patience may end one seed before another
            losses = [seed[step] for seed in seeds]
            suggested = band(step, losses)
            rows.append({"recipe": name, "step": step, "mean": f"{statistics.mean(losses):.4f}",
                         "min": f"{min(losses):.4f}", "max": f"{max(losses):.4f}",
                         "deviation": f"{statistics.stdev(losses):.4f}",
                         "band": f"Band(step={step}, low={suggested.low}, high={suggested.high})"})  # fmt: skip
    what = f"validation loss in nats per token, seeds {', '.join(map(str, SEEDS))}, one thread each, float32."
    return {"what": what, "rows": rows, "losses": json.loads(json.dumps(found))}
