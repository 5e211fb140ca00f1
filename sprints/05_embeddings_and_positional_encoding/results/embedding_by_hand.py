"""Shows what nn.Embedding does, by hand: rows of a table looked up, and their gradient added back to those rows.

A text is a list of numbers, one for each token; a network computes with vectors. The embedding is the table between the
two: row 5 is the vector of token 5. It begins at random and is learned like any other weight. To look rows up is to
multiply by a matrix of zeros with a single 1 in each row (one-hot). So the gradient is the product with the same matrix
turned over: what arrives at a place of the text is added to the row that was taken there. A token that stands in three
places collects three times, one that does not occur gets zero. Most tokens do not occur in a batch, which is why a
sparse gradient keeps only the rows that were added, and the number of the row each belongs to.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.nn import functional as F

from groundup import engine as eg
from groundup.configs.model import preset
from groundup.engine.functional import embedding as embedding_of_arrays
from groundup.layers.embedding import TokenEmbedding, embedding

OUT = Path("runs/sprints/05_embeddings_and_positional_encoding")
SENTENCE = ["the", "fox", "met", "the", "owl", "and", "the", "owl", "met", "the", "fox"]
WORDS = [*dict.fromkeys(SENTENCE), "bear", "bee"]  # two that do not occur
TOKENS = torch.tensor([WORDS.index(word) for word in SENTENCE])  # [N]
N, V, D = len(SENTENCE), len(WORDS), 5


def track(make: type[torch.optim.Optimizer], *, sparse: bool) -> list[float]:
    """Return how far the vector of "met" has moved after each step; it occurs in the first one only."""
    table = TokenEmbedding(V, 1, fused=False, sparse=sparse)
    optimizer, start, moved = make(table.parameters(), lr=0.1), table.weight[WORDS.index("met")].item(), []
    for step in range(20):
        table(TOKENS if step == 0 else TOKENS[:2]).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        moved.append(table.weight[WORDS.index("met")].item() - start)
    return moved


def main(out: Path = OUT) -> None:
    torch.manual_seed(0)
    weight, dy = torch.randn(V, D).requires_grad_(), torch.randn(N, D)
    layer = nn.Embedding.from_pretrained(weight.detach(), freeze=False)
    array = eg.from_numpy(weight.detach().numpy().copy()).requires_grad_()
    by_engine = embedding_of_arrays(eg.from_numpy(TOKENS.numpy()), array)
    by_engine.backward(eg.from_numpy(dy.numpy()))
    one_hot = F.one_hot(TOKENS, V).float()  # [N, V]
    vectors = layer(TOKENS)
    (expected,) = torch.autograd.grad(vectors, layer.weight, dy)
    print(f"A table of {V} words, {D} numbers each, and the {N} words: {' '.join(SENTENCE)}")
    print("Largest difference to nn.Embedding          vectors   gradient")
    ways = {"one-hot matrix times table": one_hot @ weight, "by hand": embedding(TOKENS, weight)}
    ways["by hand, sparse gradient"] = embedding(TOKENS, weight, sparse=True)
    found = {name: (x.detach(), torch.autograd.grad(x, weight, dy)[0]) for name, x in ways.items()}
    engines = (torch.from_numpy(by_engine.detach().numpy()), torch.from_numpy(array.grad.numpy()))
    for name, (x, gradient) in (found | {"the engine's, NumPy alone": engines}).items():
        print(f"  {name:<39}{(x - vectors).abs().max():>10.0e}{(gradient.to_dense() - expected).abs().max():>11.0e}")

    sparse = found["by hand, sparse gradient"][1]
    print(f"\nThe sparse gradient: rows {sparse._indices()[0].tolist()}, each with {D} numbers; zeros left out.")
    print("A step of 1,024 tokens             table   dense gradient   sparse gradient")
    for V_of, D_of in ((65, 128), (1_536, 128), (preset("gpt2").vocab_size, preset("gpt2").d_model)):
        table, rows = 4 * V_of * D_of, 1_024 * (4 * D_of + 8)
        print(f"  {f'{V_of:,} tokens x {D_of}':<28}{table / 1e6:>7.2f} MB{table / 1e6:>14.2f} MB{rows / 1e6:>15.2f} MB")

    print('\nHow far "met" has moved: it is in the first step only    after 1     after 20')
    sgd, adam, sparse_adam = torch.optim.SGD, torch.optim.Adam, torch.optim.SparseAdam
    for make, is_sparse in ((sgd, False), (sgd, True), (adam, False), (sparse_adam, True)):
        moved = track(make, sparse=is_sparse)
        print(f"  {make.__name__:<11}{'sparse' if is_sparse else 'dense':<43}{moved[0]:>8.3f}{moved[-1]:>13.3f}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(2, 3, figsize=(11, 8.2), width_ratios=(1.25, 1, 1))
    figure.suptitle("Looking up is a product with one-hot rows; the gradient is the product with them turned over")
    before, after = weight.detach(), vectors.detach()
    shown = [("one-hot", one_hot, WORDS), ("× table", before, None), ("= vectors of the sentence", after, None)]
    shown += [("one-hot, turned over", one_hot.T, SENTENCE), ("× gradient of the vectors", dy, None)]
    shown += [("= gradient of the table", expected, None)]
    for panel, (title, matrix, across) in zip(panels.flat, shown, strict=True):
        down = SENTENCE if len(matrix) == N else WORDS
        colours = {"cmap": "Blues", "vmin": 0, "vmax": 1.3} if across else {"cmap": "PuOr", "vmin": -4, "vmax": 4}
        panel.imshow(matrix.numpy(), aspect="auto", **colours)
        panel.set_title(f"{title} {list(matrix.shape)}")
        panel.set_yticks(range(len(down)), down)
        panel.set_xticks(range(len(across or [])), across or [], rotation=90)
        panel.set_yticks([row + 0.5 for row in range(len(down) - 1)], minor=True)
        panel.grid(which="minor", axis="y", color="white", linewidth=1.5)
        panel.tick_params(which="both", length=0)
        panel.spines[:].set_visible(False)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "embedding_by_hand.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
