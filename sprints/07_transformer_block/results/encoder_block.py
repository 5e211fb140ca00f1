"""Shows what an EncoderBlock sees: everything but padding, so it can reverse a word, which a causal block cannot."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from groundup.layers.blocks import EncoderBlock, GPTBlock
from groundup.layers.embedding import TokenEmbedding
from groundup.layers.masks import padding_mask
from groundup.layers.positions import LearnedPositions

OUT = Path("runs/sprints/07_transformer_block")
V, T, D, STEPS = 10, 10, 32, 120  # vocabulary, positions, width


def train(block: nn.Module) -> tuple[list[float], list[float]]:
    """Learn to write random letters backwards; return accuracy by step, and by position at the end."""
    model = nn.Sequential(TokenEmbedding(V, D), LearnedPositions(T, D), block, nn.Linear(D, V))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    by_step = []
    for _ in range(STEPS):
        letters = torch.randint(V, (64, T))
        logits, targets = model(letters), letters.flip(1)  # [B, T, V], [B, T]
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        optimizer.step()
        right = (logits.argmax(-1) == targets).float()  # [B, T]
        by_step.append(right.mean().item())
    return by_step, right.mean(0).tolist()


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    block = EncoderBlock(D, n_heads=2, d_ff=4 * D)
    print(f"EncoderBlock, {block.norm_order}-norm: attention, Add & Norm, feed-forward, Add & Norm")
    for name in ("attention", "attention_norm", "feed_forward", "feed_forward_norm"):
        part = block.get_submodule(name)
        print(f"  {name:<20}{sum(parameter.numel() for parameter in part.parameters()):>6,} parameters")

    x, mask = torch.randn(2, T, D), padding_mask(torch.tensor([T, 6]), T)  # the second row has 6 real positions
    before = block(x, mask=mask)
    noisy = x.clone()
    noisy[1, 6:] = 100.0
    change = (block(noisy, mask=mask) - before).abs()[1, :6].max()
    unmasked = (block(noisy) - block(x)).abs()[1, :6].max()
    print(f"{list(x.shape)} -> {list(before.shape)}. Other padding changes the real positions by", end=" ")
    print(f"{change:.0f} with the mask, by up to {unmasked:.2f} without.")

    results = {}
    for name, kind in (("EncoderBlock", EncoderBlock), ("GPTBlock (causal)", GPTBlock)):
        torch.manual_seed(0)
        results[name] = train(kind(D, 2, 4 * D, norm_order="post"))
    print(f"\nWriting {T} letters backwards: right after {STEPS} steps, by position (chance is {1 / V:.0%})")
    for name, (_, by_position) in results.items():
        print(f"{name:<20}" + "".join(f"{share:>6.0%}" for share in by_position))
    print("Position t needs letter", T - 1, "- t: a causal block sees it from position", T // 2, "on.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(10, 4))
    figure.suptitle("One block learns to write backwards")
    for (name, (by_step, by_position)), shift in zip(results.items(), (-0.2, 0.2), strict=True):
        panels[0].plot(by_step, label=name)
        panels[1].bar([t + shift for t in range(T)], by_position, width=0.4, label=name)
    panels[0].set(title="All positions", xlabel="step", ylabel="right", ylim=(0, 1.05))
    panels[0].legend()
    panels[1].axhline(1 / V, color="black", linestyle=":", linewidth=1, label="chance")
    panels[1].set(title=f"By position, after {STEPS} steps", xlabel="position", ylim=(0, 1.05))
    panels[1].set_xticks(range(T))
    out.mkdir(parents=True, exist_ok=True)
    path = out / "encoder_block.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
