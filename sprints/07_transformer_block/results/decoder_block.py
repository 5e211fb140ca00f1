"""Shows a DecoderBlock: what the target sees of itself and of the source, and cross-attention after training."""

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.layers.attention import attention_weights, split_heads
from groundup.layers.blocks import DecoderBlock
from groundup.layers.embedding import TokenEmbedding
from groundup.layers.masks import padding_mask
from groundup.layers.positions import LearnedPositions

OUT = Path("runs/sprints/07_transformer_block")
V, T, D, STEPS = 10, 8, 32, 150  # vocabulary, positions of source and target, width
START = V  # the token before the first target


def reach(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the largest change of each output when one input position changes: [outputs, inputs]."""
    base, columns = run(x), []
    for position in range(x.shape[1]):
        changed = x.clone()
        changed[:, position] += 1
        columns.append((run(changed) - base).abs().amax((0, 2)))
    return torch.stack(columns, dim=1).detach()


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    tokens, target_places, source_places = TokenEmbedding(V + 1, D), LearnedPositions(T, D), LearnedPositions(T, D)
    block, answer = DecoderBlock(D, n_heads=1, d_ff=4 * D), nn.Linear(D, V)
    x, encoded = torch.randn(1, T, D), torch.randn(1, T, D)
    padded = padding_mask(torch.tensor([T - 2]), T)  # the last two source positions are padding
    of_target = reach(lambda changed: block(changed, encoded, encoded_mask=padded), x)  # [T, T]
    of_source = reach(lambda changed: block(x, changed, encoded_mask=padded), encoded)  # [T, S]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    print(f"DecoderBlock: target {list(x.shape)} and source {list(encoded.shape)} -> {list(block(x, encoded).shape)}")
    print("parts:", ", ".join(name for name, part in block.named_children() if name != "dropout"))
    print("Largest change of an output when an input changes")
    print(f"  target   own past and present {of_target[~future].max():.2f}   future  {of_target[future].max():.2f}")
    print(f"  source   real positions       {of_source[:, :-2].max():.2f}   padding {of_source[:, -2:].max():.2f}")

    layers = nn.ModuleList([tokens, target_places, source_places, block, answer])
    optimizer = torch.optim.AdamW(layers.parameters(), lr=0.005)
    for _ in range(STEPS):  # write the source backwards
        source = torch.randint(V, (64, T))
        target = source.flip(1)
        written = torch.cat([torch.full((64, 1), START), target[:, :-1]], dim=1)  # what is known when t is written
        x, encoded = target_places(tokens(written)), source_places(tokens(source))  # [B, T, D]
        logits = answer(block(x, encoded))
        optimizer.zero_grad()
        F.cross_entropy(logits.flatten(0, 1), target.flatten()).backward()
        optimizer.step()
    right = (logits.argmax(-1) == target).float().mean()

    # Cross-attention of the trained block, from its own projections: queries from the target, keys from the source.
    attention = block.cross_attention
    normed = block.attention_norm(x + block.attention(x, is_causal=True))
    q, k = split_heads(attention.query(normed), 1), split_heads(attention.key(encoded), 1)  # [1, 1, T, K]
    weights = attention_weights(q, k)[0, 0].detach()  # [T, S]
    found = (weights.argmax(-1) == torch.arange(T).flip(0)).sum()
    print(f"\nTrained to write the source backwards: {right:.0%} right after {STEPS} steps; {found} of {T} targets")
    print(f"look most at their own letter, with a mean weight of {weights.flip(1).diagonal().mean():.2f}.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(12, 4))
    figure.suptitle("A decoder block")
    titles = (
        "Reach of the target",
        "Reach of the source, last two padded",
        "Cross-attention, trained to reverse",
    )
    for panel, title, values in zip(panels, titles, (of_target, of_source, weights), strict=True):
        image = panel.imshow(values.numpy(), vmin=0)
        figure.colorbar(image, ax=panel, shrink=0.7, label="weight" if values is weights else "largest change")
        panel.set(title=title, xlabel="target position" if values is of_target else "source position", ylabel="output")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "decoder_block.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
