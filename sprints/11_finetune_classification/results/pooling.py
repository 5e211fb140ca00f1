"""Shows three ways to read a text's label off a GPT's hidden states: the last token's, their mean, or attention."""

import json
import math
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import get_args

import matplotlib.pyplot as plt
import torch
from rich.console import Console

from groundup.configs.finetune_defaults import finetune_training
from groundup.configs.finetune_runs import ClassifyConfig, HeadConfig, LabelledConfig
from groundup.configs.finetuning import FreezingConfig, TuningConfig
from groundup.configs.training import ComputeConfig, ScheduleConfig
from groundup.data.labelled import load_labelled
from groundup.finetuning.launch import finetune
from groundup.finetuning.tuned import Tuned, open_classifier
from groundup.recipes import recipe
from groundup.resolve import open_model
from groundup.training.launch import start
from groundup.training.metrics import read_metrics

OUT = Path("runs/sprints/11_finetune_classification")
QUIET = Console(quiet=True)
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
PRETRAINED, STEPS = 300, 100
POOLINGS = get_args(HeadConfig.__annotations__["pooling"])


def pretrain(folder: Path) -> str:
    """Train a small GPT on tales, and return its folder as the name of a model."""
    config, schedule = recipe("tales"), ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    model = replace(config.model, context_length=128, d_model=64, n_heads=4)
    training = replace(config.training, steps=PRETRAINED, batch_size=8, schedule=schedule, **CPU)
    data = replace(config.data, max_bytes=1_500_000)
    start(replace(config, data=data, model=model, training=training), folder, console=QUIET)
    return str(folder)


@torch.inference_mode()
def weights_of(tuned: Tuned, text: str) -> tuple[list[str], list[float]]:
    """Return the tokens of a text, and how much of the mean each is where the head pools by attention."""
    ids = tuned.base.encode(text)
    hidden = tuned.base.model.hidden_states(torch.tensor([ids]))[0]  # [T, D]
    scores = hidden @ tuned.model.pooling_query / math.sqrt(hidden.shape[-1])
    return [tuned.base.tokenizer.decode([token]) for token in ids], scores.softmax(0).tolist()


def main(out: Path = OUT) -> None:
    training = finetune_training("last", steps=STEPS, batch_size=16, evaluations=5)
    training = replace(training, learning_rate=3e-3, **CPU)
    data = LabelledConfig(max_examples=800, test_fraction=0.4, max_tokens=128)  # moods, the default
    tuning = TuningConfig(method="last", freezing=FreezingConfig(last_blocks=1))
    curves, opened = {}, {}
    print("pooling       learn   accuracy   95 % interval   seconds")
    with tempfile.TemporaryDirectory() as place:
        base = pretrain(Path(place) / "tales")
        for pooling in POOLINGS:
            head, folder = HeadConfig(pooling=pooling), Path(place) / pooling
            config = ClassifyConfig(base=base, data=data, head=head, tuning=tuning, training=training)
            finetune(config, folder, open_base=open_model, console=QUIET)
            opened[pooling] = open_classifier(folder, open_base=open_model)
            test, cost = (json.loads((folder / f"{part}.json").read_text()) for part in ("test", "resources"))
            low, high = test["intervals"]["accuracy"]
            records = read_metrics(folder / "metrics.jsonl")
            curves[pooling] = [(one["step"], one["accuracy"]) for one in records if "accuracy" in one]
            print(f"{pooling:<10}{cost['trainable']:>9,}{test['metrics']['accuracy']:>11.1%}{low:>9.1%}", end="")
            print(f" – {high:<6.1%}{cost['seconds']:>8.1f}")
    texts = load_labelled(data).test
    text = min(texts.texts, key=len)
    tokens, weights = weights_of(opened["attention"], text)
    print(f"\n{texts.names[texts.labels[texts.texts.index(text)]]}: {text}")
    quarters = [sum(weights[k * len(tokens) // 4 : (k + 1) * len(tokens) // 4]) for k in range(4)]
    print(f"Of its {len(tokens)} tokens, attention weighs the quarters", end=" ")
    print(", ".join(f"{quarter:.0%}" for quarter in quarters) + "; the mean weighs each 25%, last reads one token.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.4), width_ratios=(1, 1.5))
    for pooling, curve in curves.items():
        left.plot(*zip(*curve, strict=True), "o-", label=pooling)
    left.set(title="Accuracy on validation texts", xlabel="step", ylim=(0, 1.02))
    left.legend(loc="lower right")
    right.bar(range(len(tokens)), weights, color="C2")
    right.axhline(1 / len(tokens), color="#888888", linestyle=":", linewidth=1.5, label="mean: all the same")
    right.set_xticks(range(len(tokens)), [token.strip() for token in tokens], rotation=90, fontsize=6.5)
    right.set(title="What attention weighs in one tale", ylabel="weight", xlim=(-1, len(tokens)))
    right.legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "pooling.png")
    print(f"plot: {out / 'pooling.png'}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
