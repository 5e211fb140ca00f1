"""Shows DPO: a small GPT of tales is taught, from pairs of its own tales, to prefer those that end well."""

import sys
import tempfile
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.console import Console

from groundup.chat.examples import Pair
from groundup.configs.finetune_defaults import finetune_training
from groundup.configs.finetuning import LoRAConfig
from groundup.configs.generation import GenerationConfig
from groundup.configs.training import ComputeConfig, ScheduleConfig
from groundup.data.labelled_corpora import MOOD_OF, moods
from groundup.data.packing import Example
from groundup.data.tales_words import MOODS
from groundup.finetuning.lora import apply_lora
from groundup.generation.generate import generate
from groundup.recipes import recipe
from groundup.tasks.preference import PreferenceTuning
from groundup.training.launch import start
from groundup.training.step import Stepper
from groundup.training.trained import load_run

OUT = Path("runs/sprints/12_finetune_generation")
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
QUIET, STEPS, BETA, N, N_EACH = Console(quiet=True), 40, 0.5, 80, 4  # N openings to measure on, 2 N to learn from
DRAWING = GenerationConfig(max_new_tokens=90, temperature=0.8, seed=1)
ENDS_WELL = {word: MOOD_OF[end] not in ("sad", "sorry") for end, words in MOODS.items() for word in words}


def ends_well(text: str) -> bool | None:
    """Return whether the last mood of a tale is a good one; None: it has none."""
    words = [word for word in text.replace(",", "").replace(".", "").split() if word in ENDS_WELL]
    return ENDS_WELL[words[-1]] if words else None


def main(out: Path = OUT) -> None:
    config, schedule = recipe("tales"), ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    data, model = replace(config.data, max_bytes=1_500_000), replace(config.model, d_model=64, context_length=128)
    training = replace(config.training, steps=400, batch_size=8, schedule=schedule, **CPU)
    with tempfile.TemporaryDirectory() as place:
        start(replace(config, data=data, model=model, training=training), run := Path(place) / "tales", console=QUIET)
        loaded = load_run(run, device="cpu")
    model, tokenizer, end = loaded.model, loaded.tokenizer, loaded.tokenizer.end_id
    texts = [". ".join(text.split(". ")[:2]) + "." for text in moods(3 * N).texts]  # a tale's first two sentences
    openings = [[end, *tokenizer.encode(text)] for text in texts]
    drawn, pairs = generate(model, [ids for ids in openings[N:] for _ in range(N_EACH)], DRAWING, end_id=end), []
    for k, opening in enumerate(openings[N:]):
        tales = {ends_well(tokenizer.decode(ids)): ids for ids in drawn[k * N_EACH : (k + 1) * N_EACH]}
        if True in tales and False in tales:
            rows = [np.array([*opening, *tales[wanted], end]) for wanted in (True, False)]
            pairs.append(Pair(*(Example(row, np.arange(len(row)) >= len(opening)) for row in rows)))
    print(f"{len(pairs)} pairs, from {2 * N} openings with {N_EACH} tales each. The first, chosen and rejected:")
    print(*(f"  … {tokenizer.decode(one.ids[:-1].tolist())[-100:]}" for one in pairs[0]), sep="\n")
    tuned = deepcopy(model)
    training = replace(finetune_training("lora", steps=STEPS, batch_size=8), learning_rate=1e-3, **CPU)
    sides = {"train": pairs[:-16], "validation": pairs[-16:], "reference": tuned, "tokenizer": tokenizer}
    task = PreferenceTuning(**sides, training=training, beta=BETA)
    print(f"\n{len(apply_lora(tuned, LoRAConfig(rank=4, targets=('all',))))} adapters of rank 4, beta {BETA:g}")
    stepper, curve = Stepper(tuned, task, training, torch.device("cpu")), [task.evaluate(tuned)]
    for step in range(STEPS):
        stepper.gradient(step)
        stepper.update(step)
        if step % 10 == 9:
            curve.append(task.evaluate(tuned))
    for name in curve[0]:
        print(f"  {name:<9} every 10 steps" + "".join(f"{one[name]:>8.3f}" for one in curve))
    shares = {}
    print(f"\n{N} tales after other openings: end well, end badly, neither")
    for name, gpt in (("before", model), ("after", tuned)):
        tales = [text + tokenizer.decode(ids) for text, ids in
                 zip(texts, generate(gpt, openings[:N], DRAWING, end_id=end), strict=False)]  # fmt: skip
        ends = [ends_well(tale) for tale in tales]
        shares[name] = [ends.count(True) / N, ends.count(False) / N, ends.count(None) / N]
        print(f"  {name:<8}" + "".join(f"{share:>6.0%}" for share in shares[name]) + f"   … {tales[0][-70:]}")
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.2))
    left.plot(range(0, STEPS + 1, 10), [one["margin"] / BETA for one in curve], "o-")
    left.set(title="Chosen over rejected: likelier than before, by how much", xlabel="step", ylabel="nats")
    for k, (name, values) in enumerate(shares.items()):
        bars = right.bar([i + 0.4 * k - 0.2 for i in range(3)], values, 0.38, color=("#BBBBBB", "C0")[k], label=name)
        right.bar_label(bars, fmt="{:.0%}", padding=2)
    right.set_xticks(range(3), ["end well", "end badly", "neither"])
    right.set(title=f"{N} tales after other openings", ylim=(0, 1.15), yticks=[])
    right.legend()
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(path := out / "preferences.png")
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
