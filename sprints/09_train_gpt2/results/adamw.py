"""Shows AdamW by hand against torch's kernel, which parameters decay, and why the decay is kept out of the gradient."""

import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.configs.model import GPTConfig
from groundup.configs.optimizer import OptimizerConfig
from groundup.models.gpt import GPT
from groundup.training.optimizers import AdamW, build_optimizer, parameter_groups

OUT = Path("runs/sprints/09_train_gpt2")
STEPS, LR, DECAY = 100, 1e-2, 0.1


def train(model: GPT, config: OptimizerConfig) -> list[Tensor]:
    """Teach counting, and return all parameters as one vector after each step."""
    optimizer = build_optimizer(model, config, learning_rate=1e-3)
    tokens = torch.arange(17).repeat(8, 1) + torch.arange(8)[:, None]
    weights = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
        optimizer.step()
        weights.append(nn.utils.parameters_to_vector(model.parameters()).detach().clone())
    return weights


def shrink(scale: float, *, is_decoupled: bool) -> list[float]:
    """Return a weight under gradients that are noise of size `scale`, decayed beside the gradient or inside it."""
    noise = torch.Generator().manual_seed(0)
    weights = nn.Parameter(torch.ones(4_000))  # 4,000 weights: their mean shows the decay, not the noise
    kind = AdamW if is_decoupled else torch.optim.Adam  # Adam's weight_decay adds decay · w to the gradient
    optimizer = kind([weights], lr=LR, weight_decay=DECAY)
    means = [1.0]
    for _ in range(4 * STEPS):
        weights.grad = scale * torch.randn(weights.shape, generator=noise)
        optimizer.step()
        means.append(weights.mean().item())
    return means


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    model = GPT(GPTConfig(vocab_size=32, context_length=16, d_model=48, n_layers=2, n_heads=4))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for group in parameter_groups(model, DECAY):
        kinds = sorted({names[id(p)].replace("blocks.0.", "").replace("blocks.1.", "") for p in group["params"]})
        numbers = sum(p.numel() for p in group["params"])
        print(f"weight_decay {group['weight_decay']}: {len(group['params'])} tensors, {numbers:,} numbers")
        print(f"  {', '.join(kinds)}")

    config = OptimizerConfig(weight_decay=DECAY)
    fused = train(deepcopy(model), config)
    ours = train(deepcopy(model), replace(config, name="adamw_by_hand"))
    moved = [(a - fused[0]).abs().max().item() for a in fused]
    apart = [(a - b).abs().max().item() for a, b in zip(ours, fused, strict=True)]
    print("\nstep   by hand and fused differ by   weights have moved by")
    for step in (1, 10, STEPS):
        print(f"{step:>4}{apart[step - 1]:>30.0e}{moved[step - 1]:>24.0e}")

    print(f"\nFirst step at lr {LR:g}, no decay:")
    for size in (1e-4, 1.0, 1e4):
        weight = nn.Parameter(torch.zeros(1))
        weight.grad = torch.tensor([size])
        AdamW([weight], lr=LR, weight_decay=0.0).step()
        print(f"  gradient {size:>7g}: AdamW {weight.item():+.4f}, gradient descent {-LR * size:+g}")

    scales, n = (0.01, 0.1, 1.0), 4 * STEPS
    curves = {(s, d): shrink(s, is_decoupled=d) for d in (True, False) for s in scales}
    print(f"\nMean weight after {n} steps of gradient noise; (1 - lr · decay)^{n} = {(1 - LR * DECAY) ** n:.3f}")
    print("size of the noise" + "".join(f"{scale:>8g}" for scale in scales))
    for name, is_decoupled in (("AdamW", True), ("Adam with L2", False)):
        print(f"{name:<17}" + "".join(f"{curves[scale, is_decoupled][-1]:>8.3f}" for scale in scales))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(13, 4))
    panels[0].plot(range(2, STEPS + 1), moved[1:], label="moved since step 1")
    panels[0].plot(range(1, STEPS + 1), apart, label="by hand and fused apart")
    panels[0].set(title="Weights of a GPT in training", xlabel="step", ylabel="largest difference", yscale="log")
    panels[0].legend(loc="center right")
    for panel, is_decoupled, title in zip(panels[1:], (True, False), ("Decoupled: AdamW", "L2 in Adam"), strict=True):
        for scale, style in zip(scales, ("-", "--", ":"), strict=True):
            panel.plot(curves[scale, is_decoupled], style, label=f"gradient noise {scale:g}")
        panel.set(title=title, xlabel="step", ylabel="mean weight", ylim=(min(map(min, curves.values())) - 0.05, 1.02))
    panels[1].legend(loc="lower left")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "adamw.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
