"""Shows t-SNE on pictures of digits, and what its perplexity does: from too few neighbours to too many.

What t-SNE does, for somebody who meets it here. Imagine guests at a large party, each of whom names the few that he
knows best: not by a list, but by shares, most to the best friend, less to the next, nearly nothing to strangers. Now
seat them all in a flat hall, so that whoever names somebody sits close to him. At first they sit as PCA puts them; then
everybody moves a little towards those he is tied to and away from all others, a thousand times. In the hall shares are
counted by a rule that lets strangers sit much further apart than they are: that makes room, for in a plane far fewer
can be near each other than in 64 directions.

Perplexity is about how many friends each guest counts. With 2 everyone sees a pair of them and the hall falls into
crumbs; with 30, the usual number, groups appear that belong together; with several hundred each looks at so many that
the finer groups flow into each other, and the picture comes nearer to that of PCA. So try a few and believe what stays.

What not to read from such a map: how large a group is (each is drawn about equally wide), how far it is to the next
one, and which way is up. What to read: who sits next to whom.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from groundup.interpret.map_quality import neighbours_kept
from groundup.interpret.neighbour_maps import tsne
from groundup.interpret.neighbours import all_nearest, unit_rows
from groundup.interpret.pca import fit_pca

OUT = Path("runs/sprints/05_embeddings_and_positional_encoding")
PERPLEXITIES = (2, 5, 30, 100, 300)


def told_by_the_nearest(places: np.ndarray, labels: np.ndarray) -> float:
    """Return how often the digit of the nearest point on the map is right."""
    squares = ((places[:, None] - places[None]) ** 2).sum(2)
    np.fill_diagonal(squares, np.inf)
    return float((labels[squares.argmin(1)] == labels).mean())


def main(out: Path = OUT) -> None:
    digits = load_digits()
    pictures, labels = digits.data, digits.target  # [1797, 64], [1797]
    nearest, _ = all_nearest(unit_rows(pictures), 1)
    right = (labels[nearest[:, 0]] == labels).mean()
    print(f"In all 64 directions the nearest other picture is of the same digit {right:.1%} of the time. On the map:\n")
    print("map                 neighbours kept, of 10   the nearest tells the digit")
    maps = {"PCA": fit_pca(pictures, 2).transform(pictures)}
    maps |= {f"perplexity {perplexity}": tsne(pictures, perplexity=perplexity) for perplexity in PERPLEXITIES}
    for name, places in maps.items():
        print(f"{name:<20}{neighbours_kept(pictures, places):>22.0%}{told_by_the_nearest(places, labels):>30.1%}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(2, 3, figsize=(12, 8.2))
    figure.suptitle("t-SNE of 1,797 pictures of digits: the perplexity decides how much is seen at once")
    for panel, (name, places) in zip(panels.flat, maps.items(), strict=True):
        panel.scatter(*places.T, c=labels, cmap="tab10", s=6, alpha=0.7, linewidths=0)
        for digit in range(10):
            panel.text(*np.median(places[labels == digit], axis=0), str(digit), fontsize=13, fontweight="bold",
                       ha="center", va="center", color=plt.cm.tab10(digit),
                       bbox={"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": "none"})  # fmt: skip
        panel.set(title=f"{name}: {neighbours_kept(pictures, places):.0%} of neighbours kept", xticks=[], yticks=[])
        panel.set_aspect("equal", adjustable="datalim")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "tsne_perplexity.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
