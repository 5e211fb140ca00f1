"""Shows why blocks are stacked: one block follows a pointer once, two blocks follow it twice."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from groundup.layers.blocks import DecoderBlock, EncoderBlock
from groundup.layers.embedding import TokenEmbedding
from groundup.layers.normalization import LayerNorm
from groundup.layers.positions import LearnedPositions

OUT = Path("runs/sprints/07_transformer_block")
T, D, STEPS = 6, 64, 150  # positions (and pointers to them), width
RUNS = {"1 block, 1 hop": (1, 1), "1 block, 2 hops": (1, 2), "2 blocks, 2 hops": (2, 2)}


def train(n_blocks: int, n_hops: int) -> list[float]:
    """Return accuracy by step. Each token points to a position; the target is the pointer found after n_hops."""
    torch.manual_seed(0)
    blocks = [EncoderBlock(D, 2, 2 * D, norm_order="pre") for _ in range(n_blocks)]
    model = nn.Sequential(TokenEmbedding(T, D), LearnedPositions(T, D), *blocks, LayerNorm(D), nn.Linear(D, T))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    accuracies = []
    for _ in range(STEPS):
        pointers = torch.randint(T, (64, T))
        targets = pointers
        for _ in range(n_hops):
            targets = pointers.gather(1, targets)
        logits = model(pointers)  # [B, T, T]
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
        accuracies.append((logits.argmax(-1) == targets).float().mean().item())
    return accuracies


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    source, target = torch.randn(2, 9, D), torch.randn(2, T, D)
    print("blocks   encoder parameters   decoder parameters   encoded       written")
    for depth in (1, 2, 4, 8):
        encoder = nn.ModuleList(EncoderBlock(D, 4, 4 * D) for _ in range(depth))
        decoder = nn.ModuleList(DecoderBlock(D, 4, 4 * D) for _ in range(depth))
        encoded, written = source, target
        for block in encoder:
            encoded = block(encoded)  # [B, S, D]
        for block in decoder:
            written = block(written, encoded)  # [B, T, D]: every block sees the finished encoding
        sizes = [sum(parameter.numel() for parameter in stack.parameters()) for stack in (encoder, decoder)]
        print(f"{depth:>6}{sizes[0]:>21,}{sizes[1]:>21,}   {list(encoded.shape)!s:<14}{list(written.shape)}")

    accuracies = {name: train(*run) for name, run in RUNS.items()}
    print(f"\nFollowing pointers among {T} places, right after {STEPS} steps (mean of the last 10 batches)")
    for name, values in accuracies.items():
        print(f"  {name:<18}{sum(values[-10:]) / 10:>6.1%}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(7.5, 4.5))
    for (name, values), line in zip(accuracies.items(), ("-", "--", "-"), strict=True):
        panel.plot(values, line, label=name)
    panel.axhline(1 / T, color="#888888", linestyle=":", linewidth=1)
    panel.text(STEPS, 1 / T, "chance", ha="right", va="bottom", color="#555555", fontsize=9)
    panel.set(title="Following pointers: encoder blocks, single and stacked", xlabel="step", ylabel="right")
    panel.set_ylim(0, 1.03)
    panel.legend(loc=(0.68, 0.24))
    out.mkdir(parents=True, exist_ok=True)
    path = out / "stacking.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
