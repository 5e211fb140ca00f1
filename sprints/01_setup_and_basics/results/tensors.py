"""Shows tensors: making them, arithmetic and broadcasting, indexing, and four views of the same 24 numbers."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup import engine as eg
from groundup.engine.tensor import Tensor

OUT = Path("runs/sprints/01_setup_and_basics")


def row(code: str, x: Tensor) -> None:
    values = " ".join(f"{value:.4g}" for value in x.numpy().ravel()[:6])
    print(f"  {code:<34}{x.dtype!s:<9}{list(x.shape)!s:<12}{values}{' …' if x.numel() > 6 else ''}")


def main(out: Path = OUT) -> None:
    eg.manual_seed(0)
    print("Making                              dtype    shape       values")
    row("tensor([[1, 2], [3, 4]])", eg.tensor([[1, 2], [3, 4]]))
    row("tensor([0.5, 1.5])", eg.tensor([0.5, 1.5]))
    row("zeros(2, 3)", eg.zeros(2, 3))
    row("arange(0, 10, 2)", eg.arange(0, 10, 2))
    row("linspace(0, 1, 5)", eg.linspace(0, 1, 5))
    row("randn(2, 3)  after manual_seed(0)", eg.randn(2, 3))
    row("from_numpy(np.eye(2))", eg.from_numpy(np.eye(2)))

    x, column, line = eg.arange(24).view(4, 6), eg.tensor([[0], [100], [200], [300]]), eg.arange(6)
    print("Arithmetic: element by element, and sizes of 1 stretch")
    row("tensor([1., 2.]) * 3 + 1", eg.tensor([1.0, 2.0]) * 3 + 1)
    row("[4, 1] + [6]", column + line)
    row("[2, 3] @ [3, 2]", eg.ones(2, 3) @ eg.ones(3, 2))
    try:
        eg.ones(4, 6) + eg.ones(4)
    except eg.ShapeError as error:
        print(f"  ones(4, 6) + ones(4): {error}")

    print("Indexing x = arange(24).view(4, 6)")
    row("x[1]", x[1])
    row("x[-1, 2]", x[-1, 2])
    row("x[1:3, ::2]", x[1:3, ::2])
    row("x[x % 5 == 0]", x[x % 5 == 0])

    print("Shape: the same memory, walked through in another order")
    views = {"x": x, "x.view(3, 8)": x.view(3, 8), "x.permute(1, 0)": x.permute(1, 0), "x[1:3, ::2]": x[1:3, ::2]}
    for name, view in views.items():
        strides = tuple(step // x.data.itemsize for step in view.data.strides)
        shares = np.shares_memory(view.data, x.data)
        print(f"  {name:<17}shape {list(view.shape)!s:<9} steps in memory {strides!s:<8} shares x's memory: {shares}")
    try:
        x.permute(1, 0).view(24)
    except Exception as error:
        print(f"  x.permute(1, 0).view(24): {error}")
    row("x.permute(1, 0).reshape(24)", x.permute(1, 0).reshape(24))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 4, figsize=(12, 4), width_ratios=(6, 8, 4, 3))
    figure.suptitle("Four views of 24 numbers that lie in memory in the order of their colour")
    for panel, (name, view) in zip(panels, views.items(), strict=True):
        panel.imshow(view.numpy(), vmin=0, vmax=23)
        for (i, j), value in np.ndenumerate(view.numpy()):
            panel.text(j, i, value, ha="center", va="center", color="white" if value < 14 else "black")
        panel.set_title(f"{name}   {list(view.shape)}", fontsize=10, loc="center")
        panel.set_ylim(5.5, -0.5)  # six rows everywhere: cells are equally large
        panel.axis("off")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "tensors.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
