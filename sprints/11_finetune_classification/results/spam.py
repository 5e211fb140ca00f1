"""Shows spam told from ham by SmolLM2: most of it frozen, a head and the last block learn from a few hundred texts."""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from groundup.configs.finetune_defaults import finetune_training
from groundup.configs.finetune_runs import ClassifyConfig, LabelledConfig
from groundup.configs.finetuning import FreezingConfig, TuningConfig
from groundup.data.labelled import load_labelled
from groundup.errors import InputError
from groundup.evaluation.classification_plots import draw_classification
from groundup.evaluation.classification_report import measure_classification
from groundup.finetuning.launch import finetune
from groundup.finetuning.tuned import label_texts, open_classifier
from groundup.resolve import open_model
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/11_finetune_classification")
STEPS, N_TEXTS, RATE = 40, 400, 1e-3
OWN = ("Are we still on for lunch tomorrow?", "You have WON a free prize! Text CLAIM to 80800 now, £1.50/msg")


def main(out: Path = OUT) -> None:
    data = LabelledConfig(file="sms-spam", balanced=True, max_examples=N_TEXTS, test_fraction=0.4, max_tokens=48)
    try:
        splits = load_labelled(data)
    except InputError as error:  # not here and no network: it says what to put where
        data = replace(data, file="moods")
        splits = load_labelled(data)
        print(f"{error}\nGoing on with {data.file}.")
    print(f"{data.file}: {'; '.join(splits.notes)}")
    parts = {"to learn": splits.train, "for validation": splits.validation, "for the test": splits.test}
    print(", ".join(f"{len(part.texts)} {name}" for name, part in parts.items()))
    for label, name in enumerate(splits.names):
        print(f"  {name:<5}{splits.train.texts[splits.train.labels.index(label)]:.96}")

    tuning = TuningConfig(method="last", freezing=FreezingConfig(last_blocks=1))
    training = replace(finetune_training("last", steps=STEPS, batch_size=8, evaluations=1), learning_rate=RATE)
    training = replace(training, device="cpu", evaluation=replace(training.evaluation, sample_tokens=0))
    config = ClassifyConfig(data=data, tuning=tuning, training=training)  # SmolLM2 is the default
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "spam"
        finetune(config, run, open_base=open_model, console=Console(quiet=True))
        cost = json.loads((run / "resources.json").read_text(encoding="utf-8"))
        tuned = open_classifier(run, open_base=open_model)
    learn, everything = cost["trainable"], cost["parameters"]
    print(f"\n{learn:,} of {everything:,} parameters learn, {learn / everything:.1%}: the last block,", end=" ")
    print(
        f"the final norm and the head; {STEPS} steps of {training.batch_size} texts, {cost['tokens']:,} tokens,",
        end=" ",
    )
    print(f"{cost['seconds']:.0f} s. A checkpoint holds what learned: {cost['checkpoint_bytes'] / 1e6:.1f} MB.")

    labels = np.array(splits.test.labels)
    probabilities = label_texts(tuned, splits.test.texts).probabilities
    report = measure_classification(labels, probabilities, splits.names)
    print(f"\n{report.n} test texts          95 % interval")
    for name, value in report.metrics.items():
        interval = "–".join(f"{end:.3f}" for end in report.intervals.get(name, ()))
        print(f"  {name:<18}{value:>6.3f}   {interval}")
    print("label      predicted " + "".join(f"{name:>8}" for name in splits.names) + "   precision   recall")
    for one, row in zip(report.labels, report.confusion, strict=True):
        print(f"  {one.name:<18} " + "".join(f"{n:>8}" for n in row), end="")
        print(f"{one.precision:>12.3f}{one.recall:>9.3f}")
    sure = probabilities.max(1)
    wrong = [i for i in np.argsort(-sure) if probabilities[i].argmax() != labels[i]]
    print(f"\nWrong, the surest first ({len(wrong)} of {len(labels)}):")
    for i in wrong[:6]:
        said = splits.names[probabilities[i].argmax()]
        print(f"  said {said}, {sure[i]:.0%}: {splits.test.texts[i]:.100}")
    print("Of one's own:")
    for text, row in zip(OWN, label_texts(tuned, OWN).probabilities, strict=True):
        print(f"  {splits.names[row.argmax()]}, {row.max():.0%}: {text}")

    out.mkdir(parents=True, exist_ok=True)
    path = out / "spam.png"
    title = f"SmolLM2, head and last block, {len(splits.train.texts)} texts learned: {report.n} others"
    draw_classification(path, labels, probabilities, names=splits.names, title=title)
    print(f"plot: {path}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
