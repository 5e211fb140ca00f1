"""Shows SGD, momentum, Adam and AdamW: a step of each by hand, their paths down a valley, and their learning rates."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from groundup import engine as eg
from groundup.engine.optim import SGD, Adam, AdamW

OUT = Path("runs/sprints/03_models_and_training_loops")
STEPS, START = 60, (-2.2, 1.6)
KINDS = {
    "SGD": (SGD, {"lr": 0.09}),
    "SGD, momentum 0.8": (SGD, {"lr": 0.04, "momentum": 0.8}),
    "Adam": (Adam, {"lr": 0.2}),
    "AdamW, decay 0.5": (AdamW, {"lr": 0.2, "weight_decay": 0.5}),
}
RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]


def loss_of(p: eg.Tensor) -> eg.Tensor:
    """Return a bent valley with its lowest point, 0, at (1, 1)."""
    x, y = p[0], p[1]
    return 0.5 * (x - 1) ** 2 + 5 * (y - 0.4 * x**2 - 0.6) ** 2


def descend(kind: type, options: dict[str, float]) -> tuple[np.ndarray, list[float]]:
    p = eg.tensor(START, dtype=eg.float64, requires_grad=True)
    optimizer, path, losses = kind([p], **options), [], []
    for _ in range(STEPS + 1):
        loss = loss_of(p)
        path.append(p.tolist())
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return np.array(path), losses


def against_torch(name: str) -> float:
    """Return how far torch's optimizer of the same name and options is from ours after all steps."""
    kind, options = KINDS[name]
    p = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, kind.__name__)([p], **options)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss_of(p).backward()
        optimizer.step()
    return float(np.abs(p.detach().numpy() - descend(kind, options)[0][STEPS]).max())


def main(out: Path = OUT) -> None:
    runs = {name: descend(*kind) for name, kind in KINDS.items()}
    print(f"A bent valley from {START}; lowest point (1, 1)")
    print("optimizer            first step           loss at 10   at 60   ends at            apart from torch")
    for name, (path, losses) in runs.items():
        step, end = path[1] - path[0], path[STEPS]
        print(f"{name:<20}({step[0]:>6.3f}, {step[1]:>6.3f}){losses[10]:>14.3f}{losses[60]:>8.3f}", end="")
        print(f"   ({end[0]:>6.3f}, {end[1]:>6.3f}){against_torch(name):>16.0e}")
    print("Adam's first step is the learning rate in every direction, however steep; AdamW also pulls towards 0.")

    print("\nLoss after 60 steps by learning rate\n" + " " * 20 + "".join(f"{rate:>10}" for rate in RATES))
    table = {}
    for name, (kind, options) in KINDS.items():
        with np.errstate(all="ignore"):
            ends = [descend(kind, options | {"lr": rate})[1][-1] for rate in RATES]
        table[name] = [end if end < 1e3 else float("nan") for end in ends]
        print(f"{name:<20}" + "".join(f"{end:>10.1e}" if end < 1e3 else f"{'diverges':>10}" for end in ends))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), width_ratios=(1.3, 1))
    figure.suptitle("Four optimizers on the same slope")
    x, y = np.meshgrid(np.linspace(-2.6, 2, 160), np.linspace(-0.4, 3.2, 140))
    height = 0.5 * (x - 1) ** 2 + 5 * (y - 0.4 * x**2 - 0.6) ** 2
    left.contour(x, y, height, levels=[0.1, 0.5, 1.5, 4, 10, 20, 35], colors="#C9CED4", linewidths=0.8)
    for (name, (path, _)), marker in zip(runs.items(), "osD^", strict=True):
        left.plot(*path.T, f"{marker}-", markersize=3, linewidth=1.2, label=name)
        right.plot(RATES, table[name], f"{marker}-", markersize=4, label=name)
    left.plot(1, 1, "*", color="black", markersize=12, zorder=3)
    left.set(title=f"Paths of {STEPS} steps", xlim=(-2.6, 2), ylim=(-0.4, 3.2), xticks=[], yticks=[])
    left.legend(loc="upper right", frameon=True, framealpha=1, edgecolor="white")
    right.set(title=f"Loss after {STEPS} steps", xlabel="learning rate", xscale="log", yscale="log", ylim=(1e-6, 40))
    right.grid(axis="y")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "optimizers.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
