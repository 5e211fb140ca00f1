"""Pairs of texts by name: Multi30k, published and checked by SHA-256, and toys that are made when asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from groundup.data.corpora import CorpusInfo
from groundup.data.pairs_dates import date_pair
from groundup.data.pairs_reverse import LONGEST, reverse_pair
from groundup.data.pairs_sort import sort_pair
from groundup.download import find_file

TRAIN, VALIDATION, TEST = 0, 1, 2
"""The parts of a corpus."""
N_MADE = (100_000, 1_000, 1_000)
"""Pairs of each part of a corpus that is made, unless fewer are asked for to learn from."""
MakePair = Callable[[int, int], tuple[str, str]]
"""From a seed and an index to a pair."""


@dataclass(frozen=True, kw_only=True)
class PairCorpus:
    """What is known about a corpus of pairs before it is found."""

    info: CorpusInfo
    """Its name, description, source and licence."""
    languages: tuple[str, str]
    """Marks of its languages, the usual source first."""
    files: Mapping[tuple[int, str], CorpusInfo] = field(default_factory=dict)
    """(part, language) -> its file. Empty: made by a program."""
    make: tuple[MakePair, MakePair, MakePair] | None = None
    """What makes the pairs of each part, where no file holds them."""

    @property
    def found(self) -> str:
        """Where it is on this machine, in words; for people, and never an error."""
        return ", ".join(dict.fromkeys(file.found for file in self.files.values())) or self.info.found


_MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw"
_ABOUT = "Multi30k: 29,000 captions of pictures in English and German, split as published (test 2016)"


def _multi30k(name: str = "", sha256: str = "") -> CorpusInfo:
    return CorpusInfo(
        name="multi30k",
        description=_ABOUT,
        source=f"{_MULTI30K}/{name}.gz" if name else _MULTI30K,
        licence="for research (Elliott et al. 2016)",
        file=f"multi30k/{name}.gz" if name else None,
        sha256=sha256,
    )


def _made(name: str, description: str, languages: tuple[str, str], *make: MakePair) -> PairCorpus:
    first, second, third = make
    return PairCorpus(
        info=CorpusInfo(
            name=name,
            description=description,
            source=f"groundup.data.pairs_{name}",
            licence="Apache-2.0, as groundup itself",
        ),
        languages=languages,
        make=(first, second, third),
    )


PAIRS: dict[str, PairCorpus] = {
    "dates": _made(
        "dates", "dates as people write them, and as ISO 8601", ("human", "iso"), date_pair, date_pair, date_pair
    ),
    "reverse": _made(
        "reverse",
        f"strings of up to {LONGEST} letters, and the same backwards; the test has {LONGEST} each",
        ("forwards", "backwards"),
        *(reverse_pair, reverse_pair, partial(reverse_pair, length=LONGEST)),
    ),
    "sort": _made(
        "sort",
        f"strings of up to {LONGEST} letters, and their letters sorted; the test has {LONGEST} each",
        ("mixed", "sorted"),
        *(sort_pair, sort_pair, partial(sort_pair, length=LONGEST)),
    ),
    "multi30k": PairCorpus(
        info=_multi30k(),
        languages=("en", "de"),
        files={
            (part, mark): _multi30k(f"{name}.{mark}", sha256)
            for part, name, mark, sha256 in (
                (TRAIN, "train", "en", "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
                (TRAIN, "train", "de", "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"),
                (VALIDATION, "val", "en", "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
                (VALIDATION, "val", "de", "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"),
                (TEST, "test_2016_flickr", "en", "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"),
                (TEST, "test_2016_flickr", "de", "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"),
            )
        },
    ),
}
"""Every corpus of pairs by name."""


def find_side(corpus: PairCorpus, part: int, language: str) -> Path:
    """Return the file of one language: in GROUNDUP_DATA, else in the cache, else downloaded.

    Raises:
        InputError: a wrong checksum, or no network.
    """
    info = corpus.files[part, language]
    assert info.file is not None
    return find_file(info.file, url=info.source, sha256=info.sha256)


def made_pairs(corpus: PairCorpus, part: int, *, seed: int, n: int | None = None) -> list[tuple[str, str]]:
    """Return the pairs of one part of a corpus that is made: the same for the same seed, and others in each part.

    Args:
        corpus: one that is made.
        part: TRAIN, VALIDATION or TEST.
        seed: decides which pairs; those of the test are always the same.
        n: how many to learn from. None: as N_MADE says.

    Example:
        >>> made_pairs(PAIRS["reverse"], TEST, seed=7)[0]
        ('bjrdahbesiucndlxrkgx', 'xgkrxldncuisebhadrjb')
    """
    assert corpus.make is not None
    make, count = corpus.make[part], N_MADE[part] if n is None or part != TRAIN else n
    own_seed = TEST if part == TEST else 3 * seed + part
    return [make(own_seed, index) for index in range(count)]
