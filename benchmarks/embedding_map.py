"""A PCA map of 50,257 token embeddings of 768 numbers, as GPT-2's: by hand and by scikit-learn, one thread each.

The vectors are made: a middle that all share, two hundred directions whose weight falls as those of real embeddings do,
groups of tokens that lie together, and noise. They take as long as any others of this size. The last row is all that
`groundup inspect embeddings` does with an open model: names, map, neighbours kept, picture and page.
"""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import sklearn
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from benchmarks import alternate
from groundup.interpret.embedding_map import map_embeddings
from groundup.interpret.pca import fit_pca
from groundup.interpret.token_map import TokenEmbeddings
from groundup.reports.embedding_page import write_embedding_map

REPEATS = 5
LETTERS = str.maketrans("0123456789", "abcdefghij")
"""So that made-up tokens spell words: 1024 is bace."""


def embeddings(n, d, seed=0):
    """Return vectors [n, d] in float32 with structure in them."""
    random = np.random.default_rng(seed)
    n_directions, n_groups = min(200, d), 100
    weights = random.normal(size=(n, n_directions)) / np.arange(1, n_directions + 1) ** 0.5
    groups = 0.5 * random.normal(size=(n_groups, d))
    found = random.normal(size=d) + weights @ random.normal(size=(n_directions, d)) / d**0.5
    found += groups[random.integers(n_groups, size=n)] + 0.3 * random.normal(size=(n, d))
    return (0.1 * found).astype(np.float32)


def run(tiny):
    n, d, repeats = (2_000, 64, 2) if tiny else (50_257, 768, REPEATS)
    vectors, found = embeddings(n, d), {}

    def ours():
        fitted = fit_pca(vectors, 2)
        found["groundup"] = fitted.transform(vectors), fitted.explained_variance_ratio

    def theirs():
        fitted = PCA(2)
        found["scikit-learn"] = fitted.fit_transform(vectors), fitted.explained_variance_ratio_

    def drawn():
        spelling = SimpleNamespace(special_tokens={}, token_bytes=lambda i: f" {i}".translate(LETTERS).encode())
        tokens = TokenEmbeddings(vectors=vectors, tokenizer=spelling, source="made")
        made = map_embeddings(tokens, np.arange(n))
        with tempfile.TemporaryDirectory() as folder:
            write_embedding_map(Path(folder), made)
        found["groundup, with picture and page"] = made.places, found["groundup"][1]

    def exactly():
        fitted = PCA(2, svd_solver="covariance_eigh").fit(vectors.astype(np.float64))
        found["exactly"] = fitted.transform(vectors.astype(np.float64)), fitted.explained_variance_ratio_

    contenders = {"groundup": ours, "scikit-learn": theirs, "groundup, with picture and page": drawn}
    with threadpool_limits(1):
        exactly()
        times = alternate(contenders, repeats)
    exact, extent = found["exactly"][0], np.abs(found["exactly"][0]).max()
    rows = []
    for who, taken in times.items():
        places = found[who][0] * np.sign((found[who][0] * exact).sum(0))
        ratios = [mine / other for mine, other in zip(taken.wall, times["scikit-learn"].wall, strict=True)]
        rows.append({"who": who, **taken.columns(), "time / scikit-learn": f"{sorted(ratios)[len(ratios) // 2]:.2f}",
                     "fastest – slowest": f"{min(ratios):.2f} – {max(ratios):.2f}",
                     "variance shown": f"{found[who][1].sum():.4%}",
                     "farthest from float64": f"{np.abs(places - exact).max() / extent:.1e} of the map"})  # fmt: skip
    what = (
        f"PCA map of {n:,} embeddings of {d} numbers (float32, made), fitted and transformed, on one thread; "
        f"scikit-learn {sklearn.__version__} chooses its own solver; {repeats} runs each, in turn."
    )
    return {"what": what, "rows": rows}
