"""What every tokenizer can do, and what works for any of them: decoding a stream, naming a vocabulary by its hash."""

import codecs
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from groundup.errors import InputError

END_OF_TEXT = "<|endoftext|>"
"""The special token between documents, spelled as GPT-2 spells it."""


class Tokenizer(Protocol):
    """Text to token ids and back. Ids are 0 … vocab_size - 1.

    Any class with these members is a tokenizer: nothing inherits from this one.
    """

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens included."""

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Tokens that stand for no text of their own, by spelling."""

    @property
    def end_id(self) -> int | None:
        """Id of END_OF_TEXT, or None when the vocabulary has no such token."""

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return the ids of `text`. The spelling of a special token is ordinary text unless `allow_special`.

        Raises:
            InputError: `text` is no text, or holds what the vocabulary cannot spell.
        """

    def encode_iterable(self, pieces: Iterable[str]) -> Iterator[int]:
        """Yield the ids of the pieces joined together, without holding the whole text."""

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`. Bytes that are not valid UTF-8 become U+FFFD.

        Raises:
            InputError: an id outside the vocabulary.
        """

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that one token adds to a text: often not a whole character.

        Raises:
            InputError: an id outside the vocabulary.
        """

    def save(self, path: Path) -> None:
        """Write a Hugging Face `tokenizer.json`; an interrupted write leaves the old file as it was."""


class IncrementalDecoder:
    """Turns tokens into text one by one, giving out complete characters only.

    A character may be spread over several tokens. What `push` returned, joined, followed by `flush`, is the text
    that all the tokens spell.

    Example:
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> bytes_only = ByteBPE(merges=[])  # one token a byte
        >>> decoder = IncrementalDecoder(bytes_only)
        >>> [decoder.push(token) for token in bytes_only.encode("a€")]
        ['a', '', '', '€']
        >>> decoder.flush()
        ''
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, token: int) -> str:
        """Return the characters that `token` completes, perhaps none."""
        return self._utf8.decode(self._tokenizer.token_bytes(token))

    def flush(self) -> str:
        """Return what is left at the end, an unfinished character as U+FFFD, and start afresh."""
        rest = self._utf8.decode(b"", final=True)
        self._utf8.reset()
        return rest


def fingerprint(tokenizer: Tokenizer) -> str:
    """Return the SHA-256 (hexadecimal) of a vocabulary, to store beside token files.

    Two tokenizers with the same tokens under the same ids have the same fingerprint, whatever code runs them.

    Example:
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> fingerprint(CharacterTokenizer("ab")) == fingerprint(CharacterTokenizer("ba"))
        False
    """
    digest = hashlib.sha256()
    for token in range(tokenizer.vocab_size):
        spelled = tokenizer.token_bytes(token)
        digest.update(len(spelled).to_bytes(4, "little") + spelled)  # lengths, so that "a","bc" differs from "ab","c"
    for name, token in sorted(tokenizer.special_tokens.items()):
        digest.update(f"{token} {name}\n".encode())
    return digest.hexdigest()


def check_text(text: object) -> None:
    """Refuse what no tokenizer can encode.

    Raises:
        InputError: not a `str`, or a `str` with half of a surrogate pair, which no UTF-8 text contains.
    """
    if not isinstance(text, str):
        raise InputError(f"expected text (str) to encode, found {type(text).__name__}: decode bytes as UTF-8 first")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = f"a lone surrogate U+{ord(text[error.start]):04X} at character {error.start}"
        raise InputError(f"expected valid Unicode text, found {found}: read the file as UTF-8") from None


def unknown_id(token: object, vocab_size: int) -> InputError:
    """Return the error for an id that is not in the vocabulary."""
    return InputError(
        f"expected token ids 0 … {vocab_size - 1}, found {token}: decode with the tokenizer that encoded the text"
    )
