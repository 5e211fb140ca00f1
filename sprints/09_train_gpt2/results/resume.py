"""Shows a run stopped by Ctrl-C that goes on as if it had never stopped: the same losses, weights, moments and text."""

import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from rich.console import Console

from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import EvaluationConfig, ScheduleConfig, TrainConfig
from groundup.training.launch import resume, start
from groundup.training.metrics import read_metrics
from groundup.weights.checkpoint import load_checkpoint

OUT = Path("runs/sprints/09_train_gpt2")
STEPS, STOP_AFTER = 40, 17
CONFIG = RunConfig(
    data=DataConfig(corpus="tales", max_bytes=200_000),  # needs no file
    model=GPTConfig(context_length=32, d_model=48, n_layers=2, n_heads=4, dropout=0.1),
    training=TrainConfig(
        steps=STEPS,
        learning_rate=3e-3,
        log_every=1,
        schedule=ScheduleConfig(warmup_steps=5),
        evaluation=EvaluationConfig(every_steps=10, max_tokens=2_048, sample_tokens=50),
    ),
)
QUIET = Console(quiet=True)


def press_ctrl_c(metrics: Path) -> None:
    """Interrupt this process as soon as the run has recorded step STOP_AFTER."""
    while not any(record["step"] >= STOP_AFTER for record in read_metrics(metrics)):
        time.sleep(0.001)
    signal.raise_signal(signal.SIGINT)


def main(out: Path = OUT) -> None:
    with tempfile.TemporaryDirectory() as place:
        whole, stopped = Path(place) / "whole", Path(place) / "stopped"
        start(CONFIG, whole, console=QUIET)
        threading.Thread(target=press_ctrl_c, args=(stopped / "metrics.jsonl",), daemon=True).start()
        outcome = start(CONFIG, stopped, console=QUIET)
        stop = outcome.step
        print(f"Ctrl-C: interrupted {outcome.interrupted}, at step {stop} of {outcome.n_steps};", end=" ")
        print(f"checkpoints: {', '.join(f'step-{step}' for step in outcome.run.checkpoint_steps())}")
        done = resume(stopped, console=QUIET)
        print(f"resumed: interrupted {done.interrupted}, at step {done.step} of {done.n_steps}\n")

        print("Held against a run that never stopped       equal")
        ours, theirs = (load_checkpoint(run / "checkpoints" / f"step-{STEPS}") for run in (stopped, whole))
        for file, tensors in theirs.tensors.items():
            equal = sum(torch.equal(tensor, ours.tensors[file][name]) for name, tensor in tensors.items())
            print(f"  {f'tensors of {file}.safetensors':<36}{equal:>7} of {len(tensors)}")
        records, expected = (read_metrics(run / "metrics.jsonl") for run in (stopped, whole))
        for name in ("loss", "gradient_norm", "learning_rate", "tokens", "bits_per_byte"):
            pairs = [(a[name], b[name]) for a, b in zip(records, expected, strict=True) if name in b]
            print(f"  {f'{name} in metrics.jsonl':<36}{sum(a == b for a, b in pairs):>7} of {len(pairs)}")
        samples = sorted(path.name for path in (whole / "samples").iterdir())
        same = [(stopped / "samples" / n).read_text() == (whole / "samples" / n).read_text() for n in samples]
        print(f"  {'samples':<36}{sum(same):>7} of {len(same)}")

    losses, wanted = ({r["step"]: r["loss"] for r in rows if r["kind"] == "train"} for rows in (records, expected))
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(8.5, 4.6))
    panel.plot(*zip(*wanted.items(), strict=True), color="#CCCCCC", linewidth=7, label="never stopped")
    for label, steps in (("before Ctrl-C", range(1, stop + 1)), ("resumed", range(stop + 1, STEPS + 1))):
        panel.plot(steps, [losses[step] for step in steps], "o-", linewidth=1.2, label=label)
    panel.axvline(stop + 0.5, color="#888888", linestyle=":", linewidth=1)
    panel.set(title=f"Stopped after step {stop}, resumed", xlabel="step", ylabel="loss (nats per character)")
    panel.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "resume.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # bits repeat for the same number of threads; so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
