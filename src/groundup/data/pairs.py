"""Pairs of texts, each a source and what it is to become: from line-aligned files, published ones, or made here."""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from groundup.configs.translation import PairsConfig
from groundup.data.held_out import hold_out
from groundup.data.labelled_files import decode_text
from groundup.data.pair_corpora import PAIRS, TEST, TRAIN, VALIDATION, PairCorpus, find_side, made_pairs
from groundup.download import local_path
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Source texts and their targets: number i of one becomes number i of the other.

    Example:
        >>> pairs = Pairs(source=("a dog", "a cat"), target=("ein Hund", "eine Katze"))
        >>> len(pairs), list(pairs)[1]
        (2, ('a cat', 'eine Katze'))
    """

    source: tuple[str, ...]
    """What is read."""
    target: tuple[str, ...]
    """What is to be written."""

    def __post_init__(self) -> None:
        """Refuse sides of different length, with a ValueError."""
        if len(self.source) != len(self.target):
            raise ValueError(f"expected a target for each source, found {len(self.target)} for {len(self.source)}")

    def __len__(self) -> int:
        """Return how many pairs there are."""
        return len(self.source)

    def __iter__(self) -> "zip[tuple[str, str]]":
        """Go through the pairs."""
        return zip(self.source, self.target, strict=True)


@dataclass(frozen=True, kw_only=True)
class PairSplits:
    """Pairs to learn from, to choose by, and to be measured on once."""

    train: Pairs
    """To learn from."""
    validation: Pairs
    """Never learned."""
    languages: tuple[str, str]
    """Marks of the languages: of the sources, of the targets."""
    notes: tuple[str, ...]
    """What was left out or moved on the way, a sentence each."""


def load_pairs(config: PairsConfig) -> PairSplits:
    """Return the pairs of `config`: a pure function of it and of the files' contents.

    Texts are taken without the space around them. A pair with an empty side is left out and counted: it says nothing
    about translating. A pair whose source is learned, too, is not measured on.

    Raises:
        InputError: no such corpus or language, what `read_pairs` refuses, or too few pairs.

    Example:
        >>> splits = load_pairs(PairsConfig(corpus="reverse", max_pairs=300))
        >>> len(splits.train), len(splits.validation), splits.notes
        (300, 980, ('20 of 1,000 validation pairs left out: their sources are learned',))
    """
    notes: list[str] = []
    languages = languages_of(config)
    train = _some(_without_empty(_part(config, TRAIN, languages), "", notes), config, notes)
    if config.validation is not None:
        held = _without_empty(read_pairs(config.validation, *languages), "validation ", notes)
    elif config.corpus in PAIRS:
        held = _without_empty(_part(config, VALIDATION, languages), "validation ", notes)
    else:
        train, held = _held_out(train, config)
    learned = set(train.source)
    new = Pairs(**_sides([pair for pair in held if pair[0] not in learned]))
    if n_known := len(held) - len(new):
        notes.append(f"{n_known:,} of {len(held):,} validation pairs left out: their sources are learned")
    if not len(new):
        raise InputError(
            f"expected validation pairs with sources that are not learned, found none for {config.corpus}: give others"
        )
    return PairSplits(train=train, validation=new, languages=languages, notes=tuple(notes))


def load_test_pairs(config: PairsConfig) -> Pairs:
    """Return the pairs that a corpus keeps for one measurement at the end.

    Raises:
        InputError: it keeps none: it is yours.

    Example:
        >>> pairs = load_test_pairs(PairsConfig(corpus="reverse"))
        >>> len(pairs), {len(text) for text in pairs.source}
        (1000, {20})
    """
    if config.corpus not in PAIRS:
        raise InputError(f"expected a corpus with a test part ({', '.join(PAIRS)}), found {config.corpus}: give files")
    return _without_empty(_part(config, TEST, languages_of(config)), "", [])


def languages_of(config: PairsConfig) -> tuple[str, str]:
    """Return the marks of the languages, from the config or the corpus's own.

    Raises:
        InputError: a mark that the corpus does not know, or none where it has none of its own.

    Example:
        >>> languages_of(PairsConfig(corpus="multi30k")), languages_of(PairsConfig(corpus="multi30k", source="de"))
        (('en', 'de'), ('de', 'en'))
    """
    corpus = PAIRS.get(config.corpus)
    if corpus is None:
        if config.source is None or config.target is None:
            raise InputError(
                f"expected a known corpus ({', '.join(PAIRS)}), or two files and the marks their names end in, found "
                f"{config.corpus!r} with source {config.source} and target {config.target}: "
                f"--data.corpus my/train --data.source en --data.target de reads my/train.en and my/train.de"
            )
        return config.source, config.target
    known = corpus.languages
    for mark in (config.source, config.target):
        if mark is not None and mark not in known:
            raise InputError(f"expected a language of {config.corpus}, {' or '.join(known)}, found {mark!r}: take one")
    first, second = known
    source = config.source or (first if config.target != first else second)
    target = config.target or (second if source != second else first)
    if corpus.make is not None and (source, target) != known:
        raise InputError(f"expected {config.corpus} from {first} to {second}, found {source} to {target}: leave it out")
    return source, target


def read_pairs(prefix: str, source: str, target: str) -> Pairs:
    r"""Read two line-aligned files, `prefix`.source and `prefix`.target, each in UTF-8, with .gz behind it or not.

    Line i of one belongs to line i of the other. Lines end in \n or \r\n, and only there.

    Raises:
        InputError: a file that is not there or cannot be read, or files of different length.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "train.en").write_text("a dog\na cat\n")
        >>> _ = (folder / "train.de.gz").write_bytes(gzip.compress(b"ein Hund\neine Katze\n"))
        >>> read_pairs(str(folder / "train"), "en", "de").target
        ('ein Hund', 'eine Katze')
    """
    paths = [_side_path(prefix, mark) for mark in (source, target)]
    return aligned(*paths)


def aligned(source: Path, target: Path) -> Pairs:
    """Return the pairs of two files, line by line.

    Raises:
        InputError: what cannot be read, or files of different length.
    """
    lines = [read_lines(path) for path in (source, target)]
    if len(lines[0]) != len(lines[1]):
        raise InputError(
            f"expected as many lines in {source} as in {target}, found {len(lines[0]):,} and {len(lines[1]):,}: "
            "line by line, one translates the other"
        )
    return Pairs(source=tuple(lines[0]), target=tuple(lines[1]))


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 file, packed by gzip if its name ends in .gz, without the space around them.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise InputError(f"expected lines of text that can be read, found {path}: {reason}") from None
    lines = decode_text(path, content).split("\n")  # splitlines would also cut inside texts, as at U+2028
    if not lines[-1]:
        lines.pop()
    return [line.strip() for line in lines]


def _part(config: PairsConfig, part: int, languages: tuple[str, str]) -> Pairs:
    corpus: PairCorpus | None = PAIRS.get(config.corpus)
    if corpus is None:
        return read_pairs(config.corpus, *languages)
    if corpus.make is not None:
        return Pairs(**_sides(made_pairs(corpus, part, seed=config.seed, n=config.max_pairs)))
    return aligned(*(find_side(corpus, part, mark) for mark in languages))


def _side_path(prefix: str, mark: str) -> Path:
    """Return the file of one language."""
    path = local_path(f"{prefix}.{mark}")
    for found in (path, path.with_name(f"{path.name}.gz")):
        if found.is_file():
            return found
    there = {other.name.removesuffix(".gz") for other in path.parent.glob("*") if other.is_file()}
    start = f"{Path(prefix).name}."
    marks = sorted(name.removeprefix(start) for name in there if name.startswith(start))
    told = f"; of {prefix} there is {', '.join(marks)}" if marks else ""
    raise InputError(f"expected texts in {path} or {path}.gz, found neither{told}: check the mark of the language")


def _without_empty(pairs: Pairs, what: str, notes: list[str]) -> Pairs:
    whole = [pair for pair in pairs if all(pair)]
    if n_empty := len(pairs) - len(whole):
        notes.append(f"{n_empty:,} of {len(pairs):,} {what}pairs left out: a side is empty")
    return Pairs(**_sides(whole))


def _some(pairs: Pairs, config: PairsConfig, notes: list[str]) -> Pairs:
    n = len(pairs) if config.max_pairs is None else config.max_pairs
    if n < len(pairs):
        notes.append(f"the first {n:,} of {len(pairs):,} pairs taken")
        pairs = Pairs(**_sides(list(islice(pairs, n))))
    if len(pairs) < 2:
        raise InputError(f"expected at least 2 pairs with two sides in {config.corpus}, found {len(pairs)}: give more")
    return pairs


def _held_out(train: Pairs, config: PairsConfig) -> tuple[Pairs, Pairs]:
    if not config.validation_fraction:
        raise InputError(
            "expected pairs to measure on, found PairsConfig.validation_fraction 0 and no PairsConfig.validation: "
            "give one of them"
        )
    sides = hold_out(tuple(train), train.source, config.validation_fraction, config.seed, name="sources")
    return Pairs(**_sides(sides.train)), Pairs(**_sides(sides.validation))


def _sides(pairs: Sequence[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    return {"source": tuple(source for source, _ in pairs), "target": tuple(target for _, target in pairs)}
