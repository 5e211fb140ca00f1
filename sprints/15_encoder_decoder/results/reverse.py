"""Shows an encoder–decoder that learns to write strings backwards, and where its cross-attention looks to do it."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.console import Console

from groundup.configs.generation import GenerationConfig
from groundup.configs.training import ComputeConfig
from groundup.data.pairs_reverse import reverse_pair
from groundup.evaluation.alignment_plot import align, draw_on
from groundup.generation.translate import translate
from groundup.recipes.translation import reverse
from groundup.training.kinds import start
from groundup.training.metrics import read_metrics
from groundup.training.translation import load_translator

OUT = Path("runs/sprints/15_encoder_decoder")
STEPS, EVERY, SHOWN = 450, 75, "attention"
LENGTHS, N_EACH, UNSEEN = (1, 2, 5, 10, 15, 20), 100, 99


def main(out: Path = OUT) -> None:
    config = reverse()
    training = replace(
        config.training,
        steps=STEPS,
        learning_rate=3e-3,  # twice the recipe's: there are few steps
        device="cpu",
        compute=ComputeConfig(threads=1, linear="default"),
        evaluation=replace(config.training.evaluation, every_steps=EVERY, sample_tokens=0),
    )
    model = replace(config.model, position="rotary")  # learned in a sixth of the time, and by what letters are
    data = replace(config.data, max_pairs=40_000)
    config = replace(config, data=data, model=model, training=training, decoded_pairs=100)
    with tempfile.TemporaryDirectory() as folder:
        run = start(config, Path(folder) / "run", console=Console(quiet=True)).run
        measured = [record for record in read_metrics(run.metrics) if record["kind"] == "validation"]
        translator = load_translator(run.path, device="cpu").translator
    print("step   loss   letters right   strings right")
    for one in measured:
        print(f"{one['step']:>4}{one['loss']:>7.3f}{one['token_accuracy']:>16.1%}{one['exact_match']:>16.1%}")

    print(f"\nStrings of each length that come out right, of {N_EACH} never seen:")
    greedy, right = GenerationConfig(strategy="greedy", max_new_tokens=30), {}
    for length in LENGTHS:
        pairs = [reverse_pair(UNSEEN, index, length=length) for index in range(N_EACH)]
        said = translate(translator, [source for source, _ in pairs], greedy).texts
        right[length] = sum(one == target for one, (_, target) in zip(said, pairs, strict=True)) / N_EACH
    print("  letters" + "".join(f"{length:>7}" for length in right))
    print("  right  " + "".join(f"{share:>7.0%}" for share in right.values()))

    n_layers = config.model.n_decoder_layers
    found = [align(translator, SHOWN, SHOWN[::-1], layer=layer) for layer in range(n_layers)]
    print(f"\nWhere the letters of {SHOWN[::-1]!r} are written from: weight on the right letter of {SHOWN!r}")
    for layer, one in enumerate(found):
        places = np.arange(len(SHOWN))
        on_it = one.weights[places, len(SHOWN) - 1 - places].mean()
        print(f"  layer {layer + 1}: {on_it:.0%} on average; by chance {1 / len(one.source):.0%}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, axes = plt.subplots(1, 1 + n_layers, figsize=(11, 3.8), gridspec_kw={"width_ratios": [1.1, 1, 1]})
    steps = [one["step"] for one in measured]
    for name, label in (("token_accuracy", "letters"), ("exact_match", "whole strings")):
        axes[0].plot(steps, [one[name] for one in measured], marker="o", label=label)
    axes[0].set(xlabel="step", ylabel="right", title="Strings never seen", ylim=(-0.03, 1.03))
    axes[0].legend()
    for layer, (panel, one) in enumerate(zip(axes[1:], found, strict=True)):
        draw_on(panel, one)
        panel.set_title(f"Cross-attention, layer {layer + 1}")
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "reverse.png")
    print(f"plot: {out / 'reverse.png'}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
