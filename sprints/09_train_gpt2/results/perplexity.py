"""Shows what perplexity means, from a uniform guess to a GPT, and why only bits per byte compare two tokenizers."""

import bz2
import math
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.console import Console

from groundup.configs import DataConfig, EvaluationConfig, GPTConfig, RunConfig, ScheduleConfig, TrainConfig
from groundup.data.corpora import find_corpus
from groundup.errors import InputError
from groundup.evaluation.perplexity import Perplexity, byte_lengths_of, count_bytes, evaluate_tokens
from groundup.training.launch import start
from groundup.training.preparation import prepare_data
from groundup.training.trained import load_run

OUT = Path("runs/sprints/09_train_gpt2")
N_BYTES, STEPS = 400_000, 500


def measure(config: RunConfig, folder: Path) -> dict[str, Perplexity]:
    """Train a run, and judge four models on all of its validation text."""
    start(config, folder, console=Console(quiet=True))
    loaded = load_run(folder, device="cpu")
    prepared = prepare_data(loaded.run, config.data)
    train, held_out, V = prepared.train.ids, prepared.validation.ids, loaded.tokenizer.vocab_size
    lengths, targets = byte_lengths_of(loaded.tokenizer), held_out[1:]
    sizes = {"n_tokens": len(targets), "n_bytes": count_bytes(targets, lengths)}
    once = np.bincount(train, minlength=V) + 1.0  # one more of each, so that nothing is impossible
    pairs = np.bincount(train[:-1].astype(int) * V + train[1:], minlength=V * V).reshape(V, V)
    after = pairs + once / once.sum() * 10  # ten more of each token's followers, in the shares of all tokens
    shares = {
        "uniform": np.full(V, 1 / V)[targets],
        "token counts": (once / once.sum())[targets],
        "pair counts": (after / after.sum(1, keepdims=True))[held_out[:-1], targets],
    }
    found = {name: Perplexity(loss=-float(np.log(p).mean()), **sizes) for name, p in shares.items()}
    gpt = evaluate_tokens(loaded.model, held_out, context_length=config.model.context_length, byte_lengths=lengths)
    return found | {"GPT": gpt}


def main(out: Path = OUT) -> None:
    name = "shakespeare"
    try:
        find_corpus(name)
    except InputError as error:  # not here and no network: it says what to put where
        name = "tales"
        print(f"{error}\nGoing on with {name}.")
    text = "".join(find_corpus(name, max_bytes=N_BYTES).text()).encode()
    schedule, evaluation = ScheduleConfig(warmup_steps=20), EvaluationConfig(max_tokens=1_024, sample_tokens=0)
    training = TrainConfig(steps=STEPS, learning_rate=6e-3, device="cpu", schedule=schedule, evaluation=evaluation)
    model = GPTConfig(context_length=64, d_model=64, n_layers=2, n_heads=2, position="rotary")
    figures = {}
    with tempfile.TemporaryDirectory() as place:
        for tokenizer in ("characters", "bpe"):
            data = DataConfig(corpus=name, max_bytes=N_BYTES, tokenizer=tokenizer, bpe_vocab_size=512)
            figures[tokenizer] = measure(RunConfig(data=data, model=model, training=training), Path(place) / tokenizer)
    print(f"{name}, validation text; the GPT has trained {STEPS} steps")
    print("tokenizer    model          bytes a token   nats a token   perplexity   bits a byte")
    for tokenizer, found in figures.items():
        for kind, one in found.items():
            print(f"{tokenizer:<13}{kind:<15}{one.n_bytes / one.n_tokens:>13.2f}{one.loss:>15.3f}", end="")
            print(f"{one.perplexity:>13.1f}{one.bits_per_byte:>14.3f}")
    uniform, gpt = figures["bpe"]["uniform"], {tokenizer: found["GPT"] for tokenizer, found in figures.items()}
    print(f"\nPerplexity is exp(loss): exp({gpt['bpe'].loss:.3f}) = {math.exp(gpt['bpe'].loss):.1f}, and", end=" ")
    print(f"{uniform.perplexity:.1f} for a uniform guess among {round(math.exp(uniform.loss))} tokens.")
    lower, fewer = min(gpt, key=lambda t: gpt[t].perplexity), min(gpt, key=lambda t: gpt[t].bits_per_byte)
    print(f"Lower perplexity of the GPT: on {lower}. Fewer bits a byte: on {fewer}.")
    squeezed = 8 * len(bz2.compress(text)) / len(text)
    print(f"bzip2 needs {squeezed:.3f} bits a byte for all of the {len(text):,} bytes.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.6))
    figure.suptitle(f"Four models of {name}, two tokenizers")
    for panel, unit, form in zip(panels, ("perplexity", "bits_per_byte"), ("{:.1f}", "{:.2f}"), strict=True):
        for i, (tokenizer, found) in enumerate(figures.items()):
            heights = [getattr(one, unit) for one in found.values()]
            bars = panel.bar(np.arange(len(found)) + 0.4 * i - 0.2, heights, 0.38, label=tokenizer)
            panel.bar_label(bars, [form.format(height) for height in heights], padding=2, fontsize=9)
        panel.set_xticks(range(len(found)), found)
        panel.set_title(unit.replace("_", " ").capitalize())
    panels[0].set(yscale="log", ylabel="equally likely tokens", ylim=(1, None))
    panels[1].axhline(squeezed, color="#888888", linestyle=":", linewidth=1.5, zorder=0, label="bzip2")
    panels[1].set_ylabel("bits per byte of text")
    panels[1].legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "perplexity.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
