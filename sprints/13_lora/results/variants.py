"""Shows LoRA's relatives at equal rank, steps and rate: rsLoRA, DoRA, LoRA+; and what the scale does as ranks grow."""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from rich.console import Console

from groundup.configs.finetune_defaults import finetune_training
from groundup.configs.finetune_runs import ClassifyConfig, HeadConfig, LabelledConfig
from groundup.configs.finetuning import LoRAConfig, TuningConfig
from groundup.configs.training import ComputeConfig, ScheduleConfig
from groundup.finetuning.launch import finetune
from groundup.recipes import recipe
from groundup.resolve import open_model
from groundup.training.launch import start
from groundup.training.metrics import read_metrics

OUT = Path("runs/sprints/13_lora")
QUIET = Console(quiet=True)
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
PRETRAINED, STEPS, RATE = 300, 80, 3e-3
ALL = LoRAConfig(rank=4, alpha=8.0, targets=("all",))
KINDS = {
    "LoRA, rank 4": ALL,
    "LoRA+, rank 4, B 8 times as fast": replace(ALL, b_rate=8.0),
    "DoRA, rank 4": replace(ALL, dora=True),
    "LoRA, rank 32": replace(ALL, rank=32),
    "rsLoRA, rank 32": replace(ALL, rank=32, rank_stabilized=True),
}


def pretrain(folder: Path) -> str:
    """Train a small GPT on tales, and return its folder as the name of a model."""
    config, schedule = recipe("tales"), ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    model = replace(config.model, context_length=128, d_model=64, n_heads=4)
    training = replace(config.training, steps=PRETRAINED, batch_size=8, schedule=schedule, **CPU)
    data = replace(config.data, max_bytes=1_500_000)
    start(replace(config, data=data, model=model, training=training), folder, console=QUIET)
    return str(folder)


def main(out: Path = OUT) -> None:
    training = finetune_training("lora", steps=STEPS, batch_size=16, evaluations=8)
    training = replace(training, learning_rate=RATE, **CPU)
    data = LabelledConfig(max_examples=800, test_fraction=0.4, max_tokens=128)  # moods, the default
    curves, scores = {}, {}
    print("                                   scale     learn   accuracy   log loss   seconds   after 40 steps: loss")
    with tempfile.TemporaryDirectory() as place:
        base = pretrain(Path(place) / "tales")
        for name, lora in KINDS.items():
            tuning, folder = TuningConfig(method="lora", lora=lora), Path(place) / name.replace(", ", " ")
            config = ClassifyConfig(base=base, data=data, tuning=tuning, training=training)
            finetune(replace(config, head=HeadConfig(pooling="mean")), folder, open_base=open_model, console=QUIET)
            test, cost = (json.loads((folder / f"{part}.json").read_text()) for part in ("test", "resources"))
            records = [one for one in read_metrics(folder / "metrics.jsonl") if one["kind"] == "validation"]
            curves[name] = [(one["step"], one["loss"]) for one in records]
            scores[name] = test["metrics"]["log_loss"]
            print(f"{name:<33}{lora.scale:>7.2f}{cost['trainable']:>10,}{test['metrics']['accuracy']:>11.1%}", end="")
            print(f"{scores[name]:>11.3f}{cost['seconds']:>10.1f}{dict(curves[name])[40]:>23.3f}")
    best = min(scores, key=lambda name: scores[name])
    print(f"One seed, one rate ({RATE:g}), {test['n']} test texts: the least loss has {best}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11.5, 4.4), sharey=True)
    for panel, names, title in (
        (panels[0], ("LoRA, rank 4", "LoRA+, rank 4, B 8 times as fast", "DoRA, rank 4"), "Rank 4"),
        (panels[1], ("LoRA, rank 4", "LoRA, rank 32", "rsLoRA, rank 32"), "alpha / rank fades, alpha / √rank does not"),
    ):
        for name in names:
            panel.plot(*zip(*curves[name], strict=True), "o-", color=f"C{list(KINDS).index(name)}", label=name)
        panel.set(title=title, xlabel="step")
        panel.legend()
    panels[0].set(ylabel="loss on validation texts", ylim=(0, None))
    out.mkdir(parents=True, exist_ok=True)
    path = out / "variants.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
