"""How much of the way from a small model to a large one distillation goes: tales, a quarter of the parameters.

The teacher is trained once. The student learns the same text alone, and from the teacher, in as many steps, by the
commands that a row names, three seeds each. The share of the gap that is closed is
(alone - distilled) / (alone - teacher), of validation losses. After 2,000 steps the student alone knows nearly all that
can be known of these tales, and little gap is left; after 1,000 there is one. Half an hour of two cores: each run is
kept in a folder (DISTILLATION, or runs/distillation) and only made if it is not there.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SEEDS = (1, 2, 3)
TEACHER_STEPS = 2_000
STEPS = (1_000, 2_000)
SMALL = "--model.d-model 56 --model.n-heads 4 --model.d-ff 160"
"""145,544 parameters: 24.8 % of the teacher's 586,624."""
TINY = "--training.batch-size 1 --training.evaluation.max-tokens 500"


def run(tiny):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if tiny else Path(os.environ.get("DISTILLATION", "runs/distillation"))
        lengths, seeds = ((2,), SEEDS[:1]) if tiny else (STEPS, SEEDS)
        teacher_steps = 2 if tiny else TEACHER_STEPS
        small_text = "--data.max-bytes 200000" if tiny else ""
        teacher = reached(folder / "teacher", f"train tales {small_text} {size_of(teacher_steps, tiny)}")
        rows = []
        for steps in lengths:
            for seed in seeds:
                size = f"{SMALL} --training.seed {seed} {size_of(steps, tiny)}"
                alone = reached(folder / f"alone-{steps}-{seed}", f"train tales {small_text} {size}")
                place = folder / f"distilled-{steps}-{seed}"
                text = "--max-bytes 200000" if tiny else ""
                student = reached(place, f"distill {folder / 'teacher'} --student tales {text} --soft.weight 1 {size}")
                rows.append(row(steps, seed, teacher, alone, student))
        text = (
            f"{rows[0]['student']} parameters of the teacher's {rows[0]['teacher']}, which learned for "
            f"{teacher_steps:,} steps; steps of 1,024 tokens, soft targets alone; validation loss in nats per token on "
            "16,384 tokens; the text's own entropy is 0.3584."
        )
        return {"what": text, "rows": rows}


def size_of(steps, tiny):
    """Return the options of all three."""
    return f"--training.steps {steps} {TINY if tiny else ''}"


def row(steps, seed, teacher, alone, student):
    gap = alone["loss"] - teacher["loss"]
    return {
        "steps": f"{steps:,}",
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
