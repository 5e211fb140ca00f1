"""Shows a student of a quarter of its teacher's size, alone and distilled in several ways: how far the gap closes."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from rich.console import Console

from groundup.configs.distillation import DistillConfig, HiddenMatchConfig, SoftTargetConfig
from groundup.configs.training import ComputeConfig, EvaluationConfig, ScheduleConfig
from groundup.recipes import language
from groundup.resolve import open_model
from groundup.training.kinds import start
from groundup.training.metrics import read_metrics

OUT = Path("runs/sprints/18_distillation")
QUIET = Console(quiet=True)
STEPS, EVERY = 600, 100
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
WAYS = {
    "alone": {"soft": SoftTargetConfig(weight=0.0)},
    "soft targets": {"soft": SoftTargetConfig(weight=1.0)},
    "hidden states too": {"soft": SoftTargetConfig(weight=1.0), "hidden": HiddenMatchConfig(weight=0.3)},
}


def main(out: Path = OUT) -> None:
    told = language.tales()
    schedule = ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    evaluation = EvaluationConfig(every_steps=EVERY, max_tokens=4_096, sample_tokens=0)
    training = replace(told.training, steps=STEPS, batch_size=4, schedule=schedule, evaluation=evaluation, **CPU)
    data = replace(told.data, max_bytes=800_000, bpe_vocab_size=600)
    large = replace(told.model, context_length=128, d_model=96)
    small = replace(large, d_model=48, d_ff=96)
    curves, n_parameters = {}, {}
    with tempfile.TemporaryDirectory() as place:
        teacher = Path(place) / "teacher"
        start(replace(told, data=data, model=large, training=training), teacher, console=QUIET)
        target, watched = open_model(str(teacher)).model.n_parameters(), curve(teacher)
        for name, asked in WAYS.items():
            soft = replace(asked["soft"], folder=str(Path(place) / "said"))
            config = DistillConfig(teacher=str(teacher), data=replace(data, tokenizer="teacher"), model=small,
                                   **(asked | {"soft": soft, "training": training}))  # fmt: skip
            start(config, Path(place) / name, open_model=open_model, console=QUIET)
            curves[name] = curve(Path(place) / name)
            n_parameters[name] = open_model(str(Path(place) / name)).model.n_parameters()
    n_small = n_parameters["alone"]
    print(f"teacher: {target:,} parameters; student: {n_small:,} ({n_small / target:.0%}); steps of 512 tokens")
    closed = {
        name: [(curves["alone"][n] - found[n]) / (curves["alone"][n] - watched[n]) for n in watched]
        for name, found in curves.items()
    }
    print("validation loss after steps " + "".join(f"{n:>8}" for n in watched) + "   gap closed")
    print(f"  {'teacher':<26}" + "".join(f"{loss:8.3f}" for loss in watched.values()))
    for name, found in curves.items():
        shares = ", ".join(f"{share:.0%}" for share in closed[name])
        print(f"  {name:<26}" + "".join(f"{loss:8.3f}" for loss in found.values()) + f"   {shares}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4), width_ratios=(1.2, 1))
    figure.suptitle(f"A student of {n_small:,} parameters learns from a teacher of {target:,}")
    for name, found in curves.items():
        left.plot(list(found), list(found.values()), "o-", markersize=3, label=name)
    left.plot(list(watched), list(watched.values()), "--", color="0.4", linewidth=1, label="teacher")
    left.set(title="Validation loss, nats per token", xlabel="steps of 512 tokens", yscale="log")
    left.legend()
    for name, shares in closed.items():
        right.plot(list(watched), [100 * share for share in shares], "o-", markersize=3, label=name)
    right.set(title="How much of the gap to the teacher is closed, %", xlabel="steps of 512 tokens", ylim=(-5, 105))
    out.mkdir(parents=True, exist_ok=True)
    path = out / "closing_the_gap.png"
    figure.savefig(path)
    print(f"plot: {path}")


def curve(run: Path) -> dict[int, float]:
    """Return the validation loss of a run by step."""
    return {one["step"]: one["loss"] for one in read_metrics(run / "metrics.jsonl") if one["kind"] == "validation"}


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
