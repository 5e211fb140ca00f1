"""Shows the training loop whole: loader, loss, backward, step, a progress bar, and the loss of each epoch."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.progress import track

from groundup import engine as eg
from groundup.engine import nn
from groundup.engine.loader import DataLoader, TensorDataset
from groundup.engine.optim import AdamW

OUT = Path("runs/sprints/03_models_and_training_loops")
N, CLASSES, EPOCHS, BATCH = 1200, 5, 15, 32


def rings() -> TensorDataset:
    """Return points in five rings, and the ring of each."""
    noise = np.random.default_rng(0)
    ring = noise.integers(CLASSES, size=N)
    angle, radius = 2 * np.pi * noise.random(N), (ring + 0.5 + 0.22 * noise.standard_normal(N)) / CLASSES
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return TensorDataset(eg.from_numpy(points.astype(np.float32)), eg.from_numpy(ring))


def main(out: Path = OUT) -> None:
    eg.manual_seed(0)
    loader = DataLoader(rings(), batch_size=BATCH, shuffle=True)
    model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, CLASSES))
    criterion = nn.CrossEntropyLoss()
    optimizer = AdamW(model.parameters(), lr=5e-3)
    console = Console(stderr=True)  # the bar goes beside the report

    print(f"{N:,} points, {len(loader)} batches an epoch, {sum(p.numel() for p in model.parameters()):,} parameters")
    print(f"epoch    loss   right      (a blind guess: {np.log(CLASSES):.3f}, {1 / CLASSES:.0%})")
    steps, epochs = [], []
    for epoch in range(1, EPOCHS + 1):
        model.train()
        total = right = 0.0
        for x, targets in track(loader, f"epoch {epoch:>2}", console=console, transient=True):
            logits = model(x)  # 1. forward
            loss = criterion(logits, targets)  # 2. how wrong
            optimizer.zero_grad()  # 3. forget the last gradients
            loss.backward()  # 4. new ones
            optimizer.step()  # 5. move the parameters
            steps.append(loss.item())
            total += loss.item() * len(x)  # a mean over the batch, and the last batch is smaller
            right += (logits.argmax(-1) == targets).sum().item()
        epochs.append(total / N)
        if epoch in (1, 2, 3, 5, 10, EPOCHS):
            print(f"{epoch:>5}{epochs[-1]:>8.3f}{right / N:>8.1%}")
    swing = np.std(steps[-len(loader) :])
    print(f"An epoch's loss is the mean over its points; single batches swing by ±{swing:.3f} about it.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right_panel) = plt.subplots(1, 2, figsize=(11, 4.4), width_ratios=(1.5, 1))
    figure.suptitle("A training loop, and what it has learned")
    at = np.arange(1, len(steps) + 1) / len(loader)
    left.plot(at, steps, color="#B8CFE6", linewidth=1, label="each batch")
    left.plot(np.arange(EPOCHS) + 0.5, epochs, "o-", color="C0", label="mean of the epoch")
    left.set(title="Training loss", xlabel="epoch", ylabel="cross-entropy, nats", ylim=0)
    left.legend()
    axis = np.linspace(-1.15, 1.15, 140, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    with eg.no_grad():
        answer = model(eg.from_numpy(grid)).argmax(-1).numpy().reshape(140, 140)
    right_panel.imshow(answer, extent=(-1.15, 1.15, -1.15, 1.15), origin="lower", alpha=0.85)
    for border in range(1, CLASSES):
        right_panel.add_patch(plt.Circle((0, 0), border / CLASSES, fill=False, linestyle=":", linewidth=1.2))
    right_panel.set(title="The ring it answers; dotted: the true borders", xticks=[], yticks=[])
    out.mkdir(parents=True, exist_ok=True)
    path = out / "training_loop.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
