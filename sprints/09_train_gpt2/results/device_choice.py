"""Shows which devices are here, the same run on each of them, and bfloat16 beside float32."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import matplotlib.pyplot as plt
import torch
from rich.console import Console

from groundup.configs.model import GPTConfig
from groundup.configs.run import DataConfig, RunConfig
from groundup.configs.training import EvaluationConfig, ScheduleConfig, TrainConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.training.devices import choose_device
from groundup.training.launch import start
from groundup.training.metrics import read_metrics
from groundup.weights.checkpoint import load_checkpoint

OUT = Path("runs/sprints/09_train_gpt2")
STEPS = 40
CONFIG = RunConfig(
    data=DataConfig(corpus="tales", max_bytes=100_000),  # needs no file
    model=GPTConfig(context_length=64, d_model=64, n_layers=2, n_heads=4),
    training=TrainConfig(
        steps=STEPS,
        log_every=1,
        learning_rate=3e-3,
        schedule=ScheduleConfig(warmup_steps=5),
        evaluation=EvaluationConfig(every_steps=STEPS, max_tokens=1_024, sample_tokens=0),
    ),
)


def main(out: Path = OUT) -> None:
    devices = [name for name in get_args(get_type_hints(TrainConfig)["device"]) if name != "auto"]
    here = []
    print(f"auto   -> {choose_device().type}")
    for name in devices:
        try:
            here.append(choose_device(name).type)
            print(f"{name:<6} -> here")
        except InputError as error:
            print(f"{name:<6} -> {error}")

    tokens, logits = torch.arange(64)[None], {}
    for name in here:
        torch.manual_seed(0)  # weights are drawn on the CPU, then moved: the same on every device
        with torch.no_grad():
            logits[name] = GPT(replace(CONFIG.model, vocab_size=64)).to(name)(tokens.to(name)).cpu()
    for name in (name for name in here if name != "cpu"):
        apart = (logits[name] - logits["cpu"]).abs().max()
        print(f"Initial logits on {name} differ from the CPU's by at most {apart:.0e}.")

    print(f"\n{STEPS} steps    precision   weights    last loss   validation loss   tokens/s")
    curves, rates = {}, {}
    with tempfile.TemporaryDirectory() as place:
        for name in here:
            for precision in ("float32", "bfloat16"):
                run = Path(place) / f"{name}-{precision}"
                training = replace(CONFIG.training, device=name, precision=precision)
                outcome = start(replace(CONFIG, training=training), run, console=Console(quiet=True))
                records = [r for r in read_metrics(run / "metrics.jsonl") if r["kind"] == "train"]
                curves[f"{name}, {precision}"] = [record["loss"] for record in records]
                speeds = sorted(record["tokens_per_second"] for record in records)
                rates[f"{name}, {precision}"] = speeds[len(speeds) // 2]
                weights = load_checkpoint(outcome.run.checkpoint(STEPS)).tensors["model"].values()
                kinds = {str(weight.dtype).removeprefix("torch.") for weight in weights}
                print(f"{name:<11}{precision:<12}{', '.join(kinds):<11}{records[-1]['loss']:>9.3f}", end="")
                print(f"{outcome.metrics['loss']:>18.3f}{rates[f'{name}, {precision}']:>11,.0f}")
    first = next(iter(curves.values()))
    apart = max(abs(a - b) for losses in curves.values() for a, b in zip(losses, first, strict=True))
    print(f"Losses of a step differ between these runs by at most {apart:.0e}.", end=" ")
    fastest = max(rates, key=rates.__getitem__)
    print(f"Fastest here, for a model this small: {fastest}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2))
    figure.suptitle("The same run by device and precision")
    for i, (name, losses) in enumerate(curves.items()):
        left.plot(range(1, STEPS + 1), losses, ("-", "--")[i % 2], label=name)
        bars = right.barh(name, rates[name], color=f"C{i}")
        right.bar_label(bars, fmt="{:,.0f}", padding=4)
    left.set(title="Training loss", xlabel="step", ylabel="nats per character")
    left.legend()
    right.set(title="Tokens per second (median step)", xlim=(0, 1.25 * max(rates.values())))
    right.set_xticks([])
    right.spines["bottom"].set_visible(False)
    right.invert_yaxis()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "device_choice.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
