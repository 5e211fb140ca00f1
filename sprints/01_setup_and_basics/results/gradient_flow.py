"""Shows how gradients flow through deep networks: shrinking, growing or neither, by activation and initial weights."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt

from groundup import engine as eg
from groundup.engine import functional as F

OUT = Path("runs/sprints/01_setup_and_basics")
DEPTH, WIDTH, BATCH = 20, 64, 64
KINDS = {  # activation, and the deviation of the weights times √width
    "sigmoid, 1/√n": (F.sigmoid, 1.0),
    "tanh, 1/√n": (eg.tanh, 1.0),
    "ReLU, 1/√n": (F.relu, 1.0),
    "ReLU, √2/√n (He)": (F.relu, math.sqrt(2)),
    "ReLU, 2/√n": (F.relu, 2.0),
}


def measure(activation: Callable[[eg.Tensor], eg.Tensor], scale: float) -> tuple[list[float], list[float]]:
    """Return, for each layer, the deviation of its output and the gradient that reaches it: root mean squares."""
    eg.manual_seed(0)
    x, outputs = eg.randn(BATCH, WIDTH), []
    for _ in range(DEPTH):
        weight = eg.randn(WIDTH, WIDTH) * (scale / math.sqrt(WIDTH))
        x = activation(x @ weight.requires_grad_())
        x.retain_grad()  # a result on the way keeps no gradient unless it is told to
        outputs.append(x)
    (outputs[-1] * eg.randn(BATCH, WIDTH)).sum().backward()
    signal = [h.detach().square().mean().sqrt().item() for h in outputs]
    return signal, [h.grad.square().mean().sqrt().item() for h in outputs]


def main(out: Path = OUT) -> None:
    rows = {name: measure(*kind) for name, kind in KINDS.items()}
    print(f"{DEPTH} layers of {WIDTH}          signal (root mean square)       gradient (root mean square)")
    shown = (0, 9, DEPTH - 1)
    print(
        " " * 20
        + "".join(f"{f'layer {i + 1}':>10}" for i in shown)
        + "  "
        + "".join(f"{f'layer {i + 1}':>10}" for i in shown)
    )
    for name, (signal, gradient) in rows.items():
        print(f"{name:<20}" + "".join(f"{signal[i]:>10.1e}" for i in shown), end="  ")
        print("".join(f"{gradient[i]:>10.1e}" for i in shown))
    print("\nWhat a layer passes back, as a factor (geometric mean over the layers):")
    for name, (_, gradient) in rows.items():
        print(f"  {name:<18}{(gradient[0] / gradient[-1]) ** (1 / (DEPTH - 1)):>6.2f}")
    print(
        "Sigmoid's slope is at most 1/4: its gradients vanish. ReLU stops half the signal: weights √2 larger repair it."
    )

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), sharex=True)
    figure.suptitle(f"Signal forward, gradient backward, through {DEPTH} layers")
    for panel, column, title in ((panels[0], 0, "Signal behind each layer"), (panels[1], 1, "Gradient at each layer")):
        for name, row in rows.items():
            panel.plot(range(1, DEPTH + 1), row[column], "o-", markersize=3, linewidth=1.5, label=name)
        panel.set(title=title, xlabel="layer", ylabel="root mean square", yscale="log")
        panel.set_xticks([1, 5, 10, 15, 20])
        panel.grid(axis="y")
    panels[1].legend(loc="lower right")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "gradient_flow.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
