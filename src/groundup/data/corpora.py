"""Texts to learn from: named corpora with source, licence and checksum, and any text file or folder of yours."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from groundup.data.text_files import read_pieces, size_of, text_paths
from groundup.download import find_file, local_path, look_for, sha256_of
from groundup.errors import InputError

SEPARATOR = "\n\n"
"""Stands between documents where no end-of-text token can."""
TALES_BYTES = 4_000_000
"""How much of the tales, which never end, is taken unless said otherwise."""
TALES_SEED = 0
"""The tales are always the same ones."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """One text, read once."""

    n_bytes: int
    """Its UTF-8 bytes (up to 3 too many where the end of the corpus cuts a character apart)."""
    pieces: Iterator[str]
    """Its text, in pieces that fit in memory."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """A text, or many, that was found on this machine.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
        >>> _ = path.write_text("To be, or not to be")
        >>> corpus = find_corpus(str(path))
        >>> corpus.n_bytes, corpus.is_collection, "".join(corpus.text())
        (19, False, 'To be, or not to be')
    """

    name: str
    """Its name, or the path it was given by."""
    source: str
    """Where it comes from: an address or a path."""
    licence: str
    """What its use is bound to."""
    n_bytes: int
    """UTF-8 bytes of all documents; the tales stop below it, with the last tale that fits."""
    is_collection: bool
    """Whether it is made of documents, rather than being one."""
    documents: Callable[[], Iterator[Document]]
    """Reads it from the start: the documents in their order, each to be read before the next is asked for."""

    def text(self) -> Iterator[str]:
        """Yield the whole text in pieces, with SEPARATOR between documents: every character a tokenizer may meet."""
        for i, document in enumerate(self.documents()):
            if i:
                yield SEPARATOR
            yield from document.pieces


@dataclass(frozen=True, kw_only=True)
class CorpusInfo:
    """What is known about a named corpus before it is found."""

    name: str
    """What it is asked for by."""
    description: str
    """What it is, in one line."""
    source: str
    """The address it is downloaded from, or what makes it."""
    licence: str
    """What its use is bound to."""
    file: str | None = None
    """Its path inside GROUNDUP_DATA and the cache. None: made by a program."""
    sha256: str = ""
    """Checksum of the file."""

    @property
    def found(self) -> str:
        """Where it is on this machine, in words; for people, and never an error."""
        if self.file is None:
            return "here: made when it is asked for, no file needed"
        try:
            path = look_for(self.file)
            if path is None:
                return f"not here: downloaded when it is asked for, or put it at $GROUNDUP_DATA/{self.file}"
            return str(path) if sha256_of(path) == self.sha256 else f"damaged: {path} has a wrong checksum"
        except InputError as error:
            return str(error)


CORPORA: dict[str, CorpusInfo] = {
    "shakespeare": CorpusInfo(
        name="shakespeare",
        description="TinyShakespeare: 1.1 MB of plays in one file",
        source="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        licence="public domain",
        file="tinyshakespeare/input.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
    "tales": CorpusInfo(
        name="tales",
        description="small stories whose exact entropy is known; as many as asked for",
        source="groundup.data.tales",
        licence="Apache-2.0, as groundup itself",
    ),
}
"""Every named corpus."""


def find_corpus(name_or_path: str, *, max_bytes: int | None = None) -> Corpus:
    """Return a corpus by name, or the text file or folder at a path.

    A file is one document. In a folder every *.txt and *.md, in subfolders too, is one document, sorted by path. A
    named corpus is looked for in GROUNDUP_DATA, then in the cache, then downloaded. A name comes before a path: a
    folder of yours called "tales" is `./tales`.

    Args:
        name_or_path: a key of CORPORA, or a path.
        max_bytes: take the first bytes only. None: everything, and TALES_BYTES of the tales.

    Raises:
        InputError: no such corpus or path, an empty text, a wrong checksum, no network. A file that is not UTF-8
            is found out when it is read.

    Example:
        >>> corpus = find_corpus("tales", max_bytes=1_000)
        >>> corpus.name, corpus.is_collection
        ('tales', True)
    """
    if max_bytes is not None and max_bytes < 1:
        raise InputError(f"expected max_bytes to be at least 1, found {max_bytes}: leave it out to take everything")
    info = CORPORA.get(name_or_path)
    if info is None:
        return _local(name_or_path, max_bytes)
    if info.file is None:
        return _tales(info, max_bytes or TALES_BYTES)
    path = find_file(info.file, url=info.source, sha256=info.sha256)
    return _files(info.name, info.source, info.licence, [path], False, max_bytes)


def list_corpora() -> list[CorpusInfo]:
    """Return the named corpora; `found` of each says where it is on this machine.

    Example:
        >>> [corpus.name for corpus in list_corpora()]
        ['shakespeare', 'tales']
    """
    return list(CORPORA.values())


def preview(corpus: Corpus, n_characters: int) -> str:
    """Return the first characters of a corpus, without reading the rest.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
        >>> _ = path.write_text("To be, or not to be")
        >>> preview(find_corpus(str(path)), 5)
        'To be'
    """
    shown = ""
    for piece in corpus.text():
        shown += piece[: max(0, n_characters - len(shown))]
        if len(shown) >= n_characters:
            break
    return shown


def _local(given: str, max_bytes: int | None) -> Corpus:
    path = local_path(given)
    if not given or not path.exists():
        raise InputError(
            f"expected a known corpus ({', '.join(CORPORA)}) or the path of a text file or folder, found {given!r}: "
            "check its spelling"
        )
    if path.is_dir():
        return _files(given, str(path.resolve()), "yours", text_paths(path), True, max_bytes)
    if path.is_file():
        return _files(given, str(path.resolve()), "yours", [path], False, max_bytes)
    raise InputError(f"expected a text file or a folder, found {given}, which is neither: copy its text to a file")


def _files(
    name: str, source: str, licence: str, paths: list[Path], is_collection: bool, max_bytes: int | None
) -> Corpus:
    sizes = [size_of(path) for path in paths]
    n_bytes = sum(sizes) if max_bytes is None else min(max_bytes, sum(sizes))

    def documents() -> Iterator[Document]:
        left = n_bytes
        for path, size in zip(paths, sizes, strict=True):
            take = min(size, left)
            if take:
                yield Document(n_bytes=take, pieces=read_pieces(path, max_bytes=take if take < size else None))
            left -= take

    return Corpus(
        name=name, source=source, licence=licence, n_bytes=n_bytes, is_collection=is_collection, documents=documents
    )


def _tales(info: CorpusInfo, max_bytes: int) -> Corpus:
    def documents() -> Iterator[Document]:
        from groundup.data.tales import generate

        left = max_bytes
        for tale in generate(TALES_SEED, max_bytes):  # a tale has at least one byte, so this many are enough
            size = len(tale.encode())
            if size > left:
                return
            left -= size
            yield Document(n_bytes=size, pieces=iter((tale,)))

    return Corpus(
        name=info.name,
        source=info.source,
        licence=info.licence,
        n_bytes=max_bytes,
        is_collection=True,
        documents=documents,
    )
