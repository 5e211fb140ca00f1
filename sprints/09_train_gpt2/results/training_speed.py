"""Shows how fast this machine trains, against its own matrix product, and how long GPT-2 would take on it."""

import sys
import timeit
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from groundup.configs.model import GPTConfig, preset
from groundup.configs.optimizer import OptimizerConfig
from groundup.models.gpt import GPT
from groundup.recipes import recipe
from groundup.training.devices import choose_device
from groundup.training.optimizers import build_optimizer

OUT = Path("runs/sprints/09_train_gpt2")
SMALL = replace(recipe("shakespeare-char").model, vocab_size=65)
WIDE = replace(preset("gpt2"), vocab_size=1_024, n_layers=2, context_length=256)  # gpt2's blocks, two of them
UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "year": 31_557_600}
FAST = 4e14  # FLOP/s, about what good code gets out of one large GPU of 2023


def step(model: GPT, tokens: Tensor, optimizer: torch.optim.Optimizer) -> None:
    F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
    optimizer.step()
    optimizer.zero_grad()


def flops_per_token(config: GPTConfig) -> float:
    """Return what torch counts forward and backward; on shapes alone, nothing is computed."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        model = GPT(config, fused=False)
        step(model, torch.zeros(1, config.context_length + 1, dtype=torch.int64), torch.optim.SGD(model.parameters()))
    return counter.get_total_flops() / config.context_length


def best_time(run: Callable[[], object], repeats: int) -> float:
    """Return the seconds of the fastest of some calls: what the machine can do when nothing else disturbs it."""
    wait = torch.accelerator.synchronize if torch.accelerator.is_available() else lambda: None
    return min(timeit.repeat(lambda: (run(), wait()), number=1, repeat=repeats))


def readable(seconds: float) -> str:
    unit = next((name for name in reversed(UNITS) if UNITS[name] <= seconds), "second")
    return f"{seconds / UNITS[unit]:,.1f} {unit}s"


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    device = choose_device()
    a = torch.randn(1_024, 1_024, device=device)
    peak = 2 * 1_024**3 / best_time(partial(torch.matmul, a, a), 20)
    n = torch.get_num_threads()
    here = f"this {device.type}" + (f", {n} thread{'s' * (n > 1)}" if device.type == "cpu" else "")
    print(f"{here}, float32: {peak / 1e9:,.0f} GFLOP/s in a matrix product. Training:")
    speeds = {}
    for name, config, B in (("shakespeare-char", SMALL, 12), ("gpt2, two blocks", WIDE, 2)):
        model = GPT(config).to(device)
        tokens = torch.randint(config.vocab_size or 0, (B, config.context_length + 1), device=device)
        optimizer = build_optimizer(model, OptimizerConfig(), learning_rate=1e-4)
        rate = B * config.context_length / best_time(partial(step, model, tokens, optimizer), 6)
        speeds[name] = rate * flops_per_token(config)
        print(f"  {name:<18}{rate:>9,.0f} tokens/s{speeds[name] / 1e9:>8,.0f} GFLOP/s{speeds[name] / peak:>5.0%} of it")

    cost = {"shakespeare-char": flops_per_token(SMALL)} | {n: flops_per_token(preset(n)) for n in ("gpt2", "gpt2-xl")}
    places = {here: speeds["gpt2, two blocks"], f"at {FAST / 1e12:.0f} TFLOP/s": FAST}
    with torch.device("meta"):
        enough = 20 * GPT(preset("gpt2")).n_parameters()  # Hoffmann et al. 2022
    print("\nTime to train gpt2           tokens     FLOPs" + "".join(f"{place:>24}" for place in places))
    for label, n in (("TinyShakespeare, once", 302_000), ("20 a parameter", enough), ("10 billion", 10**10)):
        times = "".join(f"{readable(n * cost['gpt2'] / speed):>24}" for speed in places.values())
        print(f"{label:<21}{n:>14,}{n * cost['gpt2']:>10.1e}{times}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(9, 5))
    amounts = [10**k for k in range(5, 12)]
    for i, (name, flops) in enumerate(cost.items()):
        for (place, speed), style in zip(places.items(), ("-", "--"), strict=True):
            panel.plot(amounts, [n * flops / speed for n in amounts], style, color=f"C{i}", label=f"{name}, {place}")
    for unit, length in UNITS.items():
        panel.axhline(length, color="#DDDDDD", linewidth=1, zorder=0)
        panel.text(1.1e11, length, f"1 {unit}", va="center", fontsize=9, color="#555555")
    panel.set(title="Time to train", xlabel="tokens", ylabel="seconds", xscale="log", yscale="log")
    panel.set(xlim=(amounts[0], amounts[-1]), ylim=(0.1, None))
    figure.legend(ncols=3, loc="outside lower center")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "training_speed.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
