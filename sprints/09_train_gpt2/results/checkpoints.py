"""Shows what a checkpoint holds, and what going on from it is like with and without the optimizer's file."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from rich.console import Console

from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import CheckpointConfig, EvaluationConfig, ScheduleConfig, TrainConfig
from groundup.data.tokens import open_tokens
from groundup.data.windows import Windows
from groundup.training.launch import resume, start
from groundup.training.metrics import read_metrics
from groundup.training.schedules import learning_rate
from groundup.weights.checkpoint import load_checkpoint, save_checkpoint

OUT = Path("runs/sprints/09_train_gpt2")
STEPS, SAVED = 40, 10
TRAINING = TrainConfig(
    steps=STEPS,
    learning_rate=3e-3,
    log_every=1,
    schedule=ScheduleConfig(warmup_steps=5),
    evaluation=EvaluationConfig(every_steps=SAVED, max_tokens=2_048, sample_tokens=0),
    checkpoints=CheckpointConfig(every_steps=SAVED, keep_last=STEPS),
)
CONFIG = RunConfig(
    data=DataConfig(corpus="tales", max_bytes=200_000),  # needs no file
    model=GPTConfig(context_length=32, d_model=48, n_layers=2, n_heads=4, dropout=0.1),
    training=TRAINING,
)
QUIET = Console(quiet=True)


def metrics_of(run: Path) -> list[dict[str, Any]]:
    return [record for record in read_metrics(run / "metrics.jsonl") if record["kind"] == "train"]


def main(out: Path = OUT) -> None:
    curves = {}
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "never stopped"
        start(CONFIG, whole, console=QUIET)
        records = metrics_of(whole)
        curves[whole.name] = [record["loss"] for record in records]
        folder = whole / "checkpoints" / f"step-{SAVED}"
        for path in sorted(folder.iterdir()):
            print(f"{folder.name}/{path.name:<24}{path.stat().st_size:>9,} bytes")
        checkpoint = load_checkpoint(folder)
        told = checkpoint.documents["training"]
        moments = sorted({name.rpartition(".")[2] for name in checkpoint.tensors["optimizer"]})
        n_tokens = CONFIG.model.context_length * TRAINING.batch_size
        windows = Windows(open_tokens(whole / "tokens", "train").ids, CONFIG.model.context_length, TRAINING.seed)
        print(f"model       {len(checkpoint.tensors['model'])} tensors")
        print(f"optimizer   {', '.join(moments)} of each")
        print(f"step        {told['step']}, {told['tokens']:,} tokens = {told['step']} · {n_tokens}", end="; ")
        print(f"epoch {told['step'] / windows.steps_per_epoch(TRAINING.batch_size):.3f}, from the step alone")
        print(f"validation  {', '.join(f'{name} {value:.4f}' for name, value in told['metrics'].items())}")
        print(f"best        {told['stopping']}")
        again = [learning_rate(step, TRAINING) for step in range(STEPS)]
        rates = [record["learning_rate"] for record in records]
        print(f"scheduler   a function of the step; what it gives now and what was used are equal: {again == rates}")

        for name in ("resumed", "resumed without the optimizer's file"):
            run = Path(shutil.copytree(whole, Path(place) / name))
            for path in (run / "checkpoints").iterdir():
                if path.name != folder.name:
                    shutil.rmtree(path)
            if name != "resumed":
                shutil.rmtree(run / "checkpoints" / folder.name)
                blank = {key: 0 * kept for key, kept in checkpoint.tensors["optimizer"].items()}  # as at step 0
                tensors = checkpoint.tensors | {"optimizer": blank}
                save_checkpoint(run / "checkpoints" / folder.name, tensors=tensors, documents=checkpoint.documents)
            resume(run, console=QUIET)
            curves[name] = [record["loss"] for record in metrics_of(run)]
    print(f"\nLoss of                               step {SAVED + 1}   step {SAVED + 2}   step {STEPS}   all equal")
    for name, losses in curves.items():
        print(f"{name:<37}{losses[SAVED]:>8.4f}{losses[SAVED + 1]:>10.4f}{losses[-1]:>10.4f}", end="")
        print(f"{losses == curves['never stopped']!s:>12}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(8.5, 4.6))
    styles = ({"color": "#BBBBBB", "linewidth": 6}, {"color": "C0"}, {"color": "C1", "linestyle": "--"})
    for (name, losses), style in zip(curves.items(), styles, strict=True):
        first = 0 if name == "never stopped" else SAVED - 1  # where the curves part
        panel.plot(range(first + 1, STEPS + 1), losses[first:], label=name, **style)
    panel.set(title=f"Going on from the checkpoint of step {SAVED}", xlabel="step", ylabel="loss (nats per character)")
    panel.legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(path := out / "checkpoints.png")
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
