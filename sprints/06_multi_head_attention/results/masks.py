"""Shows padding and look-ahead masks, alone and combined: boolean, True = may attend, False = masked."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import ListedColormap
from torch import Tensor

from groundup.layers.attention import attention_weights, scaled_dot_product_attention
from groundup.layers.masks import causal_mask, combine_masks, padding_mask

OUT = Path("runs/sprints/06_multi_head_attention")
BATCH = [["the", "lost", "key", "is", "found", "again"], ["a", "door", "opens", "[pad]", "[pad]", "[pad]"]]
T = len(BATCH[0])


def plot(masks: dict[str, Tensor], path: Path) -> None:
    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(2, 2, figsize=(8.5, 8))
    figure.suptitle("Masks: blue = True = may attend, grey = False = masked")
    for panel, (title, mask) in zip(panels.flat, masks.items(), strict=True):
        words = BATCH[1] if "padding" in title else BATCH[0]
        shown = mask[-1, 0].expand(T, T) if mask.dim() == 4 else mask  # the padded row of the batch
        panel.imshow(shown.numpy(), cmap=ListedColormap(["#E5E5E5", "#0072B2"]), vmin=0, vmax=1)
        panel.set_xticks(range(T), words, rotation=45, ha="right")
        panel.set_yticks(range(len(shown)), words[-len(shown) :])
        panel.set_xticks([column + 0.5 for column in range(T - 1)], minor=True)
        panel.set_yticks([row + 0.5 for row in range(len(shown) - 1)], minor=True)
        panel.grid(which="minor", color="white", linewidth=2)
        panel.tick_params(which="both", length=0)
        panel.spines[:].set_visible(False)
        panel.set(title=f"{title} {list(mask.shape)}", anchor="N", xlabel="key", ylabel="query")
    figure.savefig(path)


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([sum(word != "[pad]" for word in words) for words in BATCH])  # [B]
    look_ahead = causal_mask(T)  # [T, T]
    padding = padding_mask(lengths, T)  # [B, 1, 1, T]
    both = combine_masks(look_ahead, padding)  # [B, 1, T, T]
    assert both is not None
    masks = {
        "look-ahead": look_ahead,
        "padding": padding,
        "look-ahead and padding": both,
        "two new words behind a cache": causal_mask(2, T),
    }
    print(f"A batch of {len(BATCH)} sentences, lengths {lengths.tolist()}, padded to {T}")
    for name, mask in masks.items():
        print(f"{name:<30}{mask.dtype!s:<12}{list(mask.shape)!s:<15}{mask.float().mean():>4.0%} True")
    print("\nThe second sentence, look-ahead and padding (1 = may attend):")
    for word, row in zip(BATCH[1], both[1, 0].int().tolist(), strict=True):
        print(f"  {word:>6}  {' '.join(map(str, row))}")

    q, k, v = torch.randn(3, len(BATCH), 1, T, 8)  # [B, H, T, K]
    weights = attention_weights(q, k, both)  # [B, H, T, T]
    print(f"\nLargest weight where the mask is False: {weights.masked_fill(both, 0).max():.0f}.", end=" ")
    print(f"Rows sum to {weights.sum(-1).min():.4f} … {weights.sum(-1).max():.4f}.")
    out_before = scaled_dot_product_attention(q, k, v, mask=both)
    k[:, :, 4], v[:, :, 4] = 9.0, 9.0  # another word at position 4
    change = (scaled_dot_product_attention(q, k, v, mask=both) - out_before).abs().amax((1, 3))  # [B, T]
    for words, row in zip(BATCH, change.tolist(), strict=True):
        seen = [word for word, difference in zip(words, row, strict=True) if difference > 0]
        print(f"Changing key 4 ({words[4]}) reaches: {', '.join(seen) or 'nothing'}.")

    out.mkdir(parents=True, exist_ok=True)
    path = out / "masks.png"
    plot(masks, path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
