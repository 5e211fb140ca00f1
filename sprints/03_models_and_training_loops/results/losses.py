"""Shows mean squared error and cross-entropy, which is log-softmax and then NLL: shapes, gradients, refusals."""

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from groundup import engine as eg
from groundup.engine import functional as F

OUT = Path("runs/sprints/03_models_and_training_loops")


def refused(code: str, attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except (ValueError, TypeError, IndexError) as error:
        print(f"  {code}\n    {error}")


def main(out: Path = OUT) -> None:
    eg.manual_seed(0)
    predicted, wanted = eg.randn(4, 3), eg.randn(4, 3)
    logits, classes = eg.randn(4, 5, requires_grad=True), eg.tensor([1, 0, 4, 2])
    loss = F.cross_entropy(logits, classes)
    in_two = F.nll_loss(F.log_softmax(logits, -1), classes)
    theirs = torch.nn.functional.cross_entropy(torch.tensor(logits.detach().numpy()), torch.tensor(classes.numpy()))
    print("loss            input          target                loss")
    print(f"MSE             [4, 3] float   [4, 3] float      {F.mse_loss(predicted, wanted).item():>8.5f}", end="")
    print(f"   mean of (p - t)²: {((predicted - wanted) ** 2).mean().item():.5f}")
    print(f"cross-entropy   [4, 5] logits  [4] int64 classes {loss.item():>8.5f}", end="")
    print(f"   log-softmax, then NLL: {in_two.item():.5f}; torch: {theirs.item():.5f}")
    text = F.cross_entropy(eg.randn(2 * 6, 5), eg.tensor([1, 0, 4, 2, 3, 3, 1, 0, 4, 2, 3, -100]))
    print(
        f"  of a text     [B·T, 5]       [B·T]             {text.item():>8.5f}   -100 marks a target that is left out"
    )

    loss.backward()
    one_hot = (classes.view(-1, 1) == eg.arange(5)).float()
    by_hand = (F.softmax(logits.detach(), -1) - one_hot) / 4
    apart = (logits.grad - by_hand).abs().max().item()
    print(f"\nIts gradient is (softmax - one-hot) / N: largest difference {apart:.0e}")
    large = eg.tensor([[1000.0, 0.0]])
    naive = -eg.log(eg.exp(large) / eg.exp(large).sum())[0, 1].item()
    print(f"Logits 1000 and 0, target 1: exp, then log gives {naive}; cross_entropy gives", end=" ")
    print(f"{F.cross_entropy(large, eg.tensor([1])).item():g}")
    print("\nShapes that do not fit")
    refused("cross_entropy([4, 5], float targets [4])", lambda: F.cross_entropy(logits, eg.zeros(4)))
    refused("cross_entropy([4, 5], targets [3])", lambda: F.cross_entropy(logits, eg.tensor([0, 1, 2])))
    refused("cross_entropy with class 5 of 5", lambda: F.cross_entropy(logits, eg.tensor([0, 1, 2, 5])))
    refused("mse_loss([4, 3], [4])", lambda: F.mse_loss(predicted, eg.zeros(4)))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4))
    figure.suptitle("What two losses make of an answer of two classes, by the logit of the right one")
    margin = eg.linspace(-6, 6, 201)
    curves = {}
    for name in ("cross-entropy", "squared error of the probability"):
        at = margin.clone().requires_grad_()
        share = F.sigmoid(at)  # softmax over (margin, 0)
        values = -eg.log(share) if name == "cross-entropy" else (1 - share) ** 2
        values.sum().backward()
        curves[name] = (values.tolist(), at.grad.tolist())
    for name, (values, slopes) in curves.items():
        left.plot(margin.tolist(), values, label=name)
        right.plot(margin.tolist(), slopes, label=name)
    left.set(title="Loss", xlabel="logit of the right class, the other is 0")
    right.set(title="Gradient: what training feels", xlabel="logit of the right class, the other is 0")
    right.annotate(
        "surely wrong, and hardly\nany gradient",
        (-5.5, -0.01),
        (-5.6, -0.42),
        color="#555555",
        arrowprops={"arrowstyle": "-", "color": "#999999"},
    )
    left.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "losses.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
