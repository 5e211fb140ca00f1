"""Shows what a training token costs: parameters, memory, and FLOPs by rule, by part and as torch counts them."""

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from groundup.configs.model import GPTConfig, preset
from groundup.models.gpt import GPT
from groundup.recipes import recipe

OUT = Path("runs/sprints/09_train_gpt2")
CONFIGS = {
    "tales": replace(recipe("tales").model, vocab_size=1_506),
    "shakespeare-char": replace(recipe("shakespeare-char").model, vocab_size=65),
    "shakespeare-gpt2": replace(recipe("shakespeare-gpt2").model, vocab_size=50_257),
    "gpt2": preset("gpt2"),
    "gpt2-medium": preset("gpt2-medium"),
}


def by_rule(config: GPTConfig) -> dict[str, float]:
    """Return the FLOPs of one training token by part: 6 for each weight of a matrix, 12 · L · D · T for attention."""
    L, D, T, V = config.n_layers, config.d_model, config.context_length, config.vocab_size or 0
    weights = L * (4 * D**2 + 2 * D * config.feed_forward_width)  # not swiglu, not grouped: none here is
    return {"blocks": 6 * weights, "attention scores": 12 * L * D * T, "output projection": 6 * V * D}


def counted(config: GPTConfig) -> float:
    """Return the FLOPs per token that torch counts forward and backward; on shapes alone, nothing is computed."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        tokens = torch.zeros(1, config.context_length + 1, dtype=torch.int64)
        logits = GPT(config, fused=False)(tokens[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).backward()
    return counter.get_total_flops() / config.context_length


def main(out: Path = OUT) -> None:
    parts = {name: by_rule(config) for name, config in CONFIGS.items()}
    print("                               float32 weights,   FLOPs of one training token")
    print("model               parameters   gradients, AdamW   by rule   counted by torch   6 · parameters")
    for name, config in CONFIGS.items():
        with torch.device("meta"):
            n = GPT(config).n_parameters()
        rule, torch_says = sum(parts[name].values()), counted(config)
        print(f"{name:<18}{n:>12,}{16 * n / 2**20:>16,.0f} MB{rule / 1e6:>8,.1f} M{torch_says / 1e6:>17,.1f} M", end="")
        print(f"{6 * n / 1e6:>15,.1f} M")
    worst = max(CONFIGS, key=lambda name: parts[name]["output projection"] / sum(parts[name].values()))
    share = parts[worst]["output projection"] / sum(parts[worst].values())
    print(f"Most for the output projection: {worst}, {share:.0%}.", end=" ")
    contexts = [2**k for k in range(7, 16)]
    longer = [by_rule(replace(CONFIGS["gpt2"], context_length=T)) for T in contexts]
    half = next(T for T, found in zip(contexts, longer, strict=True) if found["attention scores"] > found["blocks"])
    print(f"In gpt2, attention costs more than all weights of the blocks from a context of {half:,} on.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.8), width_ratios=(5, 4))
    figure.suptitle("FLOPs of one training token")
    starts = dict.fromkeys(CONFIGS, 0.0)
    for part in parts["gpt2"]:
        shares = {name: found[part] / sum(found.values()) for name, found in parts.items()}
        bars = left.barh(list(CONFIGS), list(shares.values()), left=list(starts.values()), label=part)
        left.bar_label(bars, [f"{s:.0%}" if s > 0.03 else "" for s in shares.values()], label_type="center", fontsize=9)
        starts = {name: starts[name] + shares[name] for name in CONFIGS}
        right.plot(contexts, [found[part] / 1e6 for found in longer], "o-", label=part)
    for row, found in enumerate(parts.values()):
        left.text(1.01, row, f"{sum(found.values()) / 1e6:,.1f} M", va="center", fontsize=9)
    left.set(title="Where they go, and how many", xlim=(0, 1))
    left.xaxis.set_major_formatter("{x:.0%}")
    left.invert_yaxis()
    left.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    right.set(title="gpt2 with other contexts", xlabel="context length", ylabel="millions", xscale="log", yscale="log")
    right.set_xticks(contexts, [f"{T:,}" if T < 1_024 else f"{T // 1_024}k" for T in contexts])
    right.minorticks_off()
    right.grid(axis="y")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "compute_cost.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
