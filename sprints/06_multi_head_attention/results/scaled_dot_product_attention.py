"""Shows why scores are divided by √K, and what becomes of a query that may attend to nothing."""

import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.layers.attention import attention_weights, scaled_dot_product_attention
from groundup.layers.masks import causal_mask

OUT = Path("runs/sprints/06_multi_head_attention")
S = 64  # keys
WIDTHS = [4, 16, 64, 256, 1024]


def measure(K: int) -> tuple[float, ...]:
    """Return the variance of the scores and the entropy of the weights, each without and with √K."""
    q, k = torch.randn(2, 1, 8, S, K)  # [1, H, S, K]
    scores = q @ k.transpose(-2, -1)  # [1, H, S, S]
    unscaled, scaled = attention_weights(q * math.sqrt(K), k), attention_weights(q, k)
    entropies = [torch.special.entr(weights).sum(-1).mean() for weights in (unscaled, scaled)]
    return tuple(map(float, [scores.var(), (scores / math.sqrt(K)).var(), *entropies]))


def plot(rows: list[tuple[float, ...]], weights: dict[str, Tensor], path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (top, bottom) = plt.subplots(2, 2, figsize=(9, 7.5))
    figure.suptitle("Scaled dot-product attention: scaling and masks")
    for panel, first, title in zip(top, (0, 2), ("Variance of the scores", "Entropy of the weights"), strict=True):
        panel.plot(WIDTHS, [row[first] for row in rows], "o-", label="QKᵀ")
        panel.plot(WIDTHS, [row[first + 1] for row in rows], "s-", label="QKᵀ/√K")
        panel.set_xscale("log")
        panel.set_xticks(WIDTHS, WIDTHS)
        panel.set_xticks([], minor=True)
        panel.set(title=title, xlabel="head width K")
    top[0].set(yscale="log", ylabel="variance")
    top[0].legend()
    top[1].set(ylabel="nats", ylim=(0, math.log(S) * 1.1))
    top[1].axhline(math.log(S), color="#888888", linestyle=":", linewidth=1)
    top[1].text(WIDTHS[-1], math.log(S), "equal shares: ln S", ha="right", va="bottom", color="#555555", fontsize=9)
    for panel, (name, shares) in zip(bottom, weights.items(), strict=True):
        panel.imshow(shares.numpy(), cmap=plt.get_cmap("cividis").with_extremes(bad="#D55E00"), vmin=0, vmax=1)
        for (query, key), share in zip(torch.ones_like(shares).nonzero(), shares.flatten().tolist(), strict=True):
            panel.text(key, query, f"{share:.2f}", ha="center", va="center", color="black" if share > 0.5 else "white")
        panel.set(title=f"Query 2 sees nothing: {name}", xlabel="key", ylabel="query")
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    rows = [measure(K) for K in WIDTHS]
    print(f"Scaling: random queries, {S} keys; equal shares have an entropy of ln S = {math.log(S):.2f} nats")
    print("     K   variance of QKᵀ   of QKᵀ/√K   entropy without √K   with √K")
    for K, (raw, scaled, sharp, spread) in zip(WIDTHS, rows, strict=True):
        print(f"{K:>6}{raw:>18.1f}{scaled:>12.2f}{sharp:>21.2f}{spread:>10.2f}")
    power = math.log(rows[-1][0] / rows[0][0]) / math.log(WIDTHS[-1] / WIDTHS[0])
    print(f"The variance grows as K^{power:.2f}; divided by √K it stays below {max(row[1] for row in rows):.2f}.")

    q, k, v = (torch.randn(1, 1, 5, 8, requires_grad=True) for _ in range(3))
    mask = causal_mask(5)
    mask[2] = False  # query 2 may attend to nothing
    naive = torch.softmax(q @ k.transpose(-2, -1) / math.sqrt(8) + mask.log(), dim=-1)  # log: 0 if True, else -inf
    ours = attention_weights(q, k, mask)  # [1, 1, 5, 5]
    (patched,) = torch.autograd.grad((naive.nan_to_num() @ v).sum(), q)
    (gradient,) = torch.autograd.grad(scaled_dot_product_attention(q, k, v, mask=mask).sum(), q)
    print("\nNaN under masks: query 2 may attend to nothing     NaN weights   NaN in the gradient of q")
    print(f"softmax of -inf, NaN replaced by 0 afterwards{naive.isnan().sum():>17}{patched.isnan().sum():>27}")
    print(f"attention_weights{ours.isnan().sum():>45}{gradient.isnan().sum():>27}")
    kernel = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    print(f"Row 2 of ours sums to {ours[0, 0, 2].sum():.0f}. Largest difference in the other rows:", end=" ")
    print(f"{(ours - naive)[:, :, mask.any(-1)].abs().max():.0e};", end=" ")
    print(f"to torch's kernel: {(scaled_dot_product_attention(q, k, v, is_causal=True) - kernel).abs().max():.0e}.")

    out.mkdir(parents=True, exist_ok=True)
    path = out / "scaled_dot_product_attention.png"
    plot(rows, {"softmax of -inf": naive[0, 0].detach(), "attention_weights": ours[0, 0].detach()}, path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
