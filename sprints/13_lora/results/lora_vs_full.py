"""Shows LoRA of several ranks beside full fine-tuning and beside the last block: quality, parameters, memory, files."""

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

OUT = Path("runs/sprints/13_lora")
QUIET = Console(quiet=True)
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
PRETRAINED, STEPS = 300, 80
RATES = {"full": 3e-3, "last": 3e-3, "lora": 1e-2}  # an adapter's B begins at zero and has far to go
WAYS = {"full": TuningConfig(method="full"), "last block": TuningConfig(method="last")} | {
    f"LoRA, rank {rank}": TuningConfig(method="lora", lora=LoRAConfig(rank=rank, targets=("all",)))
    for rank in (1, 2, 4, 8, 16)
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
    data = LabelledConfig(max_examples=800, test_fraction=0.4, max_tokens=128)  # moods, the default
    found = {}
    print(
        "                learn     share   accuracy   95 % interval   log loss   learned state   checkpoint   seconds"
    )
    with tempfile.TemporaryDirectory() as place:
        base = pretrain(Path(place) / "tales")
        for name, tuning in WAYS.items():
            training = finetune_training(tuning.method, steps=STEPS, batch_size=16, evaluations=1)
            training = replace(training, learning_rate=RATES[tuning.method], **CPU)
            config = ClassifyConfig(base=base, data=data, tuning=tuning, training=training)
            folder = Path(place) / name
            finetune(replace(config, head=HeadConfig(pooling="mean")), folder, open_base=open_model, console=QUIET)
            test, cost = (json.loads((folder / f"{part}.json").read_text()) for part in ("test", "resources"))
            found[name] = test | cost
            accuracy, (low, high) = test["metrics"]["accuracy"], test["intervals"]["accuracy"]
            learn, state = cost["trainable"], 16 * cost["trainable"]  # weight, gradient, two moments: 4 bytes each
            print(f"{name:<13}{learn:>8,}{learn / cost['parameters']:>10.1%}{accuracy:>11.1%}{low:>9.1%} –", end="")
            print(f"{high:>7.1%}{test['metrics']['log_loss']:>11.3f}{state / 1e6:>13.2f} MB", end="")
            print(f"{cost['checkpoint_bytes'] / 1e6:>10.2f} MB{cost['seconds']:>10.1f}")
    print("Learned state: weights that learn, their gradients and AdamW's two moments, 16 bytes for each.")
    small, full = found["LoRA, rank 4"], found["full"]
    gap = small["metrics"]["accuracy"] - full["metrics"]["accuracy"]
    print(f"Rank 4 and full: {100 * gap:+.1f} points, with a {full['trainable'] / small['trainable']:.0f}th", end=" ")
    print("of the parameters; half of them are the table of tokens, which has no adapter.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4), width_ratios=(1.3, 1))
    figure.suptitle("The mood of a tale: LoRA beside full fine-tuning")
    for name, one in found.items():
        is_lora = one["method"] == "lora"
        accuracy, (low, high) = one["metrics"]["accuracy"], one["intervals"]["accuracy"]
        error, colour = [[accuracy - low], [high - accuracy]], "C0" if is_lora else "C1"
        left.errorbar(one["trainable"], accuracy, yerr=error, fmt="o", color=colour, capsize=3, linewidth=1.2)
        below = {"xytext": (0, -6), "textcoords": "offset points", "ha": "center", "va": "top", "fontsize": 9}
        left.annotate(name.removeprefix("LoRA, "), (one["trainable"], low), **below)
    left.set(title="Accuracy on test texts, with 95 % intervals", xlabel="parameters that learn", xscale="log")
    left.set_ylim(max(0.0, min(one["intervals"]["accuracy"][0] for one in found.values()) - 0.08), 1.01)
    bars = right.barh(list(found), [one["checkpoint_bytes"] / 1e6 for one in found.values()],
                      color=["C0" if one["method"] == "lora" else "C1" for one in found.values()])  # fmt: skip
    right.bar_label(bars, fmt="%.2f", padding=3)
    right.set(title="Weights in a checkpoint, MB")
    right.invert_yaxis()
    right.margins(x=0.15)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "lora_vs_full.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
