"""Token files: a corpus encoded once, read from disk as a memory-mapped array, described by a JSON beside it."""

import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.data.corpora import SEPARATOR, Corpus
from groundup.data.splits import Part, Side, split
from groundup.download import sha256_of
from groundup.errors import InputError
from groundup.tokenization.base import Tokenizer, fingerprint

FORMAT_VERSION = 1
"""Of tokens.json; a file of another version is refused."""
DESCRIPTION = "tokens.json"
"""Name of the JSON beside the token files."""
_CHUNK = 65_536  # tokens in memory at once


@dataclass(frozen=True, kw_only=True)
class TokenFile:
    """The tokens of one side of a corpus, opened by `open_tokens`."""

    path: Path
    """The file of little-endian integers."""
    ids: npt.NDArray[np.unsignedinteger[Any]]
    """Tokens [N], memory-mapped and read-only."""
    n_tokens: int
    """N."""
    n_bytes: int
    """UTF-8 bytes of the text that the tokens spell; end-of-text tokens spell none."""
    vocab_size: int
    """Ids are below it."""
    tokenizer: str
    """Fingerprint of the tokenizer (`groundup.tokenization.base.fingerprint`)."""
    sha256: str
    """Checksum of the file when it was written."""

    def verify(self) -> None:
        """Read the whole file and compare its checksum.

        Raises:
            InputError: naming the file, if it is not what was written.
        """
        found = sha256_of(self.path)
        if found != self.sha256:
            raise InputError(
                f"expected {self.path} to have SHA-256 {self.sha256}, found {found}: it or {DESCRIPTION} is damaged; "
                f"remove {self.path.parent} and prepare it again, as groundup resume does"
            )


def prepare_tokens(corpus: Corpus, tokenizer: Tokenizer, folder: Path, *, validation_fraction: float) -> None:
    """Encode a corpus into `folder`: train.bin, validation.bin and tokens.json.

    Tokens are little-endian uint16, or uint32 when the vocabulary has more than 65,536. Every document of a collection
    is preceded by the end-of-text token, so that a model learns to begin after it; a tokenizer without one gets
    SEPARATOR between documents. The two sides are encoded apart: no token spans both. Memory does not grow with the
    corpus. The folder appears complete or not at all.

    Args:
        corpus: from `find_corpus`.
        tokenizer: encodes all of it.
        folder: must not exist yet, or be empty.
        validation_fraction: how much of the end is held out, see `groundup.data.splits.split`.

    Raises:
        InputError: the folder holds something, a side is left without tokens, the text cannot be read or encoded, or
            the disk is full.

    Example:
        >>> import tempfile
        >>> from groundup.data.corpora import find_corpus
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> here = Path(tempfile.mkdtemp())
        >>> _ = (here / "notes.txt").write_text("abababab" + "ba")
        >>> corpus = find_corpus(str(here / "notes.txt"))
        >>> prepare_tokens(corpus, CharacterTokenizer("ab"), here / "tokens", validation_fraction=0.2)
        >>> open_tokens(here / "tokens", "train").ids.tolist(), open_tokens(here / "tokens", "validation").n_bytes
        ([0, 1, 0, 1, 0, 1, 0, 1], 2)
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(
            f"expected a new folder for tokens, found {folder} in use: give another, or remove it yourself"
        )
    partial = folder.parent / f".{folder.name}.{os.getpid()}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed and had the same number
        partial.mkdir(parents=True)
        _write(corpus, tokenizer, partial, validation_fraction)
        if folder.exists():
            folder.rmdir()  # empty, or this fails
        partial.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        raise InputError(f"expected room to write tokens at {folder}, found: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def open_tokens(folder: Path, split: Side, *, tokenizer: Tokenizer | None = None) -> TokenFile:
    """Open one side of a folder that `prepare_tokens` wrote; reads nothing but the description and the size.

    Args:
        folder: where the files are.
        split: "train" or "validation".
        tokenizer: when given, the tokens must have been made by it, or by one with the same vocabulary.

    Raises:
        InputError: no such folder, a file that is damaged, cut short or of something else, or another tokenizer.

    Example:
        >>> import tempfile
        >>> from groundup.data.corpora import find_corpus
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> here, tokenizer = Path(tempfile.mkdtemp()), CharacterTokenizer("ab")
        >>> _ = (here / "notes.txt").write_text("aaaabb")
        >>> prepare_tokens(find_corpus(str(here / "notes.txt")), tokenizer, here / "tokens", validation_fraction=0.5)
        >>> tokens = open_tokens(here / "tokens", "validation", tokenizer=tokenizer)
        >>> tokens.verify()  # silence: the file is what was written
        >>> tokens.ids.tolist(), tokens.n_tokens
        ([0, 1, 1], 3)
    """
    description = folder / DESCRIPTION
    path = folder / f"{split}.bin"
    told = _read_description(description)
    try:
        side = told["splits"][split]
        dtype = np.dtype({"uint16": "<u2", "uint32": "<u4"}[told["dtype"]])
        n_tokens, n_bytes, sha256 = int(side["n_tokens"]), int(side["n_bytes"]), str(side["sha256"])
        vocab_size, made_by = int(told["vocab_size"]), str(told["tokenizer"])
    except (KeyError, TypeError, ValueError):
        raise _damaged(description, f"no complete description of {split}") from None
    if tokenizer is not None and fingerprint(tokenizer) != made_by:
        raise InputError(f"expected tokens made by this tokenizer, found another's in {folder}: prepare them again")
    expected, found = n_tokens * dtype.itemsize, path.stat().st_size if path.is_file() else None
    if found != expected or n_tokens < 1:
        raise _damaged(path, f"{'no file' if found is None else f'{found} bytes'} instead of {expected} bytes")
    ids = np.memmap(path, dtype=dtype, mode="r", shape=(n_tokens,))
    return TokenFile(
        path=path,
        ids=ids,
        n_tokens=n_tokens,
        n_bytes=n_bytes,
        vocab_size=vocab_size,
        tokenizer=made_by,
        sha256=sha256,
    )


def _write(corpus: Corpus, tokenizer: Tokenizer, folder: Path, validation_fraction: float) -> None:
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 65_536 else "<u4")
    sides: dict[str, dict[str, Any]] = {}
    # All of the train parts come before all of the validation parts, so one file is open at a time.
    for side, parts in itertools.groupby(split(corpus, validation_fraction), key=lambda part: part.side):
        text = _Measured()
        ids = _encode(parts, tokenizer, corpus.is_collection, text)
        n_tokens, sha256 = _write_ids(folder / f"{side}.bin", ids, dtype)
        sides[side] = {"n_tokens": n_tokens, "n_bytes": text.n_bytes, "sha256": sha256}
    for name in ("train", "validation"):
        if not sides.get(name, {}).get("n_tokens"):
            raise InputError(
                f"expected tokens for {name}, found none in {corpus.name} ({corpus.n_bytes} bytes) with a "
                f"validation_fraction of {validation_fraction:g}: take a longer text, or another validation_fraction"
            )
    told = {
        "format_version": FORMAT_VERSION,
        "tokenizer": fingerprint(tokenizer),
        "vocab_size": tokenizer.vocab_size,
        "dtype": dtype.name,
        "corpus": {"name": corpus.name, "source": corpus.source, "licence": corpus.licence},
        "validation_fraction": validation_fraction,
        "splits": sides,
    }
    with (folder / DESCRIPTION).open("w", encoding="utf-8") as file:
        file.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())
    _sync(folder)


class _Measured:
    """Passes pieces of text on and counts their bytes."""

    def __init__(self) -> None:
        self.n_bytes = 0

    def count(self, pieces: Iterable[str]) -> Iterator[str]:
        for piece in pieces:
            self.n_bytes += len(piece) if piece.isascii() else len(piece.encode())
            yield piece


def _encode(parts: Iterable[Part], tokenizer: Tokenizer, is_collection: bool, text: _Measured) -> Iterator[int]:
    end = tokenizer.end_id if is_collection else None
    for i, part in enumerate(parts):
        pieces = part.pieces
        if end is not None and part.begins_document:
            yield end
        elif i:
            pieces = itertools.chain((SEPARATOR,), pieces)
        yield from tokenizer.encode_iterable(text.count(pieces))


def _write_ids(path: Path, ids: Iterator[int], dtype: np.dtype[Any]) -> tuple[int, str]:
    """Write `ids` and return their number and the checksum of the file."""
    n_tokens, digest = 0, hashlib.sha256()
    with path.open("wb") as file:
        while len(chunk := np.fromiter(itertools.islice(ids, _CHUNK), dtype=dtype)):
            raw = chunk.tobytes()
            file.write(raw)
            digest.update(raw)
            n_tokens += len(chunk)
        file.flush()
        os.fsync(file.fileno())
    return n_tokens, digest.hexdigest()


def _read_description(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"expected token files described by {path}, found: {error.strerror or error}; prepare them, or give the "
            "folder that holds them"
        ) from None
    except ValueError:
        raise _damaged(path, "something that is not JSON") from None
    if not isinstance(told, dict) or told.get("format_version") != FORMAT_VERSION:
        version = told.get("format_version") if isinstance(told, dict) else None
        raise _damaged(path, f"format_version {version!r} instead of {FORMAT_VERSION}")
    return told


def _damaged(path: Path, found: str) -> InputError:
    return InputError(
        f"expected {path} as prepare_tokens wrote it, found {found}: remove the folder and prepare it again"
    )


def _sync(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
