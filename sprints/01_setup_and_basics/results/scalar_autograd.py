"""Shows the chain rule with single numbers: slopes multiply along paths, paths add up, and a neuron learns."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup.engine.scalar import Value

OUT = Path("runs/sprints/01_setup_and_basics")


def main(out: Path = OUT) -> None:
    a, b, c = Value(2.0, "a"), Value(-3.0, "b"), Value(10.0, "c")
    loss = (a * b + c) * a
    loss.backward()
    print("loss = (a * b + c) * a: data and grad of each number, and its slope at what it went into\n")
    print(loss.draw())
    out.mkdir(parents=True, exist_ok=True)
    loss.draw().save(out / "scalar_graph.svg")
    print(f"drawing: {out / 'scalar_graph.svg'}")
    print("\nTwo paths lead from a to the loss; slopes multiply along a path, and paths add up:")
    through, directly = b.data * a.data, a.data * b.data + c.data
    print(f"  through a * b: {b.data:g} · 1 · {a.data:g} = {through:g}   directly: {directly:g}   a.grad = {a.grad:g}")

    x = Value(1.0)
    y = x
    for _ in range(50_000):
        y = y * 0.9999
    y.backward()
    print(f"A chain of 50,000 products: gradient {x.grad:.9f}, 0.9999 ** 50,000 is {0.9999**50_000:.9f}.\n")

    noise = np.random.default_rng(0)
    inputs = np.linspace(-3, 3, 25)
    targets = np.tanh(1.5 * inputs - 0.8) + 0.08 * noise.standard_normal(25)
    w, bias = Value(-0.5, "w"), Value(0.0, "b")
    curves, losses = {}, []
    print("step      loss         w         b      a neuron tanh(w x + b) learns from 25 points")
    for step in range(61):
        errors = [(w * float(x) + bias).tanh() - float(t) for x, t in zip(inputs, targets, strict=True)]
        loss = sum((error**2 for error in errors), Value(0.0)) / len(errors)
        losses.append(loss.data)
        if step in (0, 5, 60):
            curves[step] = (w.data, bias.data)
            print(f"{step:>4}{loss.data:>10.4f}{w.data:>10.3f}{bias.data:>10.3f}")
        w.grad = bias.grad = 0.0
        loss.backward()
        for parameter in (w, bias):
            parameter.data -= 0.8 * parameter.grad
    print(f"made with                {1.5:>5} {-0.8:>9}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4), width_ratios=(1.4, 1))
    figure.suptitle("A neuron of two Values, trained by gradient descent")
    left.plot(inputs, targets, "o", color="#888888", markersize=4)
    fine = np.linspace(-3, 3, 200)
    for i, (step, (slope, shift)) in enumerate(curves.items()):
        left.plot(fine, np.tanh(slope * fine + shift), color=("C5", "C4", "C0")[i], label=f"step {step}")
    left.set(title="tanh(w x + b)", xlabel="x")
    left.legend()
    right.plot(losses)
    right.set(title="Loss", xlabel="step", ylabel="mean squared error", yscale="log")
    path = out / "scalar_autograd.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
