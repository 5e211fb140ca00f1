"""Shows why a network needs something that is not linear: two spirals, with and without an activation."""

import sys
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup import engine as eg
from groundup.engine import nn
from groundup.engine.optim import Adam

OUT = Path("runs/sprints/03_models_and_training_loops")
N, WIDTH, STEPS = 150, 32, 500
ACTIVATIONS = {"none": None, "ReLU": nn.ReLU, "Sigmoid": nn.Sigmoid, "Tanh": nn.Tanh}


def two_spirals() -> tuple[eg.Tensor, eg.Tensor]:
    """Return points [2N, 2] and the spiral of each, 0 or 1."""
    noise = np.random.default_rng(0)
    angle = 0.6 + 2.6 * np.pi / 1.6 * np.sqrt(noise.random(N))
    arm = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 5
    points = np.concatenate([arm, -arm]) + 0.04 * noise.standard_normal((2 * N, 2))
    return eg.from_numpy(points.astype(np.float32)), eg.tensor([0] * N + [1] * N)


def build(activation: type[nn.Module] | None) -> nn.Sequential:
    eg.manual_seed(0)
    sizes = [2, WIDTH, WIDTH, 2]
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out)] + ([activation()] if activation and n_out == WIDTH else [])
    return nn.Sequential(*layers)


def main(out: Path = OUT) -> None:
    x, targets = two_spirals()
    models = {}
    print(f"Two spirals, {2 * N} points, 2 -> {WIDTH} -> {WIDTH} -> 2, {STEPS} steps of Adam")
    print("activation   parameters   loss at the start   at the end   right")
    for name, activation in ACTIVATIONS.items():
        model = models[name] = build(activation)
        optimizer, losses = Adam(model.parameters(), lr=0.02), []
        for _ in range(STEPS):
            loss = nn.CrossEntropyLoss()(model(x), targets)
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with eg.no_grad():
            right = (model(x).argmax(-1) == targets).float().mean().item()
        n = sum(parameter.numel() for parameter in model.parameters())
        print(f"{name:<13}{n:>10}{losses[0]:>20.3f}{losses[-1]:>13.4f}{right:>8.0%}")

    linear = models["none"]
    with eg.no_grad():
        weight = linear[2].weight @ linear[1].weight @ linear[0].weight  # [2, 2]
        bias = linear(eg.zeros(1, 2))
        apart = (linear(x) - (x @ weight.T + bias)).abs().max().item()
    print(f"Without an activation, three layers are one: W₃W₂W₁ x + b gives the same outputs, to {apart:.0e}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, len(models), figsize=(13, 3.9), sharey=True)
    figure.suptitle("The same network without an activation, and with three")
    axis = np.linspace(-1.35, 1.35, 120, dtype=np.float32)
    grid = eg.from_numpy(np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2))
    points, labels = x.numpy(), targets.numpy()
    for panel, (name, model) in zip(panels, models.items(), strict=True):
        with eg.no_grad():
            share = nn.Softmax(-1)(model(grid))[:, 1].numpy().reshape(120, 120)
        panel.contourf(axis, axis, share, levels=np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.55)
        for label, color in ((0, "C0"), (1, "C1")):
            panel.plot(*points[labels == label].T, "o", color=color, markersize=2.5)
        panel.set(title=name if name != "none" else "no activation", xticks=[], yticks=[], aspect="equal")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "non_linearity.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
