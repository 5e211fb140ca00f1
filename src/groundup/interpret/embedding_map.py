"""A map of token embeddings: some tokens, a place in the plane for each, how it was made and what it keeps.

Shapes: N tokens drawn.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError
from groundup.interpret.map_quality import neighbours_kept
from groundup.interpret.neighbour_maps import FEWEST, tsne, umap
from groundup.interpret.pca import Floats, fit_pca
from groundup.interpret.token_map import SPACE, TokenEmbeddings

Method = Literal["pca", "tsne", "umap"]
"""How many numbers become two."""
NAMES: dict[Method, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
"""Methods, as people write them."""
READ: dict[Method, str] = {
    "pca": "A shadow of the points, cast so that they differ most. Directions mean the same everywhere; what lies "
    "apart is apart, but what lies together may differ in all the directions that are left out.",
    "tsne": "Near means alike. Gaps between clusters, their sizes and directions mean little: every neighbourhood is "
    "drawn about equally wide.",
    "umap": "Near means alike. Gaps and directions mean little, though clusters that have something in common tend to "
    "lie together.",
}
"""How to read a map of each."""
N_NEAREST = 10
"""Neighbours by which a map is judged."""


@dataclass(frozen=True, eq=False, kw_only=True)
class EmbeddingMap:
    """Tokens in the plane."""

    embeddings: TokenEmbeddings
    """What was drawn."""
    tokens: npt.NDArray[np.int64]
    """Ids of those drawn [N], those that matter most first."""
    places: Floats
    """Where each is [N, 2]."""
    method: Method
    """How they came there."""
    made: str
    """The same in words, with its numbers."""
    kept: float
    """The part of each token's ten nearest by cosine that are among its ten nearest on the map."""

    @property
    def labels(self) -> list[str]:
        """What the drawn tokens spell."""
        return [self.embeddings.labels[i] for i in self.tokens]

    @property
    def kinds(self) -> npt.NDArray[np.int8]:
        """What they are [N]: places in token_map.KINDS."""
        return self.embeddings.kinds[self.tokens]

    @property
    def first_named(self) -> npt.NDArray[np.int64]:
        """Rows in the order in which they are named where there is room [N]: words of three letters or more first.

        A vocabulary begins with bytes, letters and pieces of words. They tell less at first sight, and come behind.
        """
        letters = np.array([len(label.lstrip(SPACE)) for label in self.labels])
        is_word = (self.kinds <= 1) & (letters > 2)
        is_telling = (self.kinds <= 3) & (letters > 1)
        return np.lexsort((~is_telling, ~is_word)).astype(np.int64)  # of equals the first, which matter most


def map_embeddings(
    embeddings: TokenEmbeddings,
    tokens: npt.NDArray[np.int64],
    method: Method = "pca",
    *,
    perplexity: float | None = None,
    n_neighbours: int | None = None,
    min_distance: float = 0.1,
    seed: int = 0,
) -> EmbeddingMap:
    """Draw tokens into the plane: PCA of their vectors as they are, the other two by the angles between them.

    Args:
        embeddings: of all tokens.
        tokens: ids of those to draw.
        method: see NAMES.
        perplexity: of t-SNE.
        n_neighbours: of UMAP.
        min_distance: of UMAP.
        seed: of both.

    Raises:
        InputError: too few tokens, or what the method refuses.
    """
    N, V = len(tokens), len(embeddings)
    if method not in get_args(Method):
        raise InputError(f"expected a method, {', '.join(NAMES)}, found {method!r}")
    if N < FEWEST:
        raise InputError(f"expected at least {FEWEST} tokens to draw, found {N}: draw more of the {V:,}")
    if method == "pca":
        vectors = embeddings.vectors[tokens]
        found = fit_pca(vectors, 2)
        places, part = found.transform(vectors), found.explained_variance_ratio
        made = f"{part.sum():.1%} of the variance ({part[0]:.1%} across, {part[1]:.1%} up)"
    elif method == "tsne":
        places = tsne(embeddings.units[tokens], perplexity=perplexity, seed=seed)
        made = f"perplexity {min(30.0, (N - 1) / 3) if perplexity is None else perplexity:g}"
    else:
        places = umap(embeddings.units[tokens], n_neighbours=n_neighbours, min_distance=min_distance, seed=seed)
        made = f"{min(15, N - 1) if n_neighbours is None else n_neighbours} neighbours, distance {min_distance:g}"
    k = min(N_NEAREST, N - 1)
    return EmbeddingMap(
        embeddings=embeddings,
        tokens=tokens,
        places=places,
        method=method,
        made=made,
        kept=neighbours_kept(embeddings.units[tokens], places, k),
    )
