"""Shows where the parameters of the four GPT-2 sizes are, and how near the rule 12 · L · D² comes."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from groundup.configs.model import GPT2_PRESETS, GPTConfig
from groundup.models.gpt import GPT

OUT = Path("runs/sprints/08_gpt2_assembly")
PARTS = {  # part: what its parameters' names contain
    "tokens": "token_embedding",
    "positions": "position_embedding",
    "attention": ".attention.",
    "feed-forward": ".feed_forward.",
    "norms": "norm.",
}


def by_part(model: GPT) -> dict[str, int]:
    """Count the parameters of each part."""
    return {
        part: sum(parameter.numel() for name, parameter in model.named_parameters() if pattern in name)
        for part, pattern in PARTS.items()
    }


def formula(config: GPTConfig) -> int:
    """Count by hand: attention 4D² + 4D, feed-forward 8D² + 5D, two norms 4D; the tables and the final norm."""
    L, D, V = config.n_layers, config.d_model, config.vocab_size or 0
    return L * (12 * D**2 + 13 * D) + (V + config.context_length) * D + 2 * D


def main(out: Path = OUT) -> None:
    counts, models = {}, {}
    for name, config in GPT2_PRESETS.items():
        with torch.device("meta"):  # shapes without memory
            models[name] = GPT(config)
        counts[name] = by_part(models[name])
    print("              " + "".join(f"{part:>15}" for part in PARTS) + "          total   by hand")
    for name, parts in counts.items():
        total = models[name].n_parameters()
        same = "equal" if sum(parts.values()) == total == formula(GPT2_PRESETS[name]) else "differs"
        print(f"{name:<14}" + "".join(f"{n:>15,}" for n in parts.values()) + f"{total:>15,}{same:>10}")

    print("\n              12 · L · D²   exact, without tables   rule falls short by   tables' share of the total")
    for name, model in models.items():
        rule, exact = 12 * model.config.n_layers * model.config.d_model**2, model.n_parameters(embeddings=False)
        share = 1 - exact / model.n_parameters()
        print(f"{name:<12}{rule:>13,}{exact:>24,}{1 - rule / exact:>22.2%}{share:>29.1%}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11.5, 4.2), width_ratios=(3, 2))
    figure.suptitle("Parameters of GPT-2 by part")
    left = [0.0] * len(counts)
    for part in PARTS:
        shares = [parts[part] / sum(parts.values()) for parts in counts.values()]
        bars = panels[0].barh(list(counts), shares, left=left, label=part)
        labels = [f"{share:.0%}" if share > 0.03 else "" for share in shares]
        panels[0].bar_label(bars, labels, label_type="center", fontsize=9)
        left = [start + share for start, share in zip(left, shares, strict=True)]
    panels[0].set(title="Share of the total", xlim=(0, 1))
    panels[0].xaxis.set_major_formatter("{x:.0%}")
    panels[0].invert_yaxis()
    panels[0].legend(
        ncols=len(PARTS), loc="upper center", bbox_to_anchor=(0.5, -0.1), columnspacing=1.2, handlelength=1
    )
    totals = [model.n_parameters() / 1e6 for model in models.values()]
    bars = panels[1].barh(list(counts), totals, color="#888888")
    panels[1].bar_label(bars, [f"{total:,.0f}" for total in totals], padding=3)
    panels[1].set(title="Total, millions", xlim=(0, max(totals) * 1.15))
    panels[1].invert_yaxis()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "parameter_count.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
