"""Shows which tokens of SmolLM2 point the same way, and how far king - man + woman really gets.

How alike two embeddings are is told by the angle between them: its cosine is 1 if they point the same way and 0 at
right angles, whatever their lengths. The neighbours of a word are mostly the word itself, in other spellings, before
words of its kind: a model that reads tokens must learn that all of these are one.

An analogy is a sum: king - man + woman is the step from man to king, taken from woman. The famous answer comes only if
the words that were given are left out, in all their spellings: else the answer is often one of them, for the step is
short beside the words. Both are counted here, and a third way, which is no arithmetic at all: just the nearest
neighbour of woman, its own spellings left out. What that gets right, the sum need not be praised for (Linzen 2016).
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from groundup.interpret.neighbours import nearest
from groundup.reports.neighbour_table import neighbour_table
from groundup.reports.tables import aligned
from groundup.reports.token_embeddings import open_embeddings
from groundup.weights.installed import installed_smollm2

OUT = Path("runs/sprints/05_embeddings_and_positional_encoding")
WORDS = ("king", "Monday", "water", "seven", "Paris")
PAIRS = {  # in each family every pair is asked with every other one
    "woman of man": "man woman,king queen,father mother,son daughter,brother sister,husband wife,boy girl,he she",
    "capital": "France Paris,Germany Berlin,Italy Rome,Spain Madrid,Russia Moscow,Japan Tokyo,England London",
    "more than one": "car cars,book books,tree trees,dog dogs,house houses,city cities,child children,man men",
    "past": "go went,see saw,take took,come came,give gave,write wrote,know knew,begin began",
    "opposite": "good bad,high low,hot cold,old young,long short,fast slow,rich poor,strong weak",
    "most": "large largest,small smallest,high highest,long longest,old oldest,great greatest,good best,bad worst",
}


def main(out: Path = OUT) -> None:
    embeddings = open_embeddings("smollm2")
    units = embeddings.units
    print(aligned(neighbour_table(embeddings, WORDS, [("king", "man", "woman")], n=8)))

    spelled = [label.lstrip("␣").casefold() for label in embeddings.labels]
    forms: dict[str, list[int]] = {}
    for token, spelling in enumerate(spelled):
        forms.setdefault(spelling, []).append(token)
    print(f"\n{'right, of all':<16}{'asked':>7}{'a - b + c':>12}{'none left out':>16}{'nearest of c':>15}")
    shares = {}
    for family, told in PAIRS.items():
        pairs = [[embeddings.find(word) for word in pair.split()] for pair in told.split(",")]
        asked = [(one, other) for one in pairs for other in pairs if one is not other]
        right = np.zeros(3)
        for (b, a), (c, wanted) in asked:
            given = [form for token in (a, b, c) for form in forms[spelled[token]]]
            step = units[a] - units[b] + units[c]
            ways = (
                nearest(units, step, 1, leave_out=given),
                nearest(units, step, 1),
                nearest(units, units[c], 1, leave_out=given),
            )
            right += [spelled[way[0].index] == spelled[wanted] for way in ways]
        shares[family] = right / len(asked)
        print(
            f"{family:<16}{len(asked):>7}{shares[family][0]:>12.0%}{shares[family][1]:>16.0%}{shares[family][2]:>15.0%}"
        )

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure, axes = plt.subplots(figsize=(10, 5))
    figure.suptitle("Analogies in SmolLM2's token embeddings: what the sum adds to a neighbour")
    legend = ("a − b + c, what was given left out", "a − b + c, nothing left out", "the nearest neighbour of c, no sum")
    for i, way in enumerate(legend):
        heights = [share[i] for share in shares.values()]
        bars = axes.bar(np.arange(len(shares)) + 0.27 * (i - 1), heights, width=0.25, label=way)
        axes.bar_label(bars, [f"{height:.0%}" for height in heights], fontsize=8, color="#555555", padding=2)
    axes.set_xticks(range(len(shares)), shares)
    axes.set(ylabel="answers that are right", ylim=(0, 1.05), yticks=(0, 0.5, 1), yticklabels=("0", "50%", "100%"))
    figure.legend(loc="outside lower center", ncols=3)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "neighbours_and_analogies.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    if installed_smollm2() is None:
        print("expected SmolLM2 on this machine, found none: make model installs it", file=sys.stderr)
        sys.exit(2)
    main(*map(Path, sys.argv[1:]))
