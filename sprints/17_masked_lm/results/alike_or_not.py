"""Shows several gaps filled by a young encoder, and which tales are alike by its vectors, trained or not."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.console import Console

from groundup.configs.training import ComputeConfig, EvaluationConfig
from groundup.data.tales import generate, parse
from groundup.evaluation.sentence_embeddings import cosine_similarity, embed_texts
from groundup.generation.fill import fill_gaps
from groundup.models.encoder import Encoder
from groundup.recipes.masked import tales_mask
from groundup.tokenization.mask_token import MASK
from groundup.training.kinds import start
from groundup.training.masked import load_masked_run
from groundup.weights.text_encoder import TextEncoder

OUT = Path("runs/sprints/17_masked_lm")
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
STEPS, TALES = 400, 400
FACTS = ("plot", "weather", "kind", "place", "thing", "friend")


def train(folder: Path) -> TextEncoder:
    """Train recipe tales-mask, narrower and shorter, and return its encoder."""
    told = tales_mask()
    watched = EvaluationConfig(every_steps=STEPS, max_tokens=2_000, sample_tokens=0)
    config = replace(
        told,
        data=replace(told.data, max_bytes=2_500_000),
        model=replace(told.model, d_model=96, n_heads=6),
        training=replace(told.training, steps=STEPS, evaluation=watched, **CPU),
    )
    start(config, folder, console=Console(quiet=True))
    return load_masked_run(folder, device="cpu")


def most_alike(encoder: TextEncoder, tales: list[str]) -> np.ndarray:
    """Return which tale is most like each, itself left out."""
    vectors = embed_texts(encoder, tales)
    cosines = cosine_similarity(vectors - vectors.mean(0), vectors - vectors.mean(0))
    return cosines.fill_diagonal_(-1).argmax(1).numpy()


def main(out: Path = OUT) -> None:
    tales = list(generate(seed=99, n=TALES))
    facts = [parse(tale).values for tale in tales]
    with tempfile.TemporaryDirectory() as place:
        encoder = train(Path(place) / "run")
    name = facts[1]["name"]
    text = tales[1].replace(f" {name}", f" {MASK}")
    filled = fill_gaps(encoder, text, top=4)
    print(f"\n{text}")
    for gap in filled.gaps[:2]:
        print("a gap by itself: " + ", ".join(f"{fill.text.strip()} {fill.probability:.0%}" for fill in gap))
    print(f"one gap after another: {filled.text}")

    torch.manual_seed(0)
    untrained = replace(encoder, model=Encoder(encoder.model.config).eval())
    found = {"by chance": None, "untrained": most_alike(untrained, tales), "trained": most_alike(encoder, tales)}
    print(f"\nOf {TALES} tales, the most similar other one has the same")
    print(f"{'':<12}" + "".join(f"{fact:>9}" for fact in FACTS))
    shares = {}
    for name, which in found.items():
        pairs = [(i, j) for i in range(TALES) for j in (range(TALES) if which is None else [which[i]]) if i != j]
        shares[name] = [
            np.mean([facts[i][fact] == facts[j].get(fact) for i, j in pairs if fact in facts[i]]) for fact in FACTS
        ]
        print(f"{name:<12}" + "".join(f"{share:>9.0%}" for share in shares[name]))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, axes = plt.subplots(figsize=(9, 4.4))
    for k, (name, share) in enumerate(shares.items()):
        axes.bar(np.arange(len(FACTS)) + 0.27 * (k - 1), share, width=0.25, label=name)
    axes.set_xticks(range(len(FACTS)), FACTS)
    axes.set(title="The most similar tale has the same …", ylabel="share of tales", ylim=(0, 1))
    axes.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "alike_or_not.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
