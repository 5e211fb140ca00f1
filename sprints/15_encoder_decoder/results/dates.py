"""Shows dates in many spellings becoming ISO dates: what is learned first, and which letters each digit comes from."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from rich.console import Console

from groundup.configs.generation import GenerationConfig
from groundup.configs.training import ComputeConfig
from groundup.data.pairs import load_test_pairs
from groundup.evaluation.alignment_plot import align, draw_on
from groundup.generation.translate import translate
from groundup.recipes.translation import dates
from groundup.training.kinds import start
from groundup.training.metrics import read_metrics
from groundup.training.translation import load_translator

OUT = Path("runs/sprints/15_encoder_decoder")
STEPS, EVERY, N_TEST = 450, 75, 500
SHOWN = ("18th of April 1920", "3/5/62", "the first of May 2031")
PARTS = {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}


def main(out: Path = OUT) -> None:
    config = dates()
    training = replace(
        config.training,
        steps=STEPS,
        device="cpu",
        compute=ComputeConfig(threads=1, linear="default"),
        evaluation=replace(config.training.evaluation, every_steps=EVERY, sample_tokens=0),
    )
    config = replace(config, data=replace(config.data, max_pairs=40_000), training=training, decoded_pairs=100)
    with tempfile.TemporaryDirectory() as folder:
        run = start(config, Path(folder) / "run", console=Console(quiet=True)).run
        measured = [record for record in read_metrics(run.metrics) if record["kind"] == "validation"]
        translator = load_translator(run.path, device="cpu").translator
    print("step   loss   characters right   dates right")
    for one in measured:
        print(f"{one['step']:>4}{one['loss']:>7.3f}{one['token_accuracy']:>19.1%}{one['exact_match']:>14.1%}")

    test, greedy = load_test_pairs(config.data), GenerationConfig(strategy="greedy", max_new_tokens=20)
    wanted = test.target[:N_TEST]
    said = translate(translator, test.source[:N_TEST], greedy).texts
    print(f"\nOf {N_TEST} dates never seen, in percent right:")
    print(f"  whole{sum(map(str.__eq__, said, wanted)) / N_TEST:>8.1%}")
    for name, part in PARTS.items():
        print(f"  {name:<5}{sum(a[part] == b[part] for a, b in zip(said, wanted, strict=True)) / N_TEST:>8.1%}")

    print("\nWhere the digits come from: the letter that each looks at most, the mean over layers and heads")
    shown = translate(translator, SHOWN, greedy).texts
    found = [align(translator, source, target) for source, target in zip(SHOWN, shown, strict=True)]
    for source, target, one in zip(SHOWN, shown, found, strict=True):
        most = "".join(one.source[place] for place in one.weights[:-1].argmax(axis=1))
        print(f"  {source:<24}{target}  {most}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, axes = plt.subplots(1, len(found), figsize=(13, 4.2))
    for panel, source, one in zip(axes, SHOWN, found, strict=True):
        draw_on(panel, one)
        panel.set_title(source)
    out.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / "dates.png")
    print(f"plot: {out / 'dates.png'}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
