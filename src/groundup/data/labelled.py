"""Labelled texts, named or in files of one's own, cleaned and in three parts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from groundup.configs.finetune_runs import LabelledConfig
from groundup.data.labelled_corpora import LABELLED, read_part
from groundup.data.labelled_files import SUFFIXES, LabelledRows, read_labelled
from groundup.data.labelled_split import apportion, draw, split
from groundup.download import local_path
from groundup.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Texts, and of each which label it has.

    Example:
        >>> mail = Labelled(texts=("See you", "You won!", "Soon"), labels=(0, 1, 0), names=("ham", "spam"))
        >>> mail.counts
        (2, 1)
    """

    texts: tuple[str, ...]
    """None of them empty, without space around them."""
    labels: tuple[int, ...]
    """The label of each text, a place in `names`."""
    names: tuple[str, ...]
    """What the labels are called."""

    def __post_init__(self) -> None:
        """Refuse labels that do not fit the texts and names, with a ValueError."""
        if len(self.texts) != len(self.labels) or not all(0 <= label < len(self.names) for label in self.labels):
            raise ValueError(
                f"expected a label in [0, {len(self.names)}) for each text, found {len(self.labels)} labels, of "
                f"{sorted(set(self.labels))[:12]}, and {len(self.texts)} texts"
            )

    @property
    def counts(self) -> tuple[int, ...]:
        """How many texts each label has."""
        found = Counter(self.labels)
        return tuple(found[label] for label in range(len(self.names)))


@dataclass(frozen=True, kw_only=True)
class LabelledSplits:
    """Labelled texts to learn from, to choose by, and to be measured on once."""

    train: Labelled
    """To learn from; every label is in it."""
    validation: Labelled
    """To choose the best weights by; empty if that was asked for."""
    test: Labelled
    """To measure on, once, at the end; empty if that was asked for."""
    names: tuple[str, ...]
    """What the labels are called: numbers in their order, words in the alphabet's."""
    notes: tuple[str, ...]
    """What was left out, moved or counted on the way, a sentence each."""


def load_labelled(config: LabelledConfig) -> LabelledSplits:
    """Return the labelled texts of `config`: a pure function of it and of the files' contents.

    No text is in two parts: copies of a text go to the same one, and what a validation or test file of its own holds
    is taken out of training. A named corpus knows its columns, and its files if it is published in parts.

    Raises:
        InputError: what cannot be read (`read_labelled`), fewer than two labels, as many labels as texts, a label in a
            validation or test file that training lacks, or too few texts for a part.

    Example:
        >>> splits = load_labelled(LabelledConfig(file="moods", max_examples=100))
        >>> [len(part.texts) for part in (splits.train, splits.validation, splits.test)]
        [70, 10, 20]
        >>> splits.names, splits.notes
        (('happy', 'proud', 'sad', 'sorry', 'thankful'), ('100 of 2,000 texts taken',))
    """
    notes: list[str] = []
    corpus = LABELLED.get(config.file)
    published = len(corpus.parts) if corpus else 1
    rows = _read(config.file, 0, config, notes)
    held: list[LabelledRows | None] = []
    for part, file in ((1, config.validation_file), (2, config.test_file)):
        given = file or (config.file if part < published else None)
        held.append(_read(given, part if file is None else 0, config, notes) if given else None)
    validation, test = held
    if validation and test:
        validation = _without(validation, set(test.texts), "validation", "the test", notes)
    for other, where in ((validation, "validation"), (test, "the test")):
        if other:
            rows = _without(rows, set(other.texts), "training", where, notes)
    names = _names(rows, config)
    training = _indexed(rows, names, config.file)
    training = _chosen(training, config, notes)
    parts = _split(training, config, given=(validation is not None, test is not None), notes=notes)
    return LabelledSplits(
        train=parts[0],
        validation=_indexed(validation, names, "the validation texts") if validation else parts[1],
        test=_indexed(test, names, "the test texts") if test else parts[2],
        names=names,
        notes=tuple(notes),
    )


def read_more(config: LabelledConfig, names: tuple[str, ...]) -> tuple[Labelled, tuple[str, ...]]:
    """Return all texts of config.file, to be measured with labels that are known already; and what was left out.

    Of a corpus that is published in parts, those for the test. What was left out is told in sentences.

    Raises:
        InputError: what cannot be read, or a label that is not one of `names`.
    """
    corpus = LABELLED.get(config.file)
    part = len(corpus.parts) - 1 if corpus else 0
    notes: list[str] = []
    return _indexed(_read(config.file, part, config, notes), names, config.file), tuple(notes)


def _read(given: str, part: int, config: LabelledConfig, notes: list[str]) -> LabelledRows:
    if given in LABELLED:
        rows = read_part(LABELLED[given], part)
    else:
        path = local_path(given)
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            raise InputError(
                f"expected a labelled corpus ({', '.join(LABELLED)}) or a {', '.join(SUFFIXES)} file, found {given!r}: "
                f"{'give it its suffix' if path.is_file() else 'check its spelling'}"
            )
        rows = read_labelled(path, text_column=config.text_column, label_column=config.label_column)
    if rows.n_empty:
        notes.append(f"{_count(rows.n_empty, 'empty text')} left out of {given}")
    return rows


def _without(rows: LabelledRows, held: set[str], part: str, where: str, notes: list[str]) -> LabelledRows:
    kept = [(text, label) for text, label in zip(rows.texts, rows.labels, strict=True) if text not in held]
    n = len(rows.texts) - len(kept)
    if not n:
        return rows
    if not kept:
        raise InputError(f"expected texts for {part} that are not in {where} too, found none: give another file")
    notes.append(f"{_count(n, 'text')} left out of {part}, being in {where} too")
    texts, labels = zip(*kept, strict=True)
    return LabelledRows(texts=texts, labels=labels)


def _names(rows: LabelledRows, config: LabelledConfig) -> tuple[str, ...]:
    names = sorted(set(rows.labels))
    if len(names) < 2:
        raise InputError(
            f"expected at least two labels to tell apart in {config.file}, found only {names[0]!r}: is "
            f"{config.label_column!r} their column?"
        )
    if len(names) == len(rows.texts):
        raise InputError(
            f"expected labels that several texts share in {config.file}, found {len(names):,} texts with a different "
            f"label each: is {config.label_column!r} their column?"
        )
    if all(name.removeprefix("-").isdecimal() for name in names):
        names.sort(key=lambda name: (int(name), name))
    return tuple(names)


def _indexed(rows: LabelledRows, names: tuple[str, ...], where: str) -> Labelled:
    place = {name: i for i, name in enumerate(names)}
    unseen = sorted(set(rows.labels) - place.keys())
    if unseen:
        raise InputError(
            f"expected the labels of training ({_few(names)}) in {where}, found {_few(unseen)}: correct them, or add "
            "such texts to training"
        )
    return Labelled(texts=rows.texts, labels=tuple(place[label] for label in rows.labels), names=names)


def _chosen(data: Labelled, config: LabelledConfig, notes: list[str]) -> Labelled:
    """Return as many texts as `config` asks for: `balanced` first, then `max_examples`."""
    if config.balanced and len(set(data.counts)) > 1:
        rarest = min(data.counts)
        before = len(data.texts)
        data = _taken(data, draw(data.texts, data.labels, [rarest] * len(data.names), seed=config.seed))
        notes.append(f"{_count(rarest, 'text')} of each label taken, {before - len(data.texts):,} left out")
    if config.max_examples is not None and config.max_examples < len(data.texts):
        if config.max_examples < len(data.names):
            raise InputError(
                f"LabelledConfig.max_examples must be at least {len(data.names)}, a text of each label, found "
                f"{config.max_examples}"
            )
        take = apportion(data.counts, config.max_examples, least=1)
        notes.append(f"{config.max_examples:,} of {len(data.texts):,} texts taken")
        data = _taken(data, draw(data.texts, data.labels, take, seed=config.seed))
    return data


def _split(
    data: Labelled, config: LabelledConfig, *, given: tuple[bool, bool], notes: list[str]
) -> tuple[Labelled, Labelled, Labelled]:
    labels_of: dict[str, set[int]] = {}
    for text, label in zip(data.texts, data.labels, strict=True):
        labels_of.setdefault(text, set()).add(label)
    repeated = len(data.texts) - len(labels_of)
    if repeated:
        notes.append(f"{_count(repeated, 'repeated text')}: copies stay in one part")
    torn = sum(len(labels) > 1 for labels in labels_of.values())
    if torn:
        notes.append(f"{_count(torn, 'text')} with more than one label: kept in training")
    wanted = (config.validation_fraction, config.test_fraction)
    fractions = [0.0 if is_given else fraction for is_given, fraction in zip(given, wanted, strict=True)]
    if sum(fractions) >= 1:
        raise InputError("expected validation_fraction and test_fraction to leave texts to learn from, found 0.5 twice")
    indices = split(data.texts, data.labels, validation=fractions[0], test=fractions[1], seed=config.seed)
    parts = (_taken(data, indices[0]), _taken(data, indices[1]), _taken(data, indices[2]))
    for part, fraction, name in zip(parts[1:], fractions, ("validation", "test"), strict=True):
        if fraction and not part.texts:
            raise InputError(
                f"expected enough texts in {config.file} for a {name} part of {fraction:g}, found "
                f"{_count(len(labels_of), 'different text')}: add some, or raise {name}_fraction"
            )
    return parts


def _taken(data: Labelled, indices: Sequence[int]) -> Labelled:
    return Labelled(
        texts=tuple(data.texts[i] for i in indices), labels=tuple(data.labels[i] for i in indices), names=data.names
    )


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:6])) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
