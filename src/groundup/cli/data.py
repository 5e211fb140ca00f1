"""`groundup data [NAME]`: the corpora, plain, labelled and in pairs, where they were found, and how one begins."""

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least

if TYPE_CHECKING:
    from groundup.data.corpora import CorpusInfo


@dataclass(frozen=True, kw_only=True)
class Data:
    """List the corpora, or show how one begins."""

    corpus: tyro.conf.Positional[str | None] = None
    """A corpus by name, plain, labelled or of pairs, or a text file or folder of yours. None: list them all."""
    characters: int = 500
    """How much of it to show."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "characters", 1)


def command(arguments: list[str]) -> int:
    """Print the list, or the first characters of one corpus."""
    chosen = parse(Data, arguments, program="groundup data")
    from groundup.data.corpora import find_corpus, list_corpora, preview
    from groundup.data.labelled_corpora import LABELLED, read_part
    from groundup.data.pair_corpora import PAIRS

    if chosen.corpus in LABELLED:
        rows = read_part(LABELLED[chosen.corpus], 0)
        lines = (f"{label}\t{text}" for label, text in zip(rows.labels, rows.texts, strict=True))
        print("\n".join(islice(lines, chosen.characters))[: chosen.characters])
        return 0
    if chosen.corpus in PAIRS:
        from groundup.configs.translation import PairsConfig
        from groundup.data.pairs import load_pairs

        pairs = load_pairs(PairsConfig(corpus=chosen.corpus, max_pairs=max(2, chosen.characters))).train
        print("\n".join(f"{source}\t{target}" for source, target in pairs)[: chosen.characters])
        return 0
    if chosen.corpus is not None:
        print(preview(find_corpus(chosen.corpus), chosen.characters))
        return 0
    for corpus in list_corpora():
        _list(corpus, corpus.found)
    print("\nany text file or folder of yours: groundup train shakespeare-char --data.corpus PATH\n\nlabelled texts:")
    for labelled in LABELLED.values():
        _list(labelled.info, labelled.found)
    print("\nany .csv, .tsv or .jsonl file of yours: groundup finetune classify --data PATH\n\npairs of texts:")
    for pairs_of in PAIRS.values():
        _list(pairs_of.info, pairs_of.found)
    print(
        "\ntwo line-aligned files of yours, FILE.en and FILE.de: groundup train multi30k-en-de --data.corpus FILE "
        "--data.source en --data.target de"
    )
    return 0


def _list(corpus: "CorpusInfo", found: str) -> None:
    print(f"{corpus.name:<14}{corpus.description}\n{'':14}{corpus.licence}; {corpus.source}\n{'':14}{found}")
