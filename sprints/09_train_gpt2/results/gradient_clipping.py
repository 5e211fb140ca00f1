"""Shows gradient clipping: the norms before and after, and what one bad batch does with it and without."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from groundup.configs.model import GPTConfig
from groundup.configs.optimizer import OptimizerConfig
from groundup.data.corpora import find_corpus, preview
from groundup.data.windows import Windows
from groundup.models.gpt import GPT
from groundup.tokenization.characters import CharacterTokenizer
from groundup.training.optimizers import build_optimizer

OUT = Path("runs/sprints/09_train_gpt2")
STEPS, BAD_STEP, BAD = 240, 80, 300.0  # the loss of one batch is multiplied by BAD
CLIP = 1.0


def train(windows: Windows, V: int, clip: float, bad: float) -> tuple[list[float], list[float], list[float]]:
    """Return the losses of a run and its gradient norms before and after clipping."""
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=V, context_length=32, d_model=48, n_layers=2, n_heads=4))
    optimizer = build_optimizer(model, OptimizerConfig(), learning_rate=2e-3)
    losses, before, after = [], [], []
    for step in range(STEPS):
        x, y = map(torch.from_numpy, windows.batch(step, 12))  # [B, T] each
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        (loss * (bad if step == BAD_STEP else 1.0)).backward()
        before.append(nn.utils.clip_grad_norm_(model.parameters(), clip).item())
        after.append(nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None]).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, before, after


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    parameters = [nn.Parameter(torch.zeros(size)) for size in (3, 100)]
    gradients = [torch.randn(3), 5 * torch.randn(100)]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    norm = torch.cat(gradients).norm()
    by_hand = [gradient * min(1.0, CLIP / norm) for gradient in gradients]
    told = nn.utils.clip_grad_norm_(parameters, CLIP)
    clipped = torch.cat([parameter.grad for parameter in parameters if parameter.grad is not None])
    print(f"One norm over all gradients: by hand {norm:.4f}, torch {told:.4f}; afterwards {clipped.norm():.4f}.")
    print(
        f"By hand and torch's differ by {(torch.cat(by_hand) - clipped).abs().max():.0e}. The direction stays:", end=" "
    )
    print(f"cosine {F.cosine_similarity(torch.cat(gradients), clipped, dim=0):.6f}.")

    text = preview(find_corpus("tales"), 200_000)  # needs no file
    tokenizer = CharacterTokenizer.from_text([text])
    windows = Windows(torch.tensor(tokenizer.encode(text)).numpy(), 32, seed=0)
    runs = {
        "no bad batch": train(windows, tokenizer.vocab_size, CLIP, 1.0),
        f"clipped at {CLIP:g}": train(windows, tokenizer.vocab_size, CLIP, BAD),
        "not clipped": train(windows, tokenizer.vocab_size, 1e9, BAD),
    }
    print(f"\n{STEPS} steps; the loss of step {BAD_STEP} is multiplied by {BAD:g}. Mean loss of 20 steps")
    print("                before   at +20   at +80   last   steps clipped   largest norm before, after")
    for name, (losses, before, after) in runs.items():
        means = [sum(losses[end - 20 : end]) / 20 for end in (BAD_STEP, BAD_STEP + 21, BAD_STEP + 81, STEPS)]
        print(f"{name:<15}" + "".join(f"{mean:>8.3f}" for mean in means), end="")
        print(f"{sum(b > a * 1.001 for b, a in zip(before, after, strict=True)):>12}", end="")
        print(f"{max(before):>23.2f}{max(after):>9.2f}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    figure.suptitle("Gradient clipping")
    _, before, after = runs[f"clipped at {CLIP:g}"]
    left.plot(before, ".", color="C1", label="before")
    left.plot(after, ".", color="C0", label="after")
    left.axhline(CLIP, color="#888888", linestyle=":", linewidth=1)
    left.set(title="Norm of all gradients", xlabel="step", ylabel="norm", yscale="log")
    left.legend()
    for (name, (losses, _, _)), style in zip(runs.items(), ("-", "--", "-"), strict=True):
        smooth = torch.tensor(losses).unfold(0, 7, 1).mean(-1)
        right.plot(range(3, STEPS - 3), smooth.tolist(), style, label=name, linewidth=1.6)
    right.axvline(BAD_STEP, color="#888888", linestyle=":", linewidth=1)
    right.set(title="Loss, mean of 7 steps", xlabel="step", ylabel="nats per character")
    right.legend()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "gradient_clipping.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    torch.set_num_threads(1)  # so small a model gains nothing from more
    main(*map(Path, sys.argv[1:]))
