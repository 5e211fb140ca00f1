"""Shows that LayerNorm gives every position mean 0 and deviation 1, and what its place does to the gradients."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from groundup.configs.model import GPTConfig
from groundup.layers.blocks import EncoderBlock, NormOrder
from groundup.layers.normalization import LayerNorm, RMSNorm

OUT = Path("runs/sprints/07_transformer_block")
D, T = 64, 12
DEPTHS = [2, 4, 8, 16, 32]


def last_gradient(order: NormOrder, depth: int) -> float:
    """Return the gradient norm of the last block of `depth` untrained ones, mean of three seeds."""
    norms = []
    for seed in range(3):
        torch.manual_seed(seed)
        blocks = [EncoderBlock(D, 4, 4 * D, norm_order=order) for _ in range(depth)]
        final_norm = LayerNorm(D) if order == "pre" else nn.Identity()  # post-norm blocks end normalized
        classify = nn.Linear(D, 32)
        stack = nn.Sequential(*blocks, final_norm, classify)
        for weight in stack.parameters():
            if weight.dim() == 2:
                nn.init.xavier_uniform_(weight)  # as in the 2017 Transformer's code and torch.nn.Transformer
        loss = nn.functional.cross_entropy(stack(torch.randn(4, T, D)).flatten(0, 1), torch.randint(32, (4 * T,)))
        gradients = torch.autograd.grad(loss, list(blocks[-1].parameters()))
        norms.append(torch.cat([gradient.flatten() for gradient in gradients]).norm().item())
    return sum(norms) / len(norms)


def plot(x: Tensor, y: Tensor, gradients: dict[NormOrder, list[float]], path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(12, 4))
    figure.suptitle("Layer normalization")
    for panel, values, title in ((panels[0], x, "Activations before"), (panels[1], y, "and after")):
        panel.boxplot(list(values.numpy()), tick_labels=range(T), showfliers=False)
        panel.axhline(0, color="#888888", linestyle=":", linewidth=1)
        panel.set(title=title, xlabel="position", ylabel=f"the {D} entries")
    for (order, norms), line in zip(gradients.items(), ("o-", "s-"), strict=True):
        panels[2].plot(DEPTHS, norms, line, label=f"{order}-norm")
    panels[2].set_xscale("log")
    panels[2].set_xticks(DEPTHS, DEPTHS)
    panels[2].set_xticks([], minor=True)
    panels[2].set(title="Gradient of the last block", xlabel="blocks", ylabel="norm", ylim=(0, None))
    panels[2].legend()
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    x = torch.randn(T, D) * torch.linspace(0.5, 4, T)[:, None] + 6 * torch.randn(T, 1)  # each position its own scale
    norm, written_out = LayerNorm(D), LayerNorm(D, fused=False)
    y = norm(x).detach()
    print("                 mean of a position      deviation of a position")
    for name, values in (("before", x), ("after LayerNorm", y), ("after RMSNorm", RMSNorm(D)(x).detach())):
        means, deviations = values.mean(-1), values.std(-1, correction=0)
        print(
            f"{name:<16}{means.min():>z8.3f} … {means.max():<z12.3f}{deviations.min():>8.3f} … {deviations.max():.3f}"
        )
    print(f"LayerNorm: largest |mean| {y.mean(-1).abs().max():.0e}, ", end="")
    print(f"largest |deviation - 1| {(y.std(-1, correction=0) - 1).abs().max():.0e} ", end="")
    print(f"(epsilon is {GPTConfig().norm_epsilon:.0e}).")
    library = nn.LayerNorm(D)(x)
    print(
        f"Largest difference to torch.nn.LayerNorm: written out {(written_out(x) - library).abs().max():.0e}, ", end=""
    )
    print(f"fused {(norm(x) - library).abs().max():.0e}.")

    gradients: dict[NormOrder, list[float]] = {}
    for order in ("pre", "post"):
        gradients[order] = [last_gradient(order, depth) for depth in DEPTHS]
    print("\nGradient norm of the last block before training (Xiong et al. 2020)")
    print("blocks      " + "".join(f"{depth:>8}" for depth in DEPTHS) + "   32 blocks / 2 blocks")
    for order, norms in gradients.items():
        print(f"{order + '-norm':<12}" + "".join(f"{norm:>8.3f}" for norm in norms) + f"{norms[-1] / norms[0]:>23.2f}")

    out.mkdir(parents=True, exist_ok=True)
    path = out / "layer_norm.png"
    plot(x, y, gradients, path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
