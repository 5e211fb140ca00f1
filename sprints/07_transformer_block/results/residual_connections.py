"""Shows Add & Norm, LayerNorm(x + Dropout(Sublayer(x))), and what 32 layers lose without the "add"."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from groundup.layers.blocks import residual
from groundup.layers.feedforward import FeedForward
from groundup.layers.normalization import LayerNorm

OUT = Path("runs/sprints/07_transformer_block")
D, DEPTHS, TRAINED_DEPTH, STEPS = 16, [1, 2, 4, 8, 16, 32], 16, 80
KINDS = {"without residual": False, "with residual": True}


def build(depth: int) -> nn.ModuleList:
    """Return `depth` pairs of a norm and a feed-forward layer, the same for every call."""
    torch.manual_seed(0)
    return nn.ModuleList(nn.ModuleList([LayerNorm(D), FeedForward(D, 4 * D)]) for _ in range(depth))


def run(layers: nn.ModuleList, x: Tensor, adds: bool) -> Tensor:
    for norm, feed_forward in layers:
        x = residual(x, feed_forward, norm=norm, dropout=nn.Identity(), order="pre") if adds else feed_forward(x)
    return x


def through(depth: int, adds: bool) -> tuple[float, float]:
    """Return the signal's deviation behind `depth` layers, and the mean gradient of the loss at the input."""
    layers = build(depth)
    x = torch.randn(64, D, requires_grad=True)
    y = run(layers, x, adds)
    (gradient,) = torch.autograd.grad((y * torch.randn(64, D)).sum(), x)
    return y.std(0).mean().item(), gradient.norm(dim=-1).mean().item()


def train(adds: bool) -> list[float]:
    """Return the losses of learning to sort 16 numbers."""
    layers = build(TRAINED_DEPTH)
    optimizer = torch.optim.AdamW(layers.parameters(), lr=1e-3)
    losses = []
    for _ in range(STEPS):
        x = torch.randn(128, D)
        loss = (run(layers, x, adds) - x.sort(-1).values).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    x, sublayer, norm, dropout = torch.randn(8, D), FeedForward(D, 4 * D), LayerNorm(D), nn.Dropout(0.1)
    torch.manual_seed(1)
    ours = residual(x, sublayer, norm=norm, dropout=dropout, order="post")
    torch.manual_seed(1)  # the same entries are dropped
    written_out = nn.LayerNorm(D)(x + nn.Dropout(0.1)(sublayer(x)))
    print("Add & Norm: residual(…, order='post') differs from LayerNorm(x + Dropout(Sublayer(x))) by", end=" ")
    print(f"{(ours - written_out).abs().max():.0e}.\n")

    measured = {name: [through(depth, adds) for depth in DEPTHS] for name, adds in KINDS.items()}
    print("layers                          " + "".join(f"{depth:>10}" for depth in DEPTHS))
    for name, rows in measured.items():
        for what, column in (("signal", 0), ("gradient", 1)):
            print(f"{what:<10}{name:<22}" + "".join(f"{row[column]:>10.1e}" for row in rows))
    losses = {name: train(adds) for name, adds in KINDS.items()}
    print(f"\nLearning to sort {D} numbers with {TRAINED_DEPTH} layers, loss after {STEPS} steps:", end=" ")
    print(", ".join(f"{name} {values[-1]:.3f}" for name, values in losses.items()))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(12, 4))
    figure.suptitle("Residual connections: x + sublayer(norm(x)) against sublayer(x)")
    for (name, rows), line in zip(measured.items(), ("o-", "s-"), strict=True):
        for panel, column in zip(panels, (0, 1), strict=False):
            panel.plot(DEPTHS, [row[column] for row in rows], line, label=name)
        panels[2].plot(losses[name], label=name)
    for panel, title in zip(panels, ("Signal: deviation over the batch", "Gradient at the input"), strict=False):
        panel.set(title=title, xlabel="layers", yscale="log", xscale="log")
        panel.set_xticks(DEPTHS, DEPTHS)
        panel.set_xticks([], minor=True)
    panels[2].set(title=f"Learning to sort, {TRAINED_DEPTH} layers", xlabel="step", ylabel="squared error", ylim=(0, 2))
    panels[2].legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "residual_connections.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
