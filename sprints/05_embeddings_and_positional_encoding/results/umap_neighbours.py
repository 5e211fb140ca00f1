"""Shows UMAP on pictures of digits, and what its number of neighbours and its smallest distance do.

What UMAP does, for somebody who meets it here. Think of towns and roads without a map. Each town builds roads to its
nearest few neighbours, good roads to the nearest and poor ones to the others, whatever the distance in miles: a lonely
farm has its nearest neighbours too. That makes a network. Now the towns are laid out on a table: roads pull like rubber
bands, and towns that have no road between them push each other away when, by chance, their turn comes. When it is at
rest, towns that are well connected lie together.

The number of neighbours is how many roads a town builds. With 3 the network is local: many small islands, even where
there is no reason for them. With 100 it spans everything: the whole keeps its shape and the detail inside a group goes.
The smallest distance decides only the looks: at 0 towns of a group lie on top of each other, at 0.8 they spread until
the gaps close. t-SNE weighs all towns against all others at every step; UMAP looks at roads and a few strangers, which
is why it is faster with many points, and why groups that share a road or two tend to lie on the same side.

What not to read from it is the same as with t-SNE: sizes, gaps, directions. And both draw crumbs even in pure noise,
the last picture, where there is nothing: a group on such a map is a question, not an answer.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from groundup.interpret.map_quality import neighbours_kept
from groundup.interpret.neighbour_maps import umap

OUT = Path("runs/sprints/05_embeddings_and_positional_encoding")
SETTINGS = ((3, 0.1), (15, 0.1), (100, 0.1), (15, 0.0), (15, 0.8))  # neighbours, smallest distance


def main(out: Path = OUT) -> None:
    digits = load_digits()
    pictures, labels = digits.data, digits.target  # [1797, 64], [1797]
    maps = {}
    print("neighbours   distance   neighbours kept, of 10   width of a digit / of the map")
    for n, distance in SETTINGS:
        places = umap(pictures, n_neighbours=n, min_distance=distance)
        kept = neighbours_kept(pictures, places)
        maps[f"{n} neighbours, distance {distance:g}"] = places, labels, kept
        inside = np.mean([places[labels == digit].std(0).mean() for digit in range(10)])
        print(f"{n:>10}{distance:>11}{kept:>25.0%}{inside / places.std(0).mean():>32.2f}")
    noise = np.random.default_rng(0).normal(size=pictures.shape)
    places = umap(noise, n_neighbours=3)
    kept = neighbours_kept(noise, places)
    maps["noise, 3 neighbours"] = places, np.full(len(noise), 7), kept
    print(f"Noise in 64 directions, 3 neighbours: {kept:.0%} of neighbours kept, and crumbs of nothing.")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(2, 3, figsize=(12, 8.2))
    figure.suptitle("UMAP of 1,797 pictures of digits: neighbours decide the shape, the smallest distance the looks")
    for panel, (name, (places, colours, kept)) in zip(panels.flat, maps.items(), strict=True):
        panel.scatter(*places.T, c=colours, cmap="tab10", vmin=0, vmax=9, s=6, alpha=0.7, linewidths=0)
        for digit in range(10) if colours is labels else ():
            panel.text(*np.median(places[labels == digit], axis=0), str(digit), fontsize=13, fontweight="bold",
                       ha="center", va="center", color=plt.cm.tab10(digit),
                       bbox={"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": "none"})  # fmt: skip
        panel.set(title=f"{name}: {kept:.0%} kept", xticks=[], yticks=[])
        panel.set_aspect("equal", adjustable="datalim")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "umap_neighbours.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
