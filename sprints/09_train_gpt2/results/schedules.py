"""Shows linear warmup and the four schedules, cosine against torch's own, and what each does to one small run."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR

from groundup.configs import OptimizerConfig, ScheduleConfig, TrainConfig
from groundup.configs.model import GPTConfig
from groundup.data.corpora import find_corpus, preview
from groundup.data.windows import Windows
from groundup.models.gpt import GPT
from groundup.tokenization.characters import CharacterTokenizer
from groundup.training.optimizers import build_optimizer
from groundup.training.schedules import learning_rate

OUT = Path("runs/sprints/09_train_gpt2")
PEAK, WARMUP, STEPS = 8e-3, 20, 200
CONFIG = TrainConfig(steps=STEPS, learning_rate=PEAK, schedule=ScheduleConfig(warmup_steps=WARMUP))


def of_torch() -> list[float]:
    """Return the rates of torch's LinearLR up to the peak, then of its CosineAnnealingLR."""
    rises, falls = (torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK) for _ in range(2))
    rise = LinearLR(rises, start_factor=1 / WARMUP, total_iters=WARMUP - 1)
    fall = CosineAnnealingLR(falls, STEPS - WARMUP, eta_min=PEAK * CONFIG.schedule.final_fraction)
    rates = []
    for step in range(STEPS):
        optimizer, scheduler = (rises, rise) if step < WARMUP - 1 else (falls, fall)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def train(windows: Windows, V: int, config: TrainConfig) -> torch.Tensor:
    """Return the losses of a run [steps]."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=V, context_length=32, d_model=48, n_layers=2, n_heads=4))
    optimizer = build_optimizer(model, OptimizerConfig(), learning_rate=PEAK)
    losses = []
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        x, y = map(torch.from_numpy, windows.batch(step, 12))  # [B, T] each
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return torch.tensor(losses)


def main(out: Path = OUT) -> None:
    shapes = get_args(get_type_hints(ScheduleConfig)["name"])
    configs = {shape: replace(CONFIG, schedule=replace(CONFIG.schedule, name=shape)) for shape in shapes}
    configs["cosine, no warmup"] = replace(CONFIG, schedule=replace(CONFIG.schedule, warmup_steps=0))
    rates = {name: [learning_rate(step, config) for step in range(STEPS)] for name, config in configs.items()}
    apart = max(abs(a - b) for a, b in zip(rates["cosine"], of_torch(), strict=True))
    print(f"Warmup and cosine differ from torch's schedulers by at most {apart:.0e} (peak {PEAK:g}).")

    text = preview(find_corpus("tales"), 200_000)  # needs no file
    tokenizer = CharacterTokenizer.from_text([text])
    windows = Windows(torch.tensor(tokenizer.encode(text)).numpy(), 32, seed=0)
    losses = {name: train(windows, tokenizer.vocab_size, config) for name, config in configs.items()}
    shown = (0, WARMUP // 2 - 1, WARMUP - 1, STEPS // 2, STEPS * 9 // 10, STEPS - 1)
    print(
        "\nLearning rate, thousandths" + "".join(f"{f'step {step}':>10}" for step in shown) + "   loss, last 20 steps"
    )
    for name, curve in rates.items():
        print(f"{name:<26}" + "".join(f"{1e3 * curve[step]:>10.3f}" for step in shown), end="")
        print(f"{losses[name][-20:].mean():>23.3f}")
    order = sorted(losses, key=lambda name: losses[name][-20:].mean().item())
    print(f"Lowest loss of this one small run: {order[0]}; highest: {order[-1]}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11.5, 4.4))
    for name, curve in rates.items():
        style = {"linestyle": ":", "color": "C0"} if name == "cosine, no warmup" else {}
        panels[0].plot(curve, label=name.replace("_", " "), **style)
        panels[1].plot(range(10, STEPS - 10), losses[name].unfold(0, 21, 1).mean(-1).tolist(), linewidth=1.5, **style)
    panels[0].set(title="Rate of each step", xlabel="step", ylabel="learning rate", ylim=(0, PEAK * 1.05))
    panels[0].axvspan(0, WARMUP - 1, color="#F0F0F0")
    panels[0].text(WARMUP + 1, PEAK * 0.02, "end of warmup", fontsize=9, color="#555555")
    panels[0].legend(loc="center left", bbox_to_anchor=(0.13, 0.33))
    panels[1].set(title="Training loss, mean of 21 steps", xlabel="step", ylabel="nats per character")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "schedules.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
