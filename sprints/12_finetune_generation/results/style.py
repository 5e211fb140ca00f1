"""Shows SmolLM2 tuned on Shakespeare: perplexity there and on other text, before and after, and texts side by side."""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
from rich.console import Console

from groundup.configs.finetune_defaults import finetune_training
from groundup.configs.finetune_runs import TextConfig
from groundup.configs.finetuning import LoRAConfig, TuningConfig
from groundup.configs.generation import GenerationConfig
from groundup.configs.run import DataConfig
from groundup.errors import InputError
from groundup.finetuning.launch import finetune
from groundup.finetuning.tuned import open_writer
from groundup.reports.comparison import compare
from groundup.reports.comparison_terminal import show
from groundup.reports.texts import held_out_text, unseen_tales
from groundup.resolve import open_model
from groundup.training.metrics import read_metrics
from groundup.training.run_folder import Run
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/12_finetune_generation")
STEPS, N_BYTES = 30, 3_000
PROMPTS = ("The old man opened the door and said:", "My friend, I have not slept for three nights,")


def main(out: Path = OUT) -> None:
    tuning = TuningConfig(method="lora", lora=LoRAConfig(rank=8, targets=("all",)))
    training = finetune_training("lora", steps=STEPS, batch_size=2, evaluations=1)
    evaluation = replace(training.evaluation, max_tokens=512, sample_tokens=0)
    training = replace(training, device="cpu", log_every=1, evaluation=evaluation)
    config = TextConfig(data=DataConfig(corpus="shakespeare"), context_length=128, tuning=tuning, training=training)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "shakespeare"
        try:
            finetune(config, folder, open_base=open_model, console=Console(quiet=True))
        except InputError as error:  # no Shakespeare here and no network: it says what to put where
            print(error, file=sys.stderr)
            sys.exit(2)
        cost = json.loads((folder / "resources.json").read_text(encoding="utf-8"))
        losses = [one["loss"] for one in read_metrics(folder / "metrics.jsonl") if "learning_rate" in one]
        base, tuned = open_model("smollm2"), open_writer(folder, open_base=open_model)
        found = compare(
            base,
            tuned,
            PROMPTS,
            domain=held_out_text(Run.open(folder), base.tokenizer, N_BYTES),
            general=unseen_tales(N_BYTES, run=None, tokenizers=[base.tokenizer]),
            generation=GenerationConfig(max_new_tokens=40, top_p=0.9, seed=5),
            context_length=128,
            names=("SmolLM2", "tuned"),
        )
    learn, everything = cost["trainable"], cost["parameters"]
    print(f"LoRA of rank 8 on every layer: {learn:,} of {everything:,} parameters learn, {learn / everything:.1%}.")
    print(f"{STEPS} steps of {2 * config.context_length} tokens of TinyShakespeare, {cost['seconds']:.0f} s.\n")
    show(found, Console(width=108, color_system=None))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(1.2, 1))
    figure.suptitle("SmolLM2 goes to the theatre")
    left.plot(range(1, len(losses) + 1), losses, ".", color="#999999", label="each step")
    means = [sum(losses[end - 5 : end]) / 5 for end in range(5, len(losses) + 1)]
    left.plot(range(3, len(losses) - 1), means, label="mean of 5")
    left.set(title="Loss on Shakespeare while it learns", xlabel="step", ylabel="nats per token")
    left.legend()
    readings = [reading for reading in (found.domain, found.general) if reading is not None]
    for i, name in enumerate(("base", "tuned")):
        heights = [getattr(reading, name).perplexity for reading in readings]
        bars = right.bar([k + 0.4 * i - 0.2 for k in range(len(readings))], heights, 0.38, label=name)
        right.bar_label(bars, [f"{height:.1f}" for height in heights], padding=2)
    right.set(title="Perplexity of text that it has not seen", ylabel="perplexity")
    right.set_xticks(range(len(readings)), [reading.name for reading in readings])
    right.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "style.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
