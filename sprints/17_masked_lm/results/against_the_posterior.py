"""Shows an encoder that learns to fill in hidden words of tales, beside the best that can be known of each of them."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.console import Console

from groundup.configs.masked import MaskedConfig
from groundup.configs.training import CheckpointConfig, ComputeConfig, EvaluationConfig
from groundup.evaluation.masked_posterior import compare_with_posterior, tale_posteriors
from groundup.evaluation.masked_prediction import HiddenTexts, predict_hidden
from groundup.recipes.masked import tales_mask
from groundup.training.kinds import start
from groundup.training.masked import build_task, load_masked_run, prepare_masked_data
from groundup.training.run_folder import Run
from groundup.training.state import load_weights
from groundup.weights.checkpoint import load_checkpoint
from groundup.weights.text_encoder import TextEncoder

OUT = Path("runs/sprints/17_masked_lm")
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
STEPS, EVERY, MEASURED, SHOWN = 480, 80, 8_000, 12


def small() -> MaskedConfig:
    """Return recipe tales-mask, narrower and shorter, with checkpoints to look back at."""
    told = tales_mask()
    training = replace(
        told.training,
        steps=STEPS,
        evaluation=EvaluationConfig(every_steps=STEPS, max_tokens=MEASURED, sample_tokens=0),
        checkpoints=CheckpointConfig(every_steps=EVERY, mark_every_steps=EVERY),
        **CPU,
    )
    data = replace(told.data, max_bytes=2_500_000)
    return replace(told, data=data, model=replace(told.model, d_model=96, n_heads=6), training=training)


def side_by_side(encoder: TextEncoder, measured: HiddenTexts) -> list[tuple[str, str, dict[str, tuple[float, float]]]]:
    """Return for each hidden word: it, what the model would fill in, and the exact chance and the model's by word."""
    found, spell = [], lambda token: encoder.tokenizer.decode([token]).strip()
    exact = list(tale_posteriors(measured, encoder.tokenizer, 1))
    for which, logits, targets in predict_hidden(encoder.model, measured):
        posteriors = [posterior for i in which for posterior in exact[i].values()]
        for row, true, posterior in zip(logits.softmax(-1), targets.tolist(), posteriors, strict=True):
            chances = {spell(token): (p, float(row[token])) for token, p in posterior.items()}
            found.append((spell(true), spell(int(row.argmax())), chances))
    return found


def main(out: Path = OUT) -> None:
    config, curves = small(), {}
    print("steps    right: model   at best    loss: model   at best   impossible words   certain words right")
    with tempfile.TemporaryDirectory() as place:
        start(config, Path(place) / "run", console=Console(quiet=True))
        run, encoder = Run.open(Path(place) / "run"), load_masked_run(Path(place) / "run", device="cpu")
        measured = build_task(config, prepare_masked_data(run, config)).measured
        for step in range(EVERY, STEPS + 1, EVERY):
            folder = run.checkpoint(step)
            load_weights(load_checkpoint(folder, only=("model",)), folder, encoder.model)
            curves[step] = found = compare_with_posterior(encoder.model, measured, encoder.tokenizer, 1)
            print(f"{step:>5}{found.expected_accuracy:>16.1%}{found.best_expected_accuracy:>10.1%}", end="")
            print(f"{found.loss:>15.3f}{found.entropy:>10.3f}{found.impossible:>19.1%}{found.certain[1]:>22.1%}")
        words = side_by_side(encoder, measured)
    print(f"\n{found.certain[0]} of {found.n_hidden} hidden words can only be one. Of the others, the first few:")
    for true, said, chances in [one for one in words if len(one[2]) > 1][:SHOWN]:
        likeliest = sorted(chances.items(), key=lambda pair: -pair[1][0])[:3]
        shown = ", ".join(f"{word} {p:.0%} ({q:.0%})" for word, (p, q) in likeliest)
        print(f"  {true:<11}said {said:<11}exact (model): {shown}{', …' if len(chances) > 3 else ''}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(15, 4.4))
    for axes, of_model, best, name in (
        (left, "expected_accuracy", "best_expected_accuracy", "filled in right"),
        (middle, "loss", "entropy", "nats a hidden word"),
    ):
        axes.plot(list(curves), [getattr(one, of_model) for one in curves.values()], "o-", label="model")
        axes.axhline(getattr(found, best), color="#4a7c59", linestyle="--", label="the best possible: exact posterior")
        axes.set(title=f"Hidden words: {name}", xlabel="step", ylim=(0, None))
        axes.legend()
    exact, said = np.array([pair for _, _, chances in words for pair in chances.values()]).T
    right.plot([1e-3, 1], [1e-3, 1], color="#888888", linewidth=1)
    right.scatter(exact, said.clip(1e-3), s=7, alpha=0.35, color="C2")
    right.set(title=f"Words that can stand there, after {STEPS} steps", xlabel="exact probability", xscale="log")
    right.set(ylabel="model", yscale="log", xlim=(1e-3, 1.2), ylim=(8e-4, 1.2))
    out.mkdir(parents=True, exist_ok=True)
    path = out / "against_the_posterior.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
