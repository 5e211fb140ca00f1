"""Which part of a corpus is learned and which is held out: the end, in whole documents where possible."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from groundup.data.corpora import Corpus
from groundup.tokenization.base import END_OF_TEXT

Side = Literal["train", "validation"]
"""Train is learned; validation is only measured."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A document, or one side of the document that the split cuts."""

    side: Side
    """Where it belongs."""
    begins_document: bool
    """False for the held-out rest of a document that was cut."""
    pieces: Iterator[str]
    """Its text, in pieces that fit in memory."""


def split(corpus: Corpus, validation_fraction: float) -> Iterator[Part]:
    """Yield the parts of a corpus in order: first everything for training, then everything held out.

    The last `validation_fraction` of the bytes is held out. The document in which that boundary lies is held out
    whole if it is no longer than what is held out; a longer one (and a corpus that is a single text) is cut there,
    between two characters. By position and not by chance, because it needs no second reading and no memory, gives
    the fraction asked for even with two files, does not move when text is appended elsewhere, and puts no held-out
    text between learned ones. It is no shuffle: files sorted by path should not be sorted by topic.

    Every character comes in exactly one part. Read each part before asking for the next.

    Example:
        >>> from groundup.data.corpora import Document
        >>> pieces = lambda *texts: iter([Document(n_bytes=len(t), pieces=iter([t])) for t in texts])
        >>> corpus = Corpus(name="", source="", licence="", n_bytes=10, is_collection=False,
        ...     documents=lambda: pieces("0123456789"))
        >>> [(part.side, "".join(part.pieces)) for part in split(corpus, 0.2)]
        [('train', '01234567'), ('validation', '89')]
    """
    cut = int(corpus.n_bytes * (1 - validation_fraction))
    position = 0
    for document in corpus.documents():
        begin, position = position, position + document.n_bytes
        if position <= cut:
            yield Part(side="train", begins_document=True, pieces=document.pieces)
        elif begin < cut and (document.n_bytes > corpus.n_bytes - cut or begin == 0):
            head, tail = _cut(document.pieces, cut - begin)
            yield Part(side="train", begins_document=True, pieces=head)
            yield Part(side="validation", begins_document=False, pieces=tail)
        else:
            yield Part(side="validation", begins_document=True, pieces=document.pieces)


def training_text(corpus: Corpus, validation_fraction: float, *, separator: str = END_OF_TEXT) -> Iterator[str]:
    """Yield the text for training in pieces, with `separator` between documents: what a tokenizer is trained on.

    A byte-level BPE learns no merge across END_OF_TEXT, just as none will be asked of it when documents are encoded.

    Example:
        >>> from groundup.data.corpora import Document
        >>> texts = ("one", "two", "six")
        >>> corpus = Corpus(name="", source="", licence="", n_bytes=9, is_collection=True,
        ...     documents=lambda: (Document(n_bytes=3, pieces=iter([text])) for text in texts))
        >>> "".join(training_text(corpus, 0.3))
        'one<|endoftext|>two'
    """
    for i, part in enumerate(split(corpus, validation_fraction)):
        if part.side == "validation":
            return
        if i:
            yield separator
        yield from part.pieces


def _cut(pieces: Iterator[str], n_bytes: int) -> tuple[Iterator[str], Iterator[str]]:
    """Return the first `n_bytes` of a text, rounded down to a whole character, and the rest."""
    rest: list[str] = []

    def first() -> Iterator[str]:
        left = n_bytes
        for piece in pieces:
            raw = piece.encode()
            if len(raw) > left:
                keep = left
                while keep and raw[keep] & 0xC0 == 0x80:  # 0b10xxxxxx: inside a character
                    keep -= 1
                rest.append(raw[keep:].decode())
                yield raw[:keep].decode()
                return
            left -= len(raw)
            yield piece

    head = first()

    def last() -> Iterator[str]:
        for _ in head:  # whatever of the head was not read does not belong here
            pass
        yield from rest
        yield from pieces

    return head, last()
