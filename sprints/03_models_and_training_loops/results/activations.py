"""Shows ReLU, Sigmoid and Tanh: their values, their slopes, where they saturate, and that torch's are the same."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from groundup import engine as eg
from groundup.engine import functional as F

OUT = Path("runs/sprints/03_models_and_training_loops")
FUNCTIONS = {"ReLU": (F.relu, torch.relu), "Sigmoid": (F.sigmoid, torch.sigmoid), "Tanh": (eg.tanh, torch.tanh)}


def main(out: Path = OUT) -> None:
    x = eg.linspace(-6, 6, 241)
    curves = {}
    print("           range           mean of     largest   |slope| < 0.01     difference to torch")
    print("                           outputs      slope    in -6 … 6         values    slopes")
    for name, (ours, theirs) in FUNCTIONS.items():
        at = x.clone().requires_grad_()
        y = ours(at)
        y.sum().backward()
        there = torch.tensor(x.numpy(), requires_grad=True)
        same = theirs(there)
        same.sum().backward()
        apart = [
            (torch.tensor(a.detach().numpy()) - b).abs().max() for a, b in ((y, same.detach()), (at.grad, there.grad))
        ]
        y, slope = y.detach(), at.grad
        curves[name] = (y, slope)
        flat = (slope.abs() < 0.01).float().mean().item()
        print(f"{name:<11}{y.min().item():>5.2f} … {y.max().item():<5.2f}{y.mean().item():>10.2f}", end="")
        print(f"{slope.max().item():>12.2f}{flat:>12.0%}{apart[0]:>20.0e}{apart[1]:>10.0e}")
    print("\nsigmoid'(x) = s (1 - s), at most 1/4; tanh'(x) = 1 - t², at most 1; ReLU'(x) is 0 or 1.")
    big = eg.tensor([-1000.0, 1000.0])
    print(f"Sigmoid of ±1000: {F.sigmoid(big).tolist()}, without overflow.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(11, 3.8), sharex=True)
    figure.suptitle("Three activations and their slopes")
    for panel, (name, (y, slope)) in zip(panels, curves.items(), strict=True):
        panel.axhline(0, color="#DDDDDD", linewidth=1)
        panel.plot(x.tolist(), y.tolist(), label="value")
        panel.plot(x.tolist(), slope.tolist(), "--", label="slope")
        panel.set(title=name, xlabel="x", ylim=(-1.15, 1.6) if name != "ReLU" else (-0.5, 6))
    panels[0].legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "activations.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
