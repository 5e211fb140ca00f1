"""Shows gradient descent in a valley, and what the learning rate decides: slow, quick, swinging, or away."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup import engine as eg
from groundup.engine.tensor import Tensor

OUT = Path("runs/sprints/01_setup_and_basics")
CURVATURE = (1.0, 10.0)
RATES, STEPS = [0.02, 0.1, 0.18, 0.205], 30


def loss_of(p: Tensor) -> Tensor:
    """Return a valley: (1 · x² + 10 · y²) / 2, ten times as steep across as along."""
    return (eg.tensor(CURVATURE) * p**2).sum() / 2


def descend(rate: float) -> tuple[list[list[float]], list[float]]:
    p, path, losses = eg.tensor([-3.0, 1.2], requires_grad=True), [], []
    for _ in range(STEPS + 1):
        loss = loss_of(p)
        path.append(p.tolist())
        losses.append(loss.item())
        p.zero_grad()
        loss.backward()
        with eg.no_grad():
            p.sub_(p.grad, alpha=rate)  # one step downhill: p ← p - rate · ∂L/∂p
    return path, losses


def main(out: Path = OUT) -> None:
    runs = {rate: descend(rate) for rate in RATES}
    print("A step multiplies each coordinate by 1 - rate · curvature:")
    print("rate     along (1)   across (10)   loss at step 0        10        30")
    for rate, (_, losses) in runs.items():
        factors = [1 - rate * curvature for curvature in CURVATURE]
        print(f"{rate:<9}{factors[0]:>9.3f}{factors[1]:>14.3f}", end="   ")
        print("".join(f"{losses[step]:>{width}.2e}" for step, width in ((0, 14), (10, 10), (30, 10))))
    path = np.array(runs[RATES[1]][0])
    predicted = path[0] * (1 - RATES[1] * np.array(CURVATURE)) ** np.arange(STEPS + 1)[:, None]
    print(f"Predicted and walked at rate {RATES[1]}: largest difference {np.abs(predicted - path).max():.0e}.")
    print(f"Beyond 2 / {CURVATURE[1]:g} = {2 / CURVATURE[1]:g} the steep direction is overshot by more than is gained.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplot_mosaic(
        [["a", "b", "loss"], ["c", "d", "loss"]], figsize=(12, 5), width_ratios=(2, 2, 2.2)
    )
    figure.suptitle("Gradient descent in a valley ten times as steep across as along")
    x, y = np.meshgrid(np.linspace(-3.4, 3.4, 120), np.linspace(-1.9, 1.9, 90))
    for i, (rate, (path, losses)) in enumerate(runs.items()):
        panel = panels["abcd"[i]]
        panel.contour(
            x,
            y,
            (CURVATURE[0] * x**2 + CURVATURE[1] * y**2) / 2,
            levels=[0.3, 1, 2.5, 5, 9, 14],
            colors="#C9CED4",
            linewidths=0.8,
        )
        panel.plot(*zip(*path, strict=True), "o-", markersize=2.5, linewidth=1.2, color=f"C{i}")
        panel.plot(0, 0, "*", color="black", markersize=9)
        panel.set(title=f"rate {rate}", xlim=(-3.4, 3.4), ylim=(-1.9, 1.9), xticks=[], yticks=[])
        panels["loss"].plot(losses, color=f"C{i}", label=f"rate {rate}")
    panels["loss"].set(title="Loss", xlabel="step", yscale="log", ylim=(1e-6, 1e3))
    panels["loss"].legend(loc="lower left")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "gradient_descent.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
