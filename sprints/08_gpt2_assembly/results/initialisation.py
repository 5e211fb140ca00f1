"""Shows why GPT-2 starts its residual projections smaller: the stream's size stays the same at any depth."""

import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from groundup.configs.model import GPTConfig
from groundup.models.gpt import GPT, INITIAL_DEVIATION

OUT = Path("runs/sprints/08_gpt2_assembly")
V, T, D = 512, 32, 256
DEPTHS = [2, 4, 8, 16, 32]


def build(depth: int, scaled: bool) -> GPT:
    """Return an untrained GPT; `scaled=False` gives the residual projections the deviation of all other weights."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=V, context_length=T, d_model=D, n_layers=depth, n_heads=8))
    for name, weight in model.named_parameters():
        if not scaled and name.endswith(("attention.output.weight", "feed_forward.down.weight")):
            weight.data.mul_(math.sqrt(2 * depth))  # undoes the division
    return model


@torch.no_grad()
def stream_sizes(model: GPT) -> tuple[list[float], float]:
    """Return the deviation of the residual stream after each block, and the loss on random tokens."""
    sizes: list[float] = []
    for block in model.blocks:
        block.register_forward_hook(lambda _module, _inputs, x: sizes.append(x.std().item()))
    tokens = torch.randint(V, (4, T))
    logits = model(tokens)
    return sizes, F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()).item()


def main(out: Path = OUT) -> None:
    deepest = build(DEPTHS[-1], scaled=True)
    print(f"Deviation of the weights, {DEPTHS[-1]} blocks (INITIAL_DEVIATION is {INITIAL_DEVIATION})")
    for name in (
        "token_embedding",
        "blocks.0.attention.query",
        "blocks.0.attention.output",
        "blocks.0.feed_forward.down",
    ):
        weight = deepest.get_parameter(f"{name}.weight")
        print(f"  {name:<28}{weight.std():.5f} = {INITIAL_DEVIATION} / {INITIAL_DEVIATION / weight.std():.2f}")
    print(f"  √(2 · n_layers) = {math.sqrt(2 * DEPTHS[-1]):.2f}")

    results = {
        name: {depth: stream_sizes(build(depth, scaled)) for depth in DEPTHS}
        for name, scaled in (("unscaled", False), ("scaled by 1/√(2L)", True))
    }
    print("\nDeviation of the residual stream behind the last block, before training")
    print("blocks              " + "".join(f"{depth:>8}" for depth in DEPTHS) + "     loss, 32 blocks")
    for name, by_depth in results.items():
        ends = "".join(f"{sizes[-1]:>8.3f}" for sizes, _ in by_depth.values())
        print(f"{name:<20}{ends}{by_depth[DEPTHS[-1]][1]:>20.3f}")
    growth = {name: by_depth[DEPTHS[-1]][0][-1] / by_depth[DEPTHS[0]][0][-1] for name, by_depth in results.items()}
    print(
        f"From {DEPTHS[0]} to {DEPTHS[-1]} blocks it grows",
        ", ".join(f"{g:.2f}-fold {name}" for name, g in growth.items()),
    )
    print(f"ln V = {math.log(V):.3f} is the loss of equal probabilities.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2))
    figure.suptitle("Size of the residual stream before training")
    for (name, by_depth), line in zip(results.items(), ("s-", "o-"), strict=True):
        panels[0].plot(range(1, DEPTHS[-1] + 1), by_depth[DEPTHS[-1]][0], line, markersize=3, label=name)
        panels[1].plot(DEPTHS, [sizes[-1] for sizes, _ in by_depth.values()], line, label=name)
    panels[0].set(
        title=f"Along a model of {DEPTHS[-1]} blocks", xlabel="after block", ylabel="deviation", ylim=(0, None)
    )
    panels[1].set(title="Behind the last block", xlabel="blocks in the model", ylim=(0, None))
    panels[1].set_xscale("log")
    panels[1].set_xticks(DEPTHS, DEPTHS)
    panels[1].set_xticks([], minor=True)
    panels[0].legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "initialisation.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
