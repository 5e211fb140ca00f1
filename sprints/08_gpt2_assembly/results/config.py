"""Shows GPTConfig: fields that work themselves out, the four GPT-2 sizes, refusals in one line, JSON and back."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch

from groundup.configs.codec import from_json, to_json
from groundup.configs.model import GPT2_PRESETS, GPTConfig
from groundup.errors import InputError
from groundup.layers.feedforward import build_feed_forward
from groundup.models.gpt import GPT

OUT = Path("runs/sprints/08_gpt2_assembly")
WRONG: list[dict[str, Any]] = [{"d_model": 100, "n_heads": 3}, {"dropout": 1.0}, {"position": "rotary", "d_model": 36}]


def n_feed_forward(config: GPTConfig) -> int:
    """Count the weights of one feed-forward layer."""
    with torch.device("meta"):  # shapes without memory
        layer = build_feed_forward(config.activation, config.d_model, config.feed_forward_width, bias=False)
    return sum(parameter.numel() for parameter in layer.parameters())


def main(out: Path = OUT) -> None:
    config = GPTConfig(d_model=256, n_heads=4)
    wider = replace(config, d_model=512)
    print(f"d_ff stays {config.d_ff}, the width follows: d_model 256 -> {config.feed_forward_width}, 512 ->", end=" ")
    print(f"{wider.feed_forward_width}; with swiglu {replace(wider, activation='swiglu').feed_forward_width}.")

    print("\npreset         layers   heads   d_model   d_head    d_ff     parameters")
    counts = {}
    for name, preset in GPT2_PRESETS.items():
        with torch.device("meta"):
            counts[name] = GPT(preset).n_parameters()
        print(f"{name:<12}{preset.n_layers:>9}{preset.n_heads:>8}{preset.d_model:>10}{preset.d_head:>9}", end="")
        print(f"{preset.feed_forward_width:>8}{counts[name]:>15,}")

    print("\nImpossible combinations:")
    for fields in WRONG:
        try:
            GPTConfig(**fields)
        except InputError as error:
            print(f"  {error}")
    try:
        from_json(GPTConfig, '{"n_layer": 12}')
    except InputError as error:
        print(f"  {error}")
    same = all(from_json(GPTConfig, to_json(p)) == p for p in GPT2_PRESETS.values())
    print(f"JSON and back gives the same config: {same}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(13, 4.2))
    figure.suptitle("What GPTConfig works out")
    widths = range(64, 1025, 64)
    for activation, line in (("gelu_tanh", "o-"), ("swiglu", "s-")):
        configs = [GPTConfig(d_model=width, n_heads=4, activation=activation) for width in widths]
        panels[0].plot(widths, [c.feed_forward_width for c in configs], line, markersize=4, label=activation)
        panels[1].plot(widths, [n_feed_forward(c) / 1e6 for c in configs], line, markersize=4, label=activation)
    panels[0].set(title="Feed-forward width", xlabel="d_model", ylabel="feed_forward_width")
    panels[1].set(title="Weights of the layer", xlabel="d_model", ylabel="millions")
    panels[0].legend()
    for name, preset in GPT2_PRESETS.items():
        panels[2].scatter(preset.d_model, preset.n_layers, s=counts[name] / 1.5e6, alpha=0.8)
        label = f"{name}\n{counts[name] / 1e6:,.0f} M"
        panels[2].annotate(label, (preset.d_model, preset.n_layers), (0, -40), textcoords="offset points", ha="center")
    panels[2].set(
        title="Presets, area = parameters", xlabel="d_model", ylabel="n_layers", xlim=(500, 1900), ylim=(0, 58)
    )
    out.mkdir(parents=True, exist_ok=True)
    path = out / "config.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
