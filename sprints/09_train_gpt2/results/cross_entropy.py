"""Shows next-token cross-entropy by hand against torch's, why it is summed, and which characters surprise a model."""

import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.model import GPTConfig
from groundup.configs.optimizer import OptimizerConfig
from groundup.data.corpora import find_corpus, preview
from groundup.data.windows import Windows
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tokenization.characters import CharacterTokenizer
from groundup.training.optimizers import build_optimizer

OUT = Path("runs/sprints/09_train_gpt2")
T, STEPS, SHOWN = 64, 150, 62


def by_hand(logits: Tensor, targets: Tensor) -> Tensor:
    """Return -log softmax(logits)[target], in nats: [N, V], [N] -> [N]."""
    highest = logits.amax(-1, keepdim=True)  # so that exp never overflows
    log_sum = highest.squeeze(-1) + (logits - highest).exp().sum(-1).log()
    return log_sum - logits.gather(-1, targets[:, None])[:, 0]


def gradients(model: GPT, x: Tensor, y: Tensor, parts: int) -> Tensor:
    """Return all gradients of the mean loss, its batch [B, T] cut into `parts`: summed, divided by all targets."""
    model.zero_grad()
    for inputs, targets in zip(x.chunk(parts), y.chunk(parts), strict=True):
        (by_hand(model(inputs).flatten(0, 1), targets.flatten()).sum() / y.numel()).backward()
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None])


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    try:
        text = preview(find_corpus("shakespeare"), 300_000)
    except InputError as error:  # not here and no network: it says what to put where
        print(f"{error}\nGoing on with tales.")
        text = preview(find_corpus("tales"), 300_000)
    tokenizer = CharacterTokenizer.from_text([text])
    ids = torch.tensor(tokenizer.encode(text))
    V, windows = tokenizer.vocab_size, Windows(ids[:-2_000].numpy(), T, seed=0)
    model = GPT(GPTConfig(vocab_size=V, context_length=T, d_model=96, n_layers=2, n_heads=4, bias=False))
    x, y = map(torch.from_numpy, windows.batch(0, 12))  # [B, T] each

    logits = model(x).flatten(0, 1).detach().requires_grad_()  # [B * T, V]
    ours, theirs = by_hand(logits, y.flatten()).mean(), F.cross_entropy(logits, y.flatten())
    (gradient,) = torch.autograd.grad(ours, logits)
    formula = (logits.softmax(-1) - F.one_hot(y.flatten(), V)) / y.numel()
    print(f"Before training: loss {ours:.4f}, ln {V} = {math.log(V):.4f}; torch's differs by {ours - theirs:.0e}.")
    print(f"Its gradient is (softmax - one-hot) / N: largest difference {(gradient - formula).abs().max():.0e}.")
    large = torch.tensor([[1000.0, 0.0]])
    print(f"Logits of 1000: naive -log(softmax) {-torch.log(large.exp() / large.exp().sum())[0, 0]:.0f},", end=" ")
    print(f"by hand {by_hand(large, torch.tensor([0]))[0]:.0f}.")
    whole = gradients(model, x, y, 1)
    print(f"Gradient of a batch of 12 against the sum over parts, largest {whole.abs().max():.0e}:")
    for parts in (2, 4, 12):
        print(f"  {parts:>2} parts: largest difference {(gradients(model, x, y, parts) - whole).abs().max():.0e}")

    line = ids[-2_000:][: SHOWN + 1]
    surprise = {"before training": by_hand(model(line[None, :-1])[0], line[1:]).detach()}
    optimizer = build_optimizer(model, OptimizerConfig(), learning_rate=3e-3)
    for step in range(STEPS):
        gradients(model, *map(torch.from_numpy, windows.batch(step, 12)), 1)
        optimizer.step()
    surprise["after"] = by_hand(model(line[None, :-1])[0], line[1:]).detach()
    print(f"\nA line never trained on, nats per character after {STEPS} steps (before):")
    after, letters = surprise["after"], [tokenizer.decode([i]) for i in line[1:].tolist()]
    spaces = torch.tensor([letter in " \n" for letter in letters])
    begins = torch.cat([torch.tensor([False]), spaces[:-1]]) & ~spaces
    kinds = {"all": spaces | ~spaces, "spaces": spaces, "first letters": begins, "other letters": ~spaces & ~begins}
    for kind, chosen in kinds.items():
        print(f"  {kind:<14}{after[chosen].mean():.2f} ({surprise['before training'][chosen].mean():.2f})")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panel = plt.subplots(figsize=(11, 4.2))
    panel.bar(range(SHOWN), after.tolist(), 0.8, color=["C1" if first else "C0" for first in begins])
    panel.plot(surprise["before training"].tolist(), color="#888888", linewidth=1, label="before training")
    panel.bar(0, 0, color="C0", label=f"after {STEPS} steps")
    panel.bar(0, 0, color="C1", label="first letter of a word")
    panel.set_xticks(range(SHOWN), [letter.replace("\n", "¶") for letter in letters], family="monospace")
    panel.set(title="What surprises the model: -ln p of each character", ylabel="nats", xlim=(-0.7, SHOWN - 0.3))
    panel.tick_params(axis="x", length=0)
    panel.set_ylim(0, 1.25 * max(map(float, [after.max(), surprise["before training"].max()])))
    panel.legend(ncols=3, loc="upper right")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "cross_entropy.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
