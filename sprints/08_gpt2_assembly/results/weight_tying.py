"""Shows weight tying: one matrix embeds tokens and scores them, saves parameters and gets two gradients."""

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.model import GPT2_PRESETS, GPTConfig
from groundup.models.gpt import GPT

OUT = Path("runs/sprints/08_gpt2_assembly")
CONFIG = GPTConfig(vocab_size=16, context_length=8, d_model=32, n_layers=2, n_heads=4)


def gradients(model: GPT, tokens: Tensor) -> dict[str, Tensor]:
    """Return the gradient of the next-token loss for every parameter."""
    loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    tied, untied = GPT(CONFIG), GPT(replace(CONFIG, tie_embeddings=False))
    weights = tied.state_dict()
    untied.load_state_dict(weights | {"output.weight": weights["token_embedding.weight"].clone()})
    print("Only in the untied model:", ", ".join(untied.state_dict().keys() - weights.keys()))
    tokens = torch.randint(8, (4, 9))  # ids 8 … 15 never occur
    difference = (tied(tokens[:, 1:]) - untied(tokens[:, 1:])).abs().max()
    print(f"Same weights, same logits: largest difference {difference:.0e}.")
    both, apart = gradients(tied, tokens), gradients(untied, tokens)
    lookup, scoring = apart["token_embedding.weight"], apart["output.weight"]  # [V, D]
    difference = (both["token_embedding.weight"] - lookup - scoring).abs().max()
    print(f"Gradient of the tied matrix = gradient as embedding + gradient as output: difference {difference:.0e}.")
    seen = [int((gradient.norm(dim=-1) > 0).sum()) for gradient in (lookup, scoring)]
    print(f"Rows with a gradient as embedding: {seen[0]} of {len(lookup)} (tokens that occur); as output: {seen[1]}.")

    counts = {}
    for name, config in GPT2_PRESETS.items():
        with torch.device("meta"):  # shapes without memory
            counts[name] = [GPT(replace(config, tie_embeddings=tie)).n_parameters() for tie in (True, False)]
    print("\n                     tied         untied    saved")
    for name, (with_tying, without) in counts.items():
        print(f"{name:<12}{with_tying:>13,}{without:>15,}{1 - with_tying / without:>9.1%}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2))
    figure.suptitle("Weight tying")
    for column, (label, shift) in enumerate((("tied", -0.2), ("untied", 0.2))):
        millions = [pair[column] / 1e6 for pair in counts.values()]
        bars = panels[0].bar([i + shift for i in range(len(counts))], millions, width=0.4, label=label)
        panels[0].bar_label(bars, fmt="{:,.0f}", fontsize=8, padding=2)
    panels[0].set_xticks(range(len(counts)), counts)
    panels[0].set(title="Parameters", ylabel="millions")
    panels[0].legend()
    rows = range(len(lookup))
    panels[1].bar(rows, lookup.norm(dim=-1).tolist(), label="as embedding")
    panels[1].bar(rows, scoring.norm(dim=-1).tolist(), bottom=lookup.norm(dim=-1).tolist(), label="as output")
    panels[1].set(
        title="Gradient norms of each token's row", xlabel="token (8 … 15 never occur)", ylabel="stacked norms"
    )
    panels[1].set_xticks(rows)
    panels[1].legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "weight_tying.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
