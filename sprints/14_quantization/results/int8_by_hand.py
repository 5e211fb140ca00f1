"""Shows 8 bits by hand: scale and zero point, a product of whole numbers, and what one scale for too many costs."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from rich.console import Console

from groundup.configs.training import ComputeConfig, ScheduleConfig
from groundup.quantization.int4 import Int4, quantize_int4
from groundup.quantization.int8 import Int8, quantize_int8
from groundup.recipes import recipe
from groundup.resolve import open_model
from groundup.training.launch import start

OUT = Path("runs/sprints/14_quantization")
CPU = {"device": "cpu", "precision": "float32", "compute": ComputeConfig(threads=1, linear="default")}
STEPS, SHOWN = 300, "blocks.1.feed_forward.up"


def trained() -> torch.nn.Module:
    """Return a small GPT that has learned tales for a minute: weights drawn at random have no structure to lose."""
    config, schedule = recipe("tales"), ScheduleConfig(warmup_steps=30, final_fraction=0.01)
    training = replace(config.training, steps=STEPS, batch_size=8, schedule=schedule, **CPU)
    data, model = replace(config.data, max_bytes=1_500_000), replace(config.model, d_model=64, context_length=128)
    with tempfile.TemporaryDirectory() as place:
        start(
            replace(config, data=data, model=model, training=training), Path(place) / "run", console=Console(quiet=True)
        )
        return open_model(str(Path(place) / "run")).model


def by_hand() -> None:
    """Print one row in both ways, and a product of whole numbers that gives the product of what they stand for."""
    x = torch.tensor([[-0.5, 0.0, 0.3, 1.5]])
    print("x                   ", "  ".join(f"{value:6.3f}" for value in x[0].tolist()))
    for name, symmetric in (("symmetric", True), ("affine", False)):
        kept = quantize_int8(x, symmetric=symmetric)
        zero = 0 if kept.zero is None else int(kept.zero)
        read = "  ".join(f"{value:6.3f}" for value in kept.dequantized()[0].tolist())
        whole = "  ".join(f"{value:6d}" for value in kept.values[0].tolist())
        print(f"{name:<10} q         {whole}     scale {kept.scale.item():.5f}, zero at {zero}")
        print(f"           back      {read}")
    torch.manual_seed(0)
    a, b = quantize_int8(torch.randn(3, 64), symmetric=False), quantize_int8(torch.randn(5, 64))
    whole = (a.values.int() - a.zero.int()) @ b.values.int().T  # int32: nothing is rounded
    product = whole.float() * a.scale * b.scale.T
    apart = (product - a.dequantized() @ b.dequantized().T).abs().max()
    print(f"\nA product of whole numbers, scaled at its end, is the product of what they stand for: {apart:.0e} apart")


def main(out: Path = OUT) -> None:
    by_hand()
    layer = trained().get_submodule(SHOWN)
    weight, outlier = layer.weight.detach(), layer.weight.detach().clone()
    outlier[0, 0] = 20 * weight.abs().max()
    ways = {
        "8 bits, one scale": lambda w: quantize_int8(w, by_row=False),
        "8 bits, a scale a row": quantize_int8,
        "8 bits, a row, affine": lambda w: quantize_int8(w, symmetric=False),
        "4 bits, groups of 64": lambda w: quantize_int4(w, group_size=64),
        "4 bits, groups of 32": lambda w: quantize_int4(w, group_size=32),
    }
    print(f"\n{SHOWN}, {list(weight.shape)}: size of what is lost, relative to the matrix")
    print("                        bits a weight   as trained   with one weight of 20 times the largest")
    errors = {}
    for name, way in ways.items():
        bits = 8 * way(weight).n_bytes / weight.numel()
        errors[name] = lost(way(weight), weight), lost(way(outlier), outlier)
        print(f"{name:<24}{bits:>13.2f}{errors[name][0]:>13.2%}{errors[name][1]:>13.2%}  (in the other rows)")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11.5, 4.4))
    row = weight[0]
    for bits, color in ((8, "C0"), (4, "C1")):
        kept = quantize_int8(row[None]) if bits == 8 else quantize_int4(row[None], group_size=32)
        panels[0].plot(row, kept.dequantized()[0] - row, ".", color=color, label=f"{bits} bits")
    panels[0].set(title="One row: what rounding adds", xlabel="weight", ylabel="read back - weight")
    panels[0].legend()
    panels[1].barh(list(ways), [100 * both[0] for both in errors.values()], color="C0")
    panels[1].set(title="Lost, relative to the matrix", xlabel="%")
    panels[1].invert_yaxis()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "int8_by_hand.png"
    figure.savefig(path)
    print(f"plot: {path}")


def lost(kept: Int8 | Int4, weight: torch.Tensor) -> float:
    """Return the size of what is lost, relative to the matrix; its first row, which may have an outlier, left out."""
    return float((kept.dequantized() - weight)[1:].norm() / weight[1:].norm())


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
