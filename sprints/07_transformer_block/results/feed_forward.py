"""Shows the position-wise feed-forward layer, which never mixes positions, and GELU beside ReLU."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.layers.activations import gelu, gelu_tanh, relu
from groundup.layers.attention import MultiHeadAttention
from groundup.layers.feedforward import FeedForward

OUT = Path("runs/sprints/07_transformer_block")
D, T, CHANGED = 64, 10, 3
CURVES = {"GELU": gelu, "GELU, tanh": gelu_tanh, "ReLU": relu}


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    feed_forward, attention = FeedForward(D, 4 * D), MultiHeadAttention(D, n_heads=4)
    x = torch.randn(1, T, D)
    whole = feed_forward(x)
    alone = torch.cat([feed_forward(x[:, t : t + 1]) for t in range(T)], dim=1)
    backwards = feed_forward(x.flip(1)).flip(1)
    print(f"Position-wise, [B, T, D] = {list(x.shape)}: largest difference")
    print(f"  all positions at once, one at a time   {(whole - alone).abs().max():.0e}")
    print(f"  in order, in reversed order            {(whole - backwards).abs().max():.0e}")
    changed = x.clone()
    changed[:, CHANGED] += 1
    reach: dict[str, Tensor] = {}
    for name, layer in (("feed-forward", feed_forward), ("attention", attention)):
        reach[name] = (layer(changed) - layer(x)).abs().amax((0, 2)).detach()  # [T]
        print(f"Changing position {CHANGED} changes {(reach[name] > 0).sum()} of {T} outputs of the {name} layer.")

    n_parameters = sum(parameter.numel() for parameter in feed_forward.parameters())
    print(f"Parameters: 2 · D · 4D + 4D + D = {2 * D * 4 * D + 4 * D + D:,}; the layer has {n_parameters:,}.")

    points = torch.linspace(-4, 4, 801, requires_grad=True)
    values = {name: curve(points) for name, curve in CURVES.items()}
    slopes = {name: torch.autograd.grad(y.sum(), points)[0] for name, y in values.items()}
    hidden = feed_forward.up(x).detach().requires_grad_()  # [1, T, 4D]
    print("\n              lowest value   largest slope   hidden units without gradient   difference to torch")
    for (name, curve), theirs in zip(
        CURVES.items(), (F.gelu(points), F.gelu(points, approximate="tanh"), F.relu(points)), strict=True
    ):
        (gradient,) = torch.autograd.grad(curve(hidden).sum(), hidden)
        dead = (gradient == 0).float().mean()
        print(f"{name:<12}{values[name].min():>14.3f}{slopes[name].max():>16.3f}{dead:>32.0%}", end="")
        print(f"{(values[name] - theirs).abs().max():>22.0e}")
    print(
        f"GELU and its tanh approximation differ by at most {(values['GELU'] - values['GELU, tanh']).abs().max():.0e}."
    )

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(12, 4))
    figure.suptitle("The feed-forward layer")
    for name, line in (("ReLU", "C0-"), ("GELU", "C1-"), ("GELU, tanh", "k:")):
        panels[0].plot(points.detach(), values[name].detach(), line, label=name)
        panels[1].plot(points.detach(), slopes[name], line, label=name)
    panels[0].set(title="Activation", xlabel="x", xlim=(-4, 4), ylim=(-0.5, 4))
    panels[1].set(title="Its slope", xlabel="x", xlim=(-4, 4))
    panels[0].legend()
    for name, shift in (("feed-forward", -0.2), ("attention", 0.2)):
        panels[2].bar([t + shift for t in range(T)], reach[name].tolist(), width=0.4, label=name)
    panels[2].set(
        title=f"Change of the output when input {CHANGED} changes", xlabel="position", ylabel="largest change"
    )
    panels[2].set_xticks(range(T))
    panels[2].legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "feed_forward.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
