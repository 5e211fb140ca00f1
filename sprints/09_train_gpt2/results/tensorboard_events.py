"""Shows what a run writes for TensorBoard, read back from its event files, and how to open it."""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import EvaluationConfig, ScheduleConfig, TrainConfig
from groundup.training.launch import start
from groundup.training.metrics import read_metrics

OUT = Path("runs/sprints/09_train_gpt2")
STEPS = 60
CONFIG = RunConfig(
    data=DataConfig(corpus="tales", max_bytes=200_000),  # needs no file
    model=GPTConfig(context_length=32, d_model=48, n_layers=2, n_heads=4),
    training=TrainConfig(
        steps=STEPS,
        learning_rate=3e-3,
        log_every=2,
        schedule=ScheduleConfig(warmup_steps=10),
        evaluation=EvaluationConfig(every_steps=15, max_tokens=2_048, sample_tokens=40),
    ),
)


def main(out: Path = OUT) -> None:
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        start(CONFIG, run, console=Console(quiet=True))
        files = list(run.glob("events.out.tfevents.*"))
        events = EventAccumulator(str(run), size_guidance={"scalars": 0})  # 0: keep all
        events.Reload()
        tags = events.Tags()
        curves = {tag: [(point.step, point.value) for point in events.Scalars(tag)] for tag in tags["scalars"]}
        texts = [tag for tag in tags["tensors"] if tag.startswith("sample")]
        n_samples = sum(len(events.Tensors(tag)) for tag in texts)
        records = read_metrics(run / "metrics.jsonl")
    print(f"{STEPS} steps: {len(files)} event file, {len(curves)} scalars, {n_samples} samples of text")
    print(f"{'tag':<41}points   first step   last step   last value   apart from metrics.jsonl by")
    for tag, points in curves.items():
        kind, _, name = tag.partition("/")
        told = {record["step"]: record[name] for record in records if record["kind"] == kind}  # nothing for health
        apart = max((abs(value - told[step]) / abs(told[step]) for step, value in points if step in told), default=None)
        print(f"{tag:<39}{len(points):>8}{points[0][0]:>13}{points[-1][0]:>12}{points[-1][1]:>13.4g}", end="")
        said = "not there" if apart is None else "nothing" if apart == 0 else f"{apart:.0e} of it"  # events: float32
        print(f"{said:>31}")
    print("\nTo look at all runs of a folder, while they train too:")
    print("  tensorboard --logdir runs        then open http://localhost:6006")

    panels_of = {
        "Loss (nats per token)": ("train/loss", "validation/loss"),
        "Learning rate": ("train/learning_rate",),
        "Gradient norm before clipping": ("train/gradient_norm",),
        "Validation bits per byte": ("validation/bits_per_byte",),
    }
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(2, 2, figsize=(9.5, 6.4), sharex=True)
    figure.suptitle("The scalars of one run, from its event file")
    for panel, (title, chosen) in zip(panels.flat, panels_of.items(), strict=True):
        for tag in chosen:
            line = "o-" if tag.startswith("validation") else "-"
            colour = "C1" if tag.startswith("validation") else "C0"
            panel.plot(*zip(*curves[tag], strict=True), line, color=colour, label=tag)
        panel.set(title=title, xlabel="step" if panel in panels[1] else "")
        panel.grid(axis="y")
        panel.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "tensorboard_events.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
