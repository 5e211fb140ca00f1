"""`groundup inspect embeddings MODEL`: a map of a model's token embeddings, neighbours of words, analogies."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least, between, positive
from groundup.errors import InputError

if TYPE_CHECKING:  # NumPy and torch: not for --help
    from groundup.interpret.token_map import TokenEmbeddings

DRAWN = {"pca": 20_000, "tsne": 3_000, "umap": 10_000}
"""Tokens of a map, where nothing else is said: what takes less than about a minute, neighbours included."""
HELP = """usage: groundup inspect WHAT MODEL [OPTIONS]     groundup inspect WHAT --help

  embeddings     a map of the token embeddings: --method pca, tsne or umap; --near WORD…, --analogy king man woman"""


@tyro.conf.configure(tyro.conf.PositionalMetavarFromFieldName, tyro.conf.FlagCreatePairsOff)
@dataclass(frozen=True, kw_only=True)
class InspectEmbeddings:
    """Draw a model's token embeddings as a picture and a page to search, or print neighbours and analogies."""

    model: tyro.conf.Positional[str]
    """Whatever groundup generate opens, or a run of another kind, or a folder with a BERT."""
    method: Literal["pca", "tsne", "umap"] = "pca"
    """How many numbers become two; the last two need the extra viz."""
    tokens: int | None = None
    """Draw at most so many, the first of the vocabulary. None: 20,000; 10,000 with umap, 3,000 with tsne."""
    words: bool = False
    """Draw only tokens that begin a word."""
    text: Path | None = None
    """Draw the tokens that occur most often in this file, instead of the first."""
    near: tuple[str, ...] = ()
    """Print the neighbours of these words; no map is drawn then, unless --out says where."""
    analogy: tuple[str, str, str] | None = None
    """Print what is nearest to A - B + C: --analogy king man woman. No map, as with --near."""
    top: int = 10
    """Neighbours to print for each."""
    perplexity: float | None = None
    """Of t-SNE: about how many neighbours count. None: 30, fewer with few tokens."""
    neighbours: int | None = None
    """Of UMAP: how many each token is tied to. None: 15, fewer with few tokens."""
    min_distance: float | None = None
    """Of UMAP: how near two tokens may lie. None: 0.1."""
    seed: int = 0
    """Of t-SNE and UMAP."""
    side: Literal["source", "target"] | None = None
    """Of a model that translates: the tokens that it reads, or those that it writes. None: the latter."""
    out: Path | None = None
    """Folder for the picture and the page. None: runs/embeddings."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        for name, least in (("tokens", 5), ("top", 1), ("neighbours", 2), ("seed", 0)):
            if getattr(self, name) is not None:
                at_least(self, name, least)
        if self.perplexity is not None:
            positive(self, "perplexity")
        if self.min_distance is not None:
            between(self, "min_distance", 0, 1)
        for option, method in (("perplexity", "tsne"), ("neighbours", "umap"), ("min_distance", "umap")):
            if getattr(self, option) is not None and self.method != method:
                flag = option.replace("_", "-")
                raise InputError(f"expected --method {method} with --{flag}, found {self.method}: leave one out")
        if (self.near or self.analogy) and self.out is None:
            for option in ("method", "tokens", "words", "text"):
                if getattr(self, option) not in (None, False, "pca"):
                    raise InputError(
                        f"expected --out FOLDER with --{option} beside --near or --analogy, found none: say where the "
                        "map goes, or leave it out"
                    )


def command(arguments: list[str]) -> int:
    """Find out what is to be inspected, and do so."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP)
        return 0
    if arguments[0] != "embeddings":
        raise InputError(f"expected what to inspect, embeddings, found {arguments[0]!r}: groundup inspect --help")
    _embeddings(parse(InspectEmbeddings, arguments[1:], program="groundup inspect embeddings"))
    return 0


def _embeddings(chosen: InspectEmbeddings) -> None:
    """Open, print the tables that were asked for, draw."""
    from groundup.reports.token_embeddings import open_embeddings

    embeddings = open_embeddings(chosen.model, side=chosen.side)
    V, D = embeddings.vectors.shape
    asked = [embeddings.find(word) for word in (*chosen.near, *(chosen.analogy or ()))]  # all are known, or none shown
    print(f"{embeddings.source}: {V:,} tokens, {D:,} numbers each", flush=True)
    if asked:
        _print_tables(chosen, embeddings)
    if not asked or chosen.out is not None:
        _draw(chosen, embeddings, asked)


def _print_tables(chosen: InspectEmbeddings, embeddings: "TokenEmbeddings") -> None:
    from groundup.reports.neighbour_table import neighbour_table
    from groundup.reports.tables import aligned

    table = neighbour_table(embeddings, chosen.near, [chosen.analogy] if chosen.analogy else [], n=chosen.top)
    print(f"\n{aligned(table, shutil.get_terminal_size().columns if sys.stdout.isatty() else None)}")


def _draw(chosen: InspectEmbeddings, embeddings: "TokenEmbeddings", marked: list[int]) -> None:
    from groundup.data.text_files import read_pieces
    from groundup.interpret.embedding_map import NAMES, map_embeddings
    from groundup.interpret.token_map import choose_tokens, count_tokens
    from groundup.reports.embedding_page import map_files, write_embedding_map

    folder = chosen.out or Path("runs/embeddings")
    map_files(folder, embeddings.source, chosen.method)  # what cannot be written is known before anything is drawn
    counts = None if chosen.text is None else count_tokens(embeddings, read_pieces(chosen.text))
    n = chosen.tokens or DRAWN[chosen.method]
    tokens = choose_tokens(embeddings, n, which="words" if chosen.words else "all", counts=counts, always=marked)
    found = map_embeddings(
        embeddings,
        tokens,
        chosen.method,
        perplexity=chosen.perplexity,
        n_neighbours=chosen.neighbours,
        min_distance=0.1 if chosen.min_distance is None else chosen.min_distance,
        seed=chosen.seed,
    )
    print(f"\n{len(tokens):,} of them by {NAMES[found.method]}: {found.made}")
    print(f"of each token's ten nearest {found.kept:.1%} are among its ten nearest on the map")
    for path in write_embedding_map(folder, found, marked=marked):
        print(f"wrote {path}")
