"""`groundup data [NAME]`: the corpora, where they were found, and how one begins."""

from dataclasses import dataclass

import tyro

from groundup.cli.parse import parse
from groundup.configs.checks import at_least


@dataclass(frozen=True, kw_only=True)
class Data:
    """List the corpora, or show how one begins."""

    corpus: tyro.conf.Positional[str | None] = None
    """A corpus by name, or a text file or folder of yours. None: list them all."""
    characters: int = 500
    """How much of it to show."""

    def __post_init__(self) -> None:
        """Refuse impossible values with an InputError that names the field."""
        at_least(self, "characters", 1)


def command(arguments: list[str]) -> int:
    """Print the list, or the first characters of one corpus."""
    chosen = parse(Data, arguments, program="groundup data")
    from groundup.data.corpora import find_corpus, list_corpora, preview

    if chosen.corpus is not None:
        print(preview(find_corpus(chosen.corpus), chosen.characters))
        return 0
    for corpus in list_corpora():
        print(f"{corpus.name:<14}{corpus.description}\n{'':14}{corpus.licence}; {corpus.source}\n{'':14}{corpus.found}")
    print("\nany text file or folder of yours: groundup train shakespeare-char --data.corpus PATH")
    return 0
