"""Shows how much of a small pretrained GPT must learn to tell moods: the head, one block, all at once or by turns."""

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
from groundup.configs.finetuning import FreezingConfig, TuningConfig
from groundup.configs.training import ComputeConfig, EvaluationConfig, ScheduleConfig
from groundup.data.labelled import load_labelled
from groundup.finetuning.launch import finetune
from groundup.recipes import recipe
from groundup.resolve import open_model
from groundup.training.launch import start
from groundup.training.metrics import read_metrics

OUT = Path("runs/sprints/11_finetune_classification")
QUIET, ONE_THREAD = Console(quiet=True), ComputeConfig(threads=1, linear="default")
PRETRAINED, STEPS, N_BLOCKS = 300, 90, 4
POLICIES = {
    "head only": TuningConfig(method="last", freezing=FreezingConfig(last_blocks=0)),
    "head, last block": TuningConfig(method="last", freezing=FreezingConfig(last_blocks=1)),
    "head, last two": TuningConfig(method="last", freezing=FreezingConfig(last_blocks=2)),
    "one more every 18 steps": TuningConfig(method="full", freezing=FreezingConfig(unfreeze_every=18)),
    "each layer at 0.4 of the rate above": TuningConfig(method="full", freezing=FreezingConfig(layer_decay=0.4)),
    "everything": TuningConfig(method="full"),
}
FRESH = "everything, from random weights"


def pretrain(folder: Path, steps: int) -> str:
    """Train a small GPT on tales, and return its folder as the name of a model."""
    config = recipe("tales")
    model = replace(config.model, context_length=128, d_model=64, n_layers=N_BLOCKS, n_heads=4)
    schedule = ScheduleConfig(warmup_steps=min(30, steps), final_fraction=0.01)
    evaluation = EvaluationConfig(every_steps=steps, max_tokens=4_096, sample_tokens=0)
    training = replace(config.training, steps=steps, batch_size=8, device="cpu", schedule=schedule)
    training = replace(training, evaluation=evaluation, compute=ONE_THREAD)
    data = replace(config.data, max_bytes=1_500_000)
    start(replace(config, data=data, model=model, training=training), folder, console=QUIET)
    return str(folder)


def main(out: Path = OUT) -> None:
    training = replace(finetune_training("full", steps=STEPS, batch_size=16), learning_rate=3e-3, device="cpu")
    training = replace(training, precision="float32", compute=ONE_THREAD)
    training = replace(training, evaluation=replace(training.evaluation, every_steps=15, sample_tokens=0))
    data = LabelledConfig(max_examples=800, test_fraction=0.4, max_tokens=128)  # moods, the default
    curves, tests = {}, {}
    print("                                          learn   accuracy   95 % interval   seconds")
    with tempfile.TemporaryDirectory() as place:
        tales, random = pretrain(Path(place) / "tales", PRETRAINED), pretrain(Path(place) / "random", 1)
        for name, tuning in (POLICIES | {FRESH: POLICIES["everything"]}).items():
            config = ClassifyConfig(base=random if name == FRESH else tales, data=data, tuning=tuning)
            config = replace(config, head=HeadConfig(pooling="mean"), training=training)
            folder = Path(place) / name
            finetune(config, folder, open_base=open_model, console=QUIET)
            test, cost = (json.loads((folder / f"{part}.json").read_text()) for part in ("test", "resources"))
            accuracy, (low, high) = test["metrics"]["accuracy"], test["intervals"]["accuracy"]
            tests[name] = (accuracy, low, high)
            curves[name] = [(one["step"], one["accuracy"]) for one in read_metrics(folder / "metrics.jsonl")
                            if "accuracy" in one]  # fmt: skip
            print(f"{name:<36}{cost['trainable']:>11,}{accuracy:>11.1%}{low:>9.1%} – {high:<6.1%}", end="")
            print(f"{cost['seconds']:>8.1f}")
    test = load_labelled(data).test
    common = max(test.counts) / len(test.texts)
    print(f"{len(test.texts)} test texts of five moods; whoever always says the commonest is right in {common:.1%}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.6), width_ratios=(1.1, 1))
    figure.suptitle("The mood of a tale: what of the GPT learns")
    colours = [f"C{i}" for i in range(len(POLICIES))] + ["#888888"]
    for (name, curve), colour in zip(curves.items(), colours, strict=True):
        left.plot(*zip(*curve, strict=True), "o:" if name == FRESH else "o-", color=colour, label=name)
    left.axhline(common, color="#BBBBBB", linewidth=1, zorder=0)
    left.set(title="While it learns, on validation texts", xlabel="step", ylabel="accuracy", ylim=(0, 1.02))
    for row, ((name, (accuracy, low, high)), colour) in enumerate(zip(tests.items(), colours, strict=True)):
        right.barh(row, accuracy, 0.7, color=colour)
        right.errorbar(accuracy, row, xerr=[[accuracy - low], [high - accuracy]], color="#333333", capsize=3)
        right.text(0.015, row, name, va="center", color="white", fontsize=9, fontweight="bold")
    right.set(title="At the end, on test texts, with 95 % intervals", xlabel="accuracy", xlim=(0, 1.05), yticks=[])
    right.invert_yaxis()
    right.spines["left"].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "freezing.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
