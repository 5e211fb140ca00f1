"""Shows that gradients add up: what that is good for, small batches, and what it does when zeroing is forgotten."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

from groundup import engine as eg
from groundup.engine.tensor import Tensor

OUT = Path("runs/sprints/01_setup_and_basics")
STEPS, LR = 40, 0.1


def loss_of(w: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return ((x @ w - y) ** 2).mean()


def descend(x: Tensor, y: Tensor, *, zero: bool) -> tuple[list[list[float]], list[float]]:
    """Return the path of w and the losses of plain gradient descent."""
    w, path, losses = eg.zeros(2, 1, requires_grad=True), [], []
    for _ in range(STEPS):
        loss = loss_of(w, x, y)
        path.append([row[0] for row in w.tolist()])
        losses.append(loss.item())
        if zero:
            w.zero_grad()
        loss.backward()
        with eg.no_grad():
            w.sub_(w.grad, alpha=LR)
    return path, losses


def main(out: Path = OUT) -> None:
    eg.manual_seed(0)
    x = eg.randn(64, 2)
    y = x @ eg.tensor([[2.0], [-1.0]]) + 0.1 * eg.randn(64, 1)

    w = eg.zeros(2, 1, requires_grad=True)
    print("w.grad after    " + "   ".join(f"{name:>10}" for name in ("w[0]", "w[1]")))
    for name in ("one backward", "a second", "zero_grad()", "one backward"):
        if name == "zero_grad()":
            w.zero_grad()
            print(f"{name:<16}{'None':>10}")
            continue
        loss_of(w, x, y).backward()
        print(f"{name:<16}" + "   ".join(f"{value:>10.4f}" for (value,) in w.grad.tolist()))

    whole = w.grad.clone()
    w.zero_grad()
    for start in range(0, 64, 16):  # a mean over 64 is the sum of four means over 16, each divided by 4
        (loss_of(w, x[start : start + 16], y[start : start + 16]) / 4).backward()
    print(f"Four batches of 16, added up, and one of 64: largest difference {(w.grad - whole).abs().max():.0e}")
    print("So a batch that does not fit into memory can be taken in parts, with one step at the end.\n")

    paths, losses = {}, {}
    for name, zero in (("zeroed at every step", True), ("never zeroed", False)):
        paths[name], losses[name] = descend(x, y, zero=zero)
    print("loss at step             " + "".join(f"{step:>9}" for step in (0, 5, 10, 20, STEPS - 1)))
    for name, values in losses.items():
        print(f"{name:<25}" + "".join(f"{values[step]:>9.3f}" for step in (0, 5, 10, 20, STEPS - 1)))
    print("Old gradients never leave the sum: w swings about its goal for long.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), width_ratios=(1, 1.3))
    figure.suptitle("Gradients add up until they are zeroed")
    for name, style in zip(paths, ("o-", "s-"), strict=True):
        first, second = zip(*paths[name], strict=True)
        left.plot(first, second, style, markersize=3, linewidth=1.2, label=name)
        right.plot(losses[name], label=name)
    left.plot(2, -1, "*", color="black", markersize=13, zorder=3)
    left.set(title="The path of w from (0, 0) to the star", xlabel="w[0]", ylabel="w[1]")
    right.set(title="Loss", xlabel="step", ylabel="mean squared error", ylim=(0, 6))
    right.legend(loc="upper right")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "gradient_accumulation.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
