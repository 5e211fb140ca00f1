"""Shows a network with one hidden layer: its parameter count, what ReLU does to a signal, and a curve made of bends."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

from groundup import engine as eg
from groundup.engine import nn
from groundup.engine.optim import Adam

OUT = Path("runs/sprints/01_setup_and_basics")
WIDTHS, STEPS = [2, 4, 16, 64], 600


def build(width: int) -> nn.Sequential:
    eg.manual_seed(1)
    return nn.Sequential(nn.Linear(1, width), nn.ReLU(), nn.Linear(width, 1))


def signal_flow(model: nn.Sequential, x: eg.Tensor) -> None:
    print("signal            shape        mean   deviation      zero")
    for name, layer in [("x", None), *((type(layer).__name__, layer) for layer in model)]:
        x = x if layer is None else layer(x)
        values = x.detach()
        print(f"{name:<14}{list(values.shape)!s:>9}{values.mean().item():>12.3f}{values.std().item():>12.3f}", end="")
        print(f"{values.eq(0).sum().item() / values.numel():>10.0%}")


def main(out: Path = OUT) -> None:
    mnist = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    print("784 -> 128 -> 10   shape         parameters")
    for name, parameter in mnist.named_parameters():
        print(f"  {name:<17}{list(parameter.shape)!s:<14}{parameter.numel():>10,}")
    total = sum(parameter.numel() for parameter in mnist.parameters())
    print(f"  {'all':<31}{total:>10,} = 784 · 128 + 128 + 128 · 10 + 10")
    eg.manual_seed(0)
    signal_flow(mnist, eg.randn(256, 784))

    x = eg.linspace(-3, 3, 121).view(-1, 1)
    targets = eg.sin(2 * x) + 0.3 * x
    curves, bends = {}, {}
    print("\nLearning sin(2x) + 0.3x on 121 points, one hidden layer of ReLU")
    print("hidden units   parameters   bends inside   loss at the start   at the end")
    for width in WIDTHS:
        model = build(width)
        optimizer = Adam(model.parameters(), lr=0.03)
        losses = []
        for _ in range(STEPS):
            loss = nn.MSELoss()(model(x), targets)
            losses.append(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with eg.no_grad():
            curves[width] = model(x).view(-1).tolist()
        first = model[0]
        places = (-first.bias / first.weight.view(-1)).detach()  # a unit bends the curve where w x + b = 0
        bends[width] = [place for place in places.tolist() if -3 < place < 3]
        print(f"{width:>12}{sum(p.numel() for p in model.parameters()):>13}{len(bends[width]):>15}", end="")
        print(f"{losses[0]:>20.3f}{losses[-1]:>13.4f}")
    print("Each unit adds one bend at most; between bends the output is a straight line.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, len(WIDTHS), figsize=(13, 3.6), sharey=True)
    figure.suptitle("One hidden layer of ReLU: straight pieces, one bend for each unit that is used")
    at = x.view(-1).tolist()
    for panel, width in zip(panels, WIDTHS, strict=True):
        panel.plot(at, targets.view(-1).tolist(), color="#B0B0B0", linewidth=4, label="target")
        panel.plot(at, curves[width], color="C0", label="network")
        panel.plot(bends[width], [-2.15] * len(bends[width]), "|", color="C1", markersize=9, label="bends")
        panel.set(title=f"{width} units", xlabel="x", ylim=(-2.3, 2.3))
    panels[0].legend(loc="upper left")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "hidden_layer.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
