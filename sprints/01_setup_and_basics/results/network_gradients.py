"""Shows the gradients of a small network four ways: by backward, by formulas, by differences and by torch."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from groundup import engine as eg
from groundup.engine.graph import draw
from groundup.engine.tensor import Tensor

OUT = Path("runs/sprints/01_setup_and_basics")
N, D, H, C = 32, 6, 8, 4  # examples, inputs, hidden units, outputs


def loss_of(p: dict[str, Tensor], x: Tensor, t: Tensor) -> Tensor:
    hidden = eg.tanh(x @ p["w1"] + p["b1"])  # [N, H]
    return ((hidden @ p["w2"] + p["b2"] - t) ** 2).mean()


def by_formulas(p: dict[str, Tensor], x: Tensor, t: Tensor) -> dict[str, Tensor]:
    """Return the same gradients, derived on paper, from the output back to the input."""
    hidden = eg.tanh(x @ p["w1"] + p["b1"])
    d_output = 2 * (hidden @ p["w2"] + p["b2"] - t) / (N * C)  # [N, C]
    d_sum = (d_output @ p["w2"].T) * (1 - hidden**2)  # [N, H]
    return {"w1": x.T @ d_sum, "b1": d_sum.sum(0), "w2": hidden.T @ d_output, "b2": d_output.sum(0)}


def by_differences(p: dict[str, Tensor], x: Tensor, t: Tensor, h: float = 1e-5) -> dict[str, Tensor]:
    """Return the same gradients from two losses for every single number."""
    found = {}
    for name, w in p.items():
        slopes = eg.zeros_like(w)
        for i in range(w.numel()):
            for step, sign in ((h, 1), (-2 * h, -1), (h, 0)):  # up, down, and back
                w.view(-1)[i] += step
                if sign:
                    slopes.view(-1)[i] += sign * loss_of(p, x, t).item() / (2 * h)
        found[name] = slopes
    return found


def by_torch(p: dict[str, Tensor], x: Tensor, t: Tensor) -> dict[str, Tensor]:
    theirs = {name: torch.tensor(w.detach().numpy(), requires_grad=True) for name, w in p.items()}
    hidden = torch.tanh(torch.tensor(x.numpy()) @ theirs["w1"] + theirs["b1"])
    ((hidden @ theirs["w2"] + theirs["b2"] - torch.tensor(t.numpy())) ** 2).mean().backward()
    return {name: eg.from_numpy(w.grad.numpy()) for name, w in theirs.items()}


def main(out: Path = OUT) -> None:
    eg.manual_seed(0)
    x, t = eg.randn(N, D, dtype=eg.float64), eg.randn(N, C, dtype=eg.float64)
    shapes = {"w1": (D, H), "b1": (H,), "w2": (H, C), "b2": (C,)}
    p = {name: eg.randn(*shape, dtype=eg.float64) * 0.5 for name, shape in shapes.items()}
    for w in p.values():
        w.requires_grad_()
    loss = loss_of(p, x, t)
    graph = draw(loss, names=p | {"loss": loss})
    print(graph)
    out.mkdir(parents=True, exist_ok=True)
    graph.save(out / "network_graph.svg")
    print(f"drawing: {out / 'network_graph.svg'}")
    loss.backward()
    with eg.no_grad():
        others = {"formulas": by_formulas(p, x, t), "differences": by_differences(p, x, t)}
    others["torch"] = by_torch(p, x, t)
    print("\nGradient      shape   norm     largest difference to " + "".join(f"{name:>13}" for name in others))
    for name, w in p.items():
        print(f"{name:<12}{list(w.shape)!s:>7}{w.grad.square().sum().sqrt().item():>8.3f}", end=" " * 28)
        print("".join(f"{(w.grad - found[name]).abs().max().item():>13.0e}" for found in others.values()))
    n = sum(w.numel() for w in p.values())
    print(f"One backward pass gives all {n} numbers; differences need {2 * n} losses.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 4, figsize=(11, 4.2), width_ratios=(H, H, C, C))
    figure.suptitle("The gradient of a weight has the weight's shape")
    for k, name in enumerate(("w1", "w2")):
        for j, (what, values) in enumerate(((name, p[name].detach()), (f"{name}.grad", p[name].grad))):
            reach = values.abs().max().item()
            panel = panels[2 * k + j]
            panel.imshow(values.numpy(), cmap="RdBu_r", vmin=-reach, vmax=reach)
            panel.set_title(f"{what}, up to ±{reach:.2f}", fontsize=10)
            panel.set_ylim(H - 0.5, -0.5)  # as many rows everywhere: cells are equally large
            panel.axis("off")
    path = out / "network_gradients.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
