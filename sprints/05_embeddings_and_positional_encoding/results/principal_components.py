"""Shows PCA on pictures of digits: the directions in which they differ, their map, and pictures from a few numbers.

What PCA does, for somebody who meets it here. Hold a bunch of keys into the light of a lamp and look at its shadow on
the wall. The shadow is flat, and much is lost in it; but if you turn the keys, there is one way to hold them in which
the shadow is widest and tells most. PCA finds that way. A picture of 8 x 8 pixels is a point in a space of 64
directions, one for each pixel. PCA asks: along which direction do these points differ most? Then, at right angles to
it, along which next? Each direction is a picture itself, as the four in the top row: orange where pixels rise together,
violet where they fall meanwhile. How far a point lies along the first two directions are its places on the map.

How to compute it: subtract the mean; note for each two pixels how they vary together, which is the covariance matrix;
its eigenvectors are the directions, its eigenvalues the variances along them. Nothing is drawn by chance and nothing
needs to be set, so it is always the first thing to look at. What it cannot do: follow anything that is bent.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from groundup.interpret.map_quality import neighbours_kept
from groundup.interpret.pca import fit_pca

OUT = Path("runs/sprints/05_embeddings_and_positional_encoding")
KEPT = (1, 2, 5, 10, 20, 40, 64)  # numbers that stand for a picture


def main(out: Path = OUT) -> None:
    digits = load_digits()
    pictures, labels = digits.data, digits.target  # [1797, 64], [1797]
    found, theirs = fit_pca(pictures, 64), PCA(64, svd_solver="full").fit(pictures)
    places = found.transform(pictures)
    signs = np.sign((found.components * theirs.components_).sum(1))
    varied = found.explained_variance > 1e-9  # pixels that are always black make directions without variance
    apart = np.abs(found.components - signs[:, None] * theirs.components_)[varied].max()
    print(f"{len(pictures):,} pictures of {pictures.shape[1]} pixels; {varied.sum()} directions in which they differ")
    print(f"to scikit-learn's, up to sign: directions {apart:.0e}, variances", end=" ")
    print(f"{np.abs(found.explained_variance - theirs.explained_variance_).max():.0e} apart at most\n")
    print("numbers kept   variance   error of a pixel (0 to 16)   neighbours kept, of 10")
    for n in KEPT:
        few = fit_pca(pictures, n)
        again = few.inverse_transform(few.transform(pictures))
        error = np.sqrt(((again - pictures) ** 2).mean())
        share, kept = few.explained_variance_ratio.sum(), neighbours_kept(pictures, few.transform(pictures))
        print(f"{n:>12}{share:>11.1%}{error:>29.2f}{kept:>25.0%}")

    plt.style.use(Path(__file__).parents[2] / "groundup.mplstyle")
    figure = plt.figure(figsize=(12, 6.4))
    figure.suptitle("PCA: the directions in which 1,797 pictures of digits differ most")
    left, right = figure.subfigures(1, 2, width_ratios=[1.1, 1])
    panel = left.subplots()
    for digit in range(10):
        panel.scatter(*places[labels == digit, :2].T, s=7, alpha=0.35, linewidths=0, color=plt.cm.tab10(digit))
        panel.text(*np.median(places[labels == digit, :2], axis=0), str(digit), fontsize=19, fontweight="bold",
                   ha="center", va="center", color=plt.cm.tab10(digit),
                   bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "none"})  # fmt: skip
    first, second = found.explained_variance_ratio[:2]
    panel.set(title="The widest shadow of 64 directions", xlabel=f"first direction ({first:.0%} of the variance)",
              ylabel=f"second direction ({second:.0%})", aspect="equal")  # fmt: skip
    rows = right.subplots(4, 5)
    right.suptitle(
        "The mean and four directions; three pictures from so many numbers", fontsize=11, fontweight="normal"
    )
    mean_and_first = [found.mean, *found.components[:4]]
    for axes, picture, title in zip(rows[0], mean_and_first, ["mean", "1st", "2nd", "3rd", "4th"], strict=True):
        axes.imshow(picture.reshape(8, 8), cmap="gray" if title == "mean" else "PuOr_r",
                    vmin=None if title == "mean" else -0.35, vmax=None if title == "mean" else 0.35)  # fmt: skip
        axes.set_title(title, loc="center")
    counts = (2, 10, 20, 40)
    for row, which in zip(rows[1:], (0, 15, 26), strict=True):
        for axes, n in zip(row, counts, strict=False):
            axes.imshow((places[which, :n] @ found.components[:n] + found.mean).reshape(8, 8), cmap="gray")
            axes.set_title(f"from {n}", loc="center")
        row[-1].imshow(pictures[which].reshape(8, 8), cmap="gray")
        row[-1].set_title("all 64", loc="center")
    for axes in rows.flat:
        axes.set_axis_off()
    out.mkdir(parents=True, exist_ok=True)
    path = out / "principal_components.png"
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
