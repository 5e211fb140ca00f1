"""Labelled corpora by name: two that are published, checked by SHA-256, and one that is made here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from groundup.data.corpora import CorpusInfo
from groundup.data.labelled_files import LabelledRows, read_labelled
from groundup.data.tales import generate
from groundup.data.tales_words import MOODS
from groundup.download import find_file

N_MOODS = 2_000
"""How many tales the moods are."""
MOODS_SEED = 1
"""Not the tales of corpus "tales": a model that learned those has not seen these."""
MOOD_OF = {"back": "happy", "mended": "thankful", "honest": "proud", "kept": "sorry", "gone": "sad"}
"""How a tale ends -> the mood its hero ends in; the tale calls it by that word or another of its kind."""


@dataclass(frozen=True, kw_only=True)
class LabelledCorpus:
    """What is known about a labelled corpus before it is found."""

    parts: tuple[CorpusInfo, ...]
    """Its files: one that is still to be split, or training, validation and test."""
    text_column: str = "0"
    """Where its texts are; see `read_labelled`."""
    label_column: str = "1"
    """Where its labels are."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Label in the file -> what it means, where the file has numbers."""

    @property
    def found(self) -> str:
        """Where it is on this machine, in words; for people, and never an error."""
        return ", ".join(dict.fromkeys(part.found for part in self.parts))

    @property
    def info(self) -> CorpusInfo:
        """Its name, description, source and licence."""
        return self.parts[0]


_SMS = "https://raw.githubusercontent.com/hamzaaacodes/sms-spam-collection/f3e73e1e74e6330b62d1ee1983bba2a063184c26"
_SST2 = (
    "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/"
    "457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2"
)


def _sst2(part: str, sha256: str) -> CorpusInfo:
    return CorpusInfo(
        name="sst2",
        description="SST-2: 9,613 sentences of film reviews, negative or positive, split as published",
        source=f"{_SST2}/{part}.tsv",
        licence="Stanford Sentiment Treebank (Socher et al. 2013), for research",
        file=f"sst2/{part}.tsv",
        sha256=sha256,
    )


LABELLED: dict[str, LabelledCorpus] = {
    "sms-spam": LabelledCorpus(
        parts=(
            CorpusInfo(
                name="sms-spam",
                description="SMS Spam Collection: 5,574 short messages, ham or spam (1 in 7)",
                source=f"{_SMS}/SMSSpamCollection",
                licence="CC BY 4.0 (Almeida and Gómez Hidalgo 2011)",
                file="sms_spam/SMSSpamCollection",
                sha256="fae7ea7d915ef73903e5c2f46ffa2f4a39909a574e20fda4f2b81f7cb1e15e1f",
            ),
        ),
        text_column="SMS",
        label_column="Label",
    ),
    "sst2": LabelledCorpus(
        parts=(
            _sst2("train", "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
            _sst2("dev", "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
            _sst2("test", "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
        ),
        names={"0": "negative", "1": "positive"},
    ),
    "moods": LabelledCorpus(
        parts=(
            CorpusInfo(
                name="moods",
                description=f"{N_MOODS:,} small stories and how their heroes end: {', '.join(MOOD_OF.values())}",
                source="groundup.data.tales",
                licence="Apache-2.0, as groundup itself",
            ),
        ),
    ),
}
"""Every labelled corpus by name."""


def read_part(corpus: LabelledCorpus, part: int) -> LabelledRows:
    """Return one file of a labelled corpus: 0 training, 1 validation, 2 test.

    It is looked for in GROUNDUP_DATA, then in the cache, then downloaded.

    Raises:
        InputError: a wrong checksum, or no network.

    Example:
        >>> rows = read_part(LABELLED["moods"], 0)
        >>> len(rows.texts), sorted(set(rows.labels))
        (2000, ['happy', 'proud', 'sad', 'sorry', 'thankful'])
    """
    info = corpus.parts[part]
    if info.file is None:
        return moods(N_MOODS)
    path = find_file(info.file, url=info.source, sha256=info.sha256)
    rows = read_labelled(path, text_column=corpus.text_column, label_column=corpus.label_column, suffix=".tsv")
    labels = tuple(corpus.names.get(label, label) for label in rows.labels)
    return LabelledRows(texts=rows.texts, labels=labels, n_empty=rows.n_empty)


def moods(n: int) -> LabelledRows:
    """Return `n` tales and the mood in which each hero ends, which follows from what happened.

    The mood is also written in the tale, in one of several words of its kind, near the end: a task that is easy for
    whoever reads all of it, made to try things out on without a download.

    Example:
        >>> rows = moods(2)
        >>> rows.texts[0][-43:], rows.labels[0]
        ('Leo ran home, as grateful as a lamb can be.', 'thankful')
    """
    kind_of = {word: MOOD_OF[ending] for ending, words in MOODS.items() for word in words}
    mood = re.compile(rf".*\b({'|'.join(kind_of)})\b")  # the last of them: the first may be a gloomy cave
    texts = tuple(generate(MOODS_SEED, n))
    labels = []
    for text in texts:
        found = mood.match(text)
        if found is None:
            raise ValueError(f"expected every tale to name its hero's mood, found none in {text!r}")
        labels.append(kind_of[found[1]])
    return LabelledRows(texts=texts, labels=tuple(labels))
