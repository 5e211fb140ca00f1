"""The neighbours of words, and analogies, as a table: a column for each."""

from collections.abc import Sequence

from groundup.interpret.neighbours import Neighbour, analogy, nearest
from groundup.interpret.token_map import TokenEmbeddings
from groundup.reports.tables import Cell, Column, Table


def neighbour_table(
    embeddings: TokenEmbeddings,
    words: Sequence[str],
    analogies: Sequence[tuple[str, str, str]] = (),
    *,
    n: int = 10,
) -> Table:
    """Return the `n` tokens nearest to each word, and to a - b + c of each analogy, with their cosines.

    Raises:
        InputError: a word that is no token.
    """
    found: dict[str, list[Neighbour]] = {}
    for word in words:
        token = embeddings.find(word)
        found[embeddings.labels[token]] = nearest(embeddings.units, embeddings.units[token], n, leave_out=[token])
    for a, b, c in analogies:
        first, less, more = (embeddings.find(word) for word in (a, b, c))
        found[f"{a} − {b} + {c}"] = analogy(embeddings.units, first, less, more, n)
    columns = [Column(title=""), *(Column(title=name, is_number=False) for name in found)]
    rows = [[Cell(str(rank + 1))] for rank in range(max(map(len, found.values()), default=0))]
    for near in found.values():
        for row, one in zip(rows, [*near, *[None] * (len(rows) - len(near))], strict=True):
            row.append(Cell("" if one is None else f"{one.cosine:.2f} {embeddings.labels[one.index]}"))
    return Table(columns=tuple(columns), rows=tuple(map(tuple, rows)))
