"""Shows what autograd records: leaves, the graph, backward, no_grad and detach, and a curve with its tangents."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup import engine as eg
from groundup.engine.graph import draw

OUT = Path("runs/sprints/01_setup_and_basics")


def f(x: eg.Tensor) -> eg.Tensor:
    return eg.sin(2 * x) * eg.exp(-(x**2) / 4)


def main(out: Path = OUT) -> None:
    eg.manual_seed(0)
    x, targets = eg.randn(8, 3), eg.randn(8, 1)
    w, b = eg.randn(3, 1, requires_grad=True), eg.zeros(1, requires_grad=True)
    loss = ((x @ w + b - targets) ** 2).mean()
    print("loss = ((x @ w + b - targets) ** 2).mean(), recorded while it was computed:\n")
    print(draw(loss, names={"w": w, "b": b, "loss": loss}))

    loss.backward()
    by_hand = 2 / 8 * x.T @ (x @ w + b - targets).detach()  # dL/dw = 2/N xᵀ (xw + b - t)
    print(f"\nw.grad is [{', '.join(f'{value:.3f}' for value in w.grad.view(-1).tolist())}];", end=" ")
    print(f"from 2/N xᵀ(xw + b - t) it differs by {(w.grad - by_hand).abs().max():.0e}")

    print("\n                      requires_grad   is_leaf   grad_fn")
    with eg.no_grad():
        unrecorded = x @ w
    rows = {"x": x, "w": w, "x @ w": x @ w, "(x @ w).detach()": (x @ w).detach(), "x @ w in no_grad()": unrecorded}
    for name, tensor in rows.items():
        made_by = tensor.grad_fn.name if tensor.grad_fn else "None"
        print(f"{name:<22}{tensor.requires_grad!s:<16}{tensor.is_leaf!s:<10}{made_by}")
    for code, attempt in {
        "(x @ w).backward()": lambda: (x @ w).backward(),
        "loss.backward() again": loss.backward,
        "x.sum().backward()": lambda: x.sum().backward(),
    }.items():
        try:
            attempt()
        except eg.GradientError as error:
            print(f"{code}: {error}")

    at = eg.linspace(-3, 3, 7, dtype=eg.float64, requires_grad=True)
    y = f(at)
    y.sum().backward()  # each point reaches the sum by itself alone: its gradient is f'(x)
    h = 1e-5
    numeric = (f(at + h) - f(at - h)) / (2 * h)
    print(
        f"\nf(x) = sin(2x) exp(-x²/4): backward and central differences differ by {(at.grad - numeric).abs().max():.0e}"
    )

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(7.5, 4.2))
    curve = np.linspace(-3.6, 3.6, 300)
    panel.plot(curve, f(eg.from_numpy(curve)).numpy(), color="black", linewidth=1.5, label="f(x) = sin(2x) exp(-x²/4)")
    for i, (point, value, slope) in enumerate(zip(at.tolist(), y.tolist(), at.grad.tolist(), strict=True)):
        reach = 0.45 / np.hypot(1, slope)
        panel.plot(
            [point - reach, point + reach],
            [value - reach * slope, value + reach * slope],
            color="C1",
            linewidth=3,
            label="slope x.grad" if i == 0 else None,
        )
        panel.plot(point, value, "o", color="C1")
    panel.set(title="One backward pass gives the slope at every point", xlabel="x", ylabel="f(x)")
    panel.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "autograd.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
