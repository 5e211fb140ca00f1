"""Shows Conv2d (kernels, channels, stride, padding), MaxPool2d and Flatten on a real handwritten digit.

A linear layer has a weight for every pixel. A convolution has a small window of weights, the kernel, that it moves over
the image: at every place it multiplies the pixels under the window with the kernel and adds up. So a stroke is found
wherever it is, and 3 · 3 weights do for the whole image. A layer has many kernels, each of which makes a picture of its
own: those are its output channels, and a kernel of the next layer looks through all of them at once.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from groundup.data.images import mnist
from groundup.layers.convolution import convolution

OUT = Path("runs/sprints/04_advanced_training_mnist")
KERNELS = {
    "strokes across": [[-1, -1, -1], [2, 2, 2], [-1, -1, -1]],
    "strokes down": [[-1, 2, -1], [-1, 2, -1], [-1, 2, -1]],
    "edges": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "blur": [[1 / 9] * 3] * 3,
}
TITLES = ("kernel, 3 x 3", "its map, 28 x 28", "ReLU", "MaxPool2d: 14 x 14", "again: 7 x 7")


def by_hand(image: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Return what one kernel makes of one image, edges padded with 0: two loops and a sum."""
    padded = nn.functional.pad(image, (1, 1, 1, 1))
    found = torch.zeros_like(image)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            found[row, column] = (padded[row : row + 3, column : column + 3] * kernel).sum()
    return found


def main(out: Path = OUT) -> None:
    images, labels = mnist(train=False)
    digit = torch.from_numpy(images[labels == 5][3] / 255).float()  # [28, 28], 0 is paper and 1 ink
    layer = nn.Conv2d(1, len(KERNELS), 3, padding=1, bias=False).requires_grad_(False)
    layer.weight.copy_(torch.tensor(list(KERNELS.values()))[:, None])
    maps = layer(digit[None, None])[0]  # [4, 28, 28]
    apart = max((by_hand(digit, layer.weight[i, 0]) - maps[i]).abs().max().item() for i in range(len(maps)))
    print(f"Conv2d(1, 4, 3, padding=1) on a digit of 28 x 28, beside two loops and a sum: apart by {apart:.0e}")

    print("\nkernel  stride  padding   28 becomes   floor((28 + 2 padding - kernel) / stride) + 1")
    for kernel, stride, padding in ((3, 1, 0), (3, 1, 1), (3, 2, 1), (5, 1, 0), (5, 1, 2), (1, 1, 0)):
        size = nn.Conv2d(1, 1, kernel, stride, padding)(digit[None, None]).shape[-1]
        print(f"{kernel:>6}{stride:>8}{padding:>9}{size:>13}{(28 + 2 * padding - kernel) // stride + 1:>13}")

    n = 16 * 28 * 28
    print("\nnumbers that are learned, from 16 channels of 28 x 28 to 16 of the same size")
    learned = sum(p.numel() for p in convolution(16, 16, groups=0).parameters())
    print(f"  a convolution: 16 kernels of 16 x 3 x 3, 16 biases {learned:>13,}")
    print(f"  a linear layer: every number to every number       {n * n + n:>13,}")

    pooled = nn.MaxPool2d(2)(maps.relu())
    smaller = nn.MaxPool2d(2)(pooled)
    shapes = [list(x.shape) for x in (maps, pooled, smaller, nn.Flatten(0)(smaller))]
    print("\nMaxPool2d(2) twice, then Flatten: " + " -> ".join(map(str, shapes)))

    print("\nthe same digit one pixel to the right: how much is another number now, relative")
    for name, pool in (
        ("its maps", nn.Identity()),
        ("MaxPool2d(4)", nn.MaxPool2d(4)),
        ("MaxPool2d(7)", nn.MaxPool2d(7)),
    ):
        before, after = (pool(layer(image[None, None]).relu()) for image in (digit, digit.roll(1, 1)))
        print(f"  {name:<14}{((after - before).norm() / before.norm()).item():>6.0%}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(4, 6, figsize=(12, 8.2))
    figure.suptitle("One digit through a convolution of four kernels, ReLU, and max-pooling twice")
    for row, (name, kernel) in enumerate(KERNELS.items()):
        shown = (torch.tensor(kernel), maps[row], maps[row].relu(), pooled[row], smaller[row])
        for column, (panel, pixels, title) in enumerate(zip(panels[row, 1:], shown, TITLES, strict=True)):
            most, is_signed = pixels.abs().max().item(), column < 2
            cmap, least = ("PuOr_r", -most) if is_signed else ("gray_r", 0)
            panel.imshow(pixels.numpy(), cmap=cmap, vmin=least, vmax=most)
            panel.set_title(title if row == 0 else "")
            for (y, x), weight in np.ndenumerate(pixels.numpy()) if column == 0 else ():
                panel.text(x, y, f"{weight:.2g}", ha="center", va="center", color="white" if weight > 0 else "black")
        panels[row, 1].set_ylabel(name)
        panels[row, 0].set_visible(row == 0)
    panels[0, 0].imshow(digit.numpy(), cmap="gray_r")
    panels[0, 0].set_title("the digit")
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[])
        panel.spines[:].set_visible(True)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "convolutions.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
