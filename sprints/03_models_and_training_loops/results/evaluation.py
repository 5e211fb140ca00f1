"""Shows evaluation: eval mode and no_grad, what each is for, and the validation loss that tells when to stop."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup import engine as eg
from groundup.engine import nn
from groundup.engine.optim import Adam

OUT = Path("runs/sprints/03_models_and_training_loops")
N_TRAIN, N_VALIDATION, STEPS, EVERY = 60, 400, 600, 10


def two_moons(n: int, seed: int) -> tuple[eg.Tensor, eg.Tensor]:
    noise = np.random.default_rng(seed)
    label = np.arange(n) % 2
    angle = np.pi * noise.random(n)
    points = np.stack([np.cos(angle) + label, np.sin(angle) * (1 - 2 * label) + 0.5 * label], axis=1)
    points += 0.3 * noise.standard_normal((n, 2))
    return eg.from_numpy(points.astype(np.float32)), eg.tensor(label.tolist())


def evaluate(model: nn.Module, x: eg.Tensor, targets: eg.Tensor) -> tuple[float, float]:
    """Return loss and share of right answers; the model goes on training as before."""
    model.eval()  # dropout off
    with eg.no_grad():  # no graph, no memory for it
        logits = model(x)
        loss = nn.CrossEntropyLoss()(logits, targets).item()
    model.train()
    return loss, (logits.argmax(-1) == targets).float().mean().item()


def train(
    p: float, data: tuple[eg.Tensor, eg.Tensor], held_out: tuple[eg.Tensor, eg.Tensor]
) -> tuple[nn.Module, np.ndarray]:
    """Return the model and, for every tenth step, (training loss, validation loss)."""
    eg.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(2, 96), nn.ReLU(), nn.Dropout(p), nn.Linear(96, 96), nn.ReLU(), nn.Dropout(p), nn.Linear(96, 2)
    )
    optimizer, curve = Adam(model.parameters(), lr=5e-3), []
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            curve.append((evaluate(model, *data)[0], evaluate(model, *held_out)[0]))
        loss = nn.CrossEntropyLoss()(model(data[0]), data[1])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, np.array(curve)


def main(out: Path = OUT) -> None:
    data, held_out = two_moons(N_TRAIN, 0), two_moons(N_VALIDATION, 1)
    runs = {name: train(p, data, held_out) for name, p in {"no dropout": 0.0, "dropout 0.5": 0.5}.items()}
    model, _ = runs["dropout 0.5"]
    x = held_out[0]
    print("The same input twice, dropout 0.5: largest difference of the probabilities")
    for mode in ("train", "eval"):
        getattr(model, mode)()
        first, second = (nn.Softmax(-1)(model(x)) for _ in range(2))
        print(f"  {mode + '()':<10}{(first - second).abs().max().item():.3f}   records a graph: {first.requires_grad}")
    with eg.no_grad():
        print(f"  {'no_grad()':<17}records a graph: {model(x).requires_grad}   (and says nothing about dropout)\n")

    print(f"{N_TRAIN} noisy points to learn from, {N_VALIDATION} held out: loss at step")
    shown = (0, 50, 100, 300, STEPS)
    print(" " * 26 + "".join(f"{step:>8}" for step in shown) + "   lowest, at step")
    for name, (model, curve) in runs.items():
        for column, kind in enumerate(("training", "validation")):
            values = curve[:, column]
            print(f"{name:<13}{kind:<13}" + "".join(f"{values[step // EVERY]:>8.3f}" for step in shown), end="")
            print(f"{values.min():>9.3f}{values.argmin() * EVERY:>9}")
        learnt, unseen = evaluate(model, *data)[1], evaluate(model, *held_out)[1]
        print(f"{'':<13}right at the end: training {learnt:.0%}, validation {unseen:.1%}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
    figure.suptitle("The training loss falls on and on; the validation loss says when to stop")
    at = np.arange(0, STEPS + 1, EVERY)
    for panel, (name, (_, curve)) in zip(panels, runs.items(), strict=True):
        for column, kind in enumerate(("training", "validation")):
            panel.plot(at, curve[:, column], label=kind)
        best = curve[:, 1].argmin()
        panel.plot(at[best], curve[best, 1], "o", color="C1", markersize=7, label=f"lowest, at step {at[best]}")
        panel.set(title=name, xlabel="step", ylim=(0, 1.2))
        panel.legend(loc="center right")
    panels[0].set_ylabel("cross-entropy, nats")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "evaluation.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
