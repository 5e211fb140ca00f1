"""Shows the training program: its options, two runs that differ in one of them, and what it says to a mistake."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from groundup.data.corpora import find_corpus
from groundup.errors import InputError
from groundup.training.metrics import read_metrics

OUT = Path("runs/sprints/09_train_gpt2")
RATES = ("0.001", "0.01")
SMALL = (
    "--model.d-model 64 --training.steps 60 --training.log-every 3 --training.schedule.warmup-steps 10 "
    "--training.evaluation.every-steps 15 --training.evaluation.max-tokens 4096 --training.evaluation.sample-tokens 60"
)


def groundup(arguments: str, folder: Path, *, shown: str | None = None) -> str:
    """Run the command in `folder` and return what it printed."""
    print(f"\n$ groundup {shown or arguments}")
    command = [sys.executable, "-m", "groundup", *arguments.split()]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr + (f"(exit code {done.returncode})\n" if done.returncode else "")


def main(out: Path = OUT) -> None:
    train = "train shakespeare-char"
    try:
        find_corpus("shakespeare")
    except InputError as error:  # not here and no network: it says what to put where
        train += " --data.corpus tales --data.max-bytes 1000000"
        print(f"{error}\nGoing on with {train}.")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        print(groundup("train --help", folder), end="")
        options = re.findall(r"^│ (--[\w.-]+)[^│\n]*", groundup(f"{train} --help", folder), re.MULTILINE)
        groups: dict[str, list[str]] = {}
        for option in options:
            groups.setdefault(option.lstrip("-").rpartition(".")[0] or "the run", []).append(option.rpartition(".")[2])
        print(f"{len(options)} options")
        for group, names in groups.items():
            print(f"  {group + ':':<24}{', '.join(name.lstrip('-') for name in names)}")

        curves = {}
        for rate in RATES:
            changed = f"--training.learning-rate {rate} --out runs/{rate}"
            told = groundup(
                f"{train} {SMALL} {changed}", folder, shown=f"{train} {changed} [and {SMALL.count('--')} more]"
            )
            print(told if rate == RATES[0] else told[told.rindex("done in") :], end="")
            curves[rate] = read_metrics(folder / "runs" / rate / "metrics.jsonl")
        print(
            "\nruns/" + RATES[0] + ":",
            ", ".join(sorted(p.name.partition(".out.")[0] for p in (folder / "runs" / RATES[0]).iterdir())),
        )
        for wrong in ("--training.step 5", "--model.n-heads 5", f"--out runs/{RATES[0]}"):
            print(groundup(f"{train} {wrong}", folder), end="")

    last = {rate: records[-1]["loss"] for rate, records in curves.items()}
    best = min(last, key=last.__getitem__)
    print(f"\nThe better learning rate of {' and '.join(RATES)} is {best}: validation loss {last[best]:.3f}.")
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(8, 4.6))
    for i, (rate, records) in enumerate(curves.items()):
        for kind, style in (("train", {"alpha": 0.4, "linewidth": 1.2}), ("validation", {"marker": "o"})):
            points = [(record["step"], record["loss"]) for record in records if record["kind"] == kind]
            panel.plot(*zip(*points, strict=True), color=f"C{i}", label=f"{rate}, {kind}", **style)
    panel.set(title="One option changed: --training.learning-rate", xlabel="step", ylabel="loss (nats per token)")
    panel.grid(axis="y")
    panel.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "command_line.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
