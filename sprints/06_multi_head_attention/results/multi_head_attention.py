"""Shows multi-head attention step by step, equal to torch's, and two heads that learn to look at two places."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from groundup.layers.attention import MultiHeadAttention, attention_weights, combine_heads, split_heads
from groundup.layers.embedding import TokenEmbedding
from groundup.layers.masks import causal_mask
from groundup.layers.positions import SinusoidalPositions

OUT = Path("runs/sprints/06_multi_head_attention")
V, T, D, H = 8, 12, 32, 2  # vocabulary, positions, width, heads
STEPS_BACK = (1, 3)  # the task: name the letters 1 and 3 places back


def look(attention: MultiHeadAttention, x: Tensor) -> Tensor:
    """Return each head's weights [B, H, T, T], from the layer's own projections."""
    q, k = split_heads(attention.query(x), H), split_heads(attention.key(x), H)  # [B, H, T, K]
    return attention_weights(q, k, causal_mask(x.shape[1]))


def trace(attention: MultiHeadAttention, x: Tensor) -> None:
    q, k, v = (split_heads(project(x), H) for project in (attention.query, attention.key, attention.value))
    weights = attention_weights(q, k, causal_mask(T))
    heads = weights @ v
    combined = combine_heads(heads)
    steps = {"x": x, "query(x)": attention.query(x), "split_heads": q, "softmax(QKᵀ/√K)": weights}
    steps |= {"weights · V": heads, "combine_heads": combined, "output": attention.output(combined)}
    print("step              shape")
    for name, tensor in steps.items():
        print(f"{name:<18}{list(tensor.shape)}")
    library = nn.MultiheadAttention(D, H, batch_first=True)
    with torch.no_grad():
        projections = (attention.query, attention.key, attention.value)
        library.in_proj_weight.copy_(torch.cat([projection.weight for projection in projections]))
        library.in_proj_bias.copy_(torch.cat([projection.bias for projection in projections]))
    library.out_proj.load_state_dict(attention.output.state_dict())
    ours = attention(x, is_causal=True)
    theirs, _ = library(x, x, x, attn_mask=~causal_mask(T))  # torch's True means masked
    print(f"Largest difference: steps to layer {(steps['output'] - ours).abs().max():.0e},", end=" ")
    print(f"layer to torch.nn.MultiheadAttention {(theirs - ours).abs().max():.0e}.")


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    embedding, positions, attention = (
        TokenEmbedding(V, D),
        SinusoidalPositions(D, T, base=100),
        MultiHeadAttention(D, H),
    )
    answer = nn.Linear(D, len(STEPS_BACK) * V)
    trace(attention, positions(embedding(torch.randint(V, (1, T)))))

    layers = nn.ModuleList([embedding, positions, attention, answer])
    optimizer = torch.optim.AdamW(layers.parameters(), lr=0.02)
    looks = []
    for step in range(201):
        letters = torch.randint(V, (32, T))
        x = positions(embedding(letters))  # [B, T, D]
        if step in (0, 200):
            looks.append(look(attention, x).detach().mean(0))  # [H, T, T]
        logits = answer(attention(x, is_causal=True)).unflatten(-1, (len(STEPS_BACK), V))[:, max(STEPS_BACK) :]
        targets = torch.stack([letters.roll(back, 1) for back in STEPS_BACK], dim=-1)[:, max(STEPS_BACK) :]
        loss = F.cross_entropy(logits.flatten(0, 2), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = (logits.argmax(-1) == targets).float().mean()
    print(f"\nTask: name the letters {STEPS_BACK} places back. After {step} steps {right:.0%} right. Mean weight on")
    print("        " + "".join(f"{f'{back} back':>9}" for back in range(5)))
    for head, weights in enumerate(looks[-1]):
        shares = [weights.diagonal(-back)[max(STEPS_BACK) :].mean().item() for back in range(5)]
        print(f"head {head}  " + "".join(f"{share:>9.2f}" for share in shares))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(2, H, figsize=(7.5, 7.5), sharex=True, sharey=True)
    figure.suptitle(f"Trained to name the letters {STEPS_BACK[0]} and {STEPS_BACK[1]} places back")
    for row, when, weights in zip(panels, ("before training", "after"), looks, strict=True):
        for head, panel in enumerate(row):
            image = panel.imshow(weights[head].numpy(), vmin=0, vmax=1)
            panel.set(title=f"head {head}, {when}", xlabel="key" if when == "after" else "")
        row[0].set_ylabel("query")
    figure.colorbar(image, ax=panels, label="attention weight", shrink=0.6)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "multi_head_attention.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
