"""How much of the way from a small model to a large one distillation goes: tales, a quarter of the parameters.

All three learn the same text in as many steps, by the commands that a row names: the teacher, the student alone, and
the student from its teacher, three seeds each of the students. The share of the gap that is closed is
(alone - distilled) / (alone - teacher), of validation losses. Half an hour of two cores: each run is kept in a folder
(DISTILLATION, or runs/distillation) and only made if it is not there.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SEEDS = (1, 2, 3)
STEPS = 2_000
SMALL = "--model.d-model 56 --model.n-heads 4 --model.d-ff 160"
"""145,544 parameters: 24.8 % of the teacher's 586,624."""
WAYS = {
    "soft targets": "--soft.weight 1",
    "soft targets, T = 2": "--soft.weight 1 --soft.temperature 2",
}
"""What is asked of the teacher, by the name of its row."""
TINY = "--max-bytes 200000 --training.batch-size 1 --training.evaluation.max-tokens 500"


def run(tiny):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if tiny else Path(os.environ.get("DISTILLATION", "runs/distillation"))
        seeds, ways = (SEEDS[:1], dict(list(WAYS.items())[:1])) if tiny else (SEEDS, WAYS)
        teacher = reached(folder / "teacher", f"train tales {size_of(tiny, train=True)}")
        rows = []
        for name, asked in ways.items():
            for seed in seeds:
                alone = reached(folder / f"alone-{seed}",
                                f"train tales {SMALL} --training.seed {seed} {size_of(tiny, train=True)}")  # fmt: skip
                place = folder / f"{name.replace(' ', '-').replace(',', '').replace('=', '')}-{seed}"
                student = reached(place, f"distill {folder / 'teacher'} --student tales {SMALL} {asked} "
                                         f"--training.seed {seed} {size_of(tiny)}")  # fmt: skip
                rows.append(row(name, seed, teacher, alone, student))
        text = (
            f"{rows[0]['student']} parameters of the teacher's {rows[0]['teacher']}; {STEPS:,} steps of 1,024 tokens "
            "for each, validation loss in nats per token on 16,384 tokens; the text's own entropy is 0.3584."
        )
        return {"what": text, "rows": rows}


def size_of(tiny, *, train=False):
    """Return the options of all three."""
    if not tiny:
        return f"--training.steps {STEPS}"
    return (TINY.replace("--max-bytes", "--data.max-bytes") if train else TINY) + " --training.steps 2"


def row(name, seed, teacher, alone, student):
    gap = alone["loss"] - teacher["loss"]
    return {
        "way": name,
        "seed": seed,
        "teacher": f"{teacher['parameters']:,}",
        "student": f"{student['parameters']:,}",
        "teacher's loss": f"{teacher['loss']:.4f}",
        "student alone": f"{alone['loss']:.4f}",
        "student distilled": f"{student['loss']:.4f}",
        "gap closed": f"{(alone['loss'] - student['loss']) / gap:.1%}" if gap else "-",
        "seconds alone": f"{alone['seconds']:,.0f}",
        "seconds distilled": f"{student['seconds']:,.0f}",
    }


def reached(folder, asked):
    """Return what a run reached at its end; it is made, or goes on, where that is not known."""
    kept = folder.with_suffix(".json")
    if not kept.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        command = ["resume", str(folder)] if folder.exists() else [*asked.split(), "--out", str(folder)]
        print("groundup", *command, file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "groundup", *command], check=True, stdout=sys.stderr)
        kept.write_text(json.dumps(figures(folder)))
    return json.loads(kept.read_text())


def figures(folder):
    from groundup.training.trained import load_run

    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = next(line for line in reversed(lines) if line["kind"] == "validation")
    return {"loss": last["loss"], "seconds": last["seconds"],
            "parameters": load_run(folder, device="cpu").model.n_parameters()}  # fmt: skip
