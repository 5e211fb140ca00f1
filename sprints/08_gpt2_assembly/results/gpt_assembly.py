"""Shows a GPT put together: the tensor after every part, from tokens to probabilities, and that the whole learns."""

import math
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.configs.model import GPTConfig
from groundup.models.gpt import GPT

OUT = Path("runs/sprints/08_gpt2_assembly")
CONFIG = GPTConfig(vocab_size=12, context_length=16, d_model=32, n_layers=3, n_heads=4)
V, T, STEPS = 12, CONFIG.context_length, 120


def count_up(batch_size: int) -> Tensor:
    """Return tokens [B, T + 1] that count up from anywhere by 1, 2 or 3, and start again behind V - 1."""
    start, stride = torch.randint(V, (batch_size, 1)), torch.randint(1, 4, (batch_size, 1))
    return (start + stride * torch.arange(T + 1)) % V


def walk(model: GPT, tokens: Tensor) -> dict[str, Tensor]:
    """Return the tensor after every part, by name; the last one is what model(tokens) returns."""
    assert model.position_embedding is not None
    x = model.token_embedding(tokens)  # [B, T, D]
    stages = {"tokens": tokens, "token_embedding": x}
    stages["position_embedding"] = x = model.position_embedding(x)
    for i, block in enumerate(model.blocks):
        stages[f"blocks.{i}"] = x = block(x)
    stages["final_norm"] = x = model.final_norm(x)
    stages["project"] = model.project(x)  # [B, T, V]
    return stages


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    model = GPT(CONFIG)
    tokens = count_up(64)
    before = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(STEPS):
        batch = count_up(32)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        loss.backward()
        optimizer.step()

    with torch.no_grad():
        example = tokens[:1, :-1]
        stages = walk(model, example)
        print("part                shape          parameters")
        for name, tensor in stages.items():
            part = dict(model.named_modules()).get(name)
            n_parameters = 0 if part is None else sum(parameter.numel() for parameter in part.parameters())
            print(f"{name:<20}{list(tensor.shape)!s:<15}{n_parameters:>10,}")
        print(f"the whole model, tied embedding once{model.n_parameters():>9,}")
        print(f"walk and model(tokens) differ by {(stages['project'] - model(example)).abs().max():.0e}.")
        other = example.clone()
        other[:, T // 2] = (other[:, T // 2] + 5) % V
        change = (model(other) - model(example)).abs().amax((0, 2))  # [T]
        print(f"Changing token {T // 2} changes the logits at {change.nonzero().flatten().tolist()}.")
        right = (model(tokens[:, :-1]).argmax(-1) == tokens[:, 1:])[:, 1:].float().mean()
    print(f"\nLoss {before:.2f} before training (ln V = {math.log(V):.2f}), {loss:.2f} after {STEPS} steps.")
    print(f"Once two tokens show the stride, {right:.0%} of its guesses are right.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    shown = {name: x[0] for name, x in stages.items() if name != "tokens"}
    shown["probabilities"] = shown.pop("project").softmax(-1)
    figure, panels = plt.subplots(1, len(shown), figsize=(14, 4), sharey=True)
    figure.suptitle("From tokens to probabilities: one row a position")
    for panel, (name, x) in zip(panels, shown.items(), strict=True):
        largest = x.abs().max().item()
        colours = {"cmap": "cividis", "vmin": 0} if name == "probabilities" else {"cmap": "PuOr", "vmin": -largest}
        panel.imshow(x.numpy(), vmax=largest, aspect="auto", **colours)
        panel.set_title(f"{name}\n{list(x.shape)}", fontsize=10)
        panel.set_xlabel("next token" if name == "probabilities" else f"±{largest:.1f}")
    panels[0].set_yticks(range(T), [str(token) for token in example[0].tolist()])
    panels[0].set_ylabel("token")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "gpt_assembly.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
