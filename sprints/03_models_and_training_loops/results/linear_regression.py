"""Shows linear regression: a module of one Linear, trained by SGD, against the exact solution."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup import engine as eg
from groundup.engine import nn
from groundup.engine.optim import SGD

OUT = Path("runs/sprints/03_models_and_training_loops")
STEPS, N = 200, 60


def main(out: Path = OUT) -> None:
    eg.manual_seed(0)
    x = eg.rand(N, 1) * 6 - 3
    y = 1.8 * x - 0.7 + 0.6 * eg.randn(N, 1)
    model, criterion = nn.Linear(1, 1), nn.MSELoss()
    optimizer = SGD(model.parameters(), lr=0.05)
    lines, losses = {}, []
    print("step      loss    weight      bias")
    for step in range(STEPS + 1):
        loss = criterion(model(x), y)
        losses.append(loss.item())
        if step in (0, 2, 10, 50, STEPS):
            lines[step] = (model.weight.item(), model.bias.item())
            print(f"{step:>4}{losses[-1]:>10.4f}{lines[step][0]:>10.4f}{lines[step][1]:>10.4f}")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    design = np.column_stack([x.numpy()[:, 0], np.ones(N)])
    (weight, bias), *_ = np.linalg.lstsq(design, y.numpy()[:, 0], rcond=None)
    best = float(((design @ [weight, bias] - y.numpy()[:, 0]) ** 2).mean())
    print(f"exact{best:>9.4f}{weight:>10.4f}{bias:>10.4f}     by least squares")
    print(f"made {'':>9}{1.8:>10}{-0.7:>10}     with noise of variance 0.36")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), width_ratios=(1.4, 1))
    figure.suptitle("Linear regression by gradient descent")
    left.plot(x.view(-1).tolist(), y.view(-1).tolist(), "o", color="#A0A0A0", markersize=4)
    at = np.array([-3.0, 3.0])
    for color, (step, (slope, shift)) in zip(
        ("C5", "C4", "C2", "C0"), [*lines.items()][:3] + [*lines.items()][-1:], strict=True
    ):
        left.plot(at, slope * at + shift, color=color, label=f"step {step}")
    left.set(title="w x + b", xlabel="x", ylabel="y")
    left.legend()
    right.plot(losses, label="SGD")
    right.axhline(best, color="#888888", linestyle="--", linewidth=1.2, label="least squares")
    right.set(title="Loss", xlabel="step", ylabel="mean squared error", yscale="log")
    right.set_yticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
    right.set_yticks([], minor=True)
    right.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "linear_regression.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
