"""One token per character: the smallest tokenizer, for small models on small texts."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from groundup.errors import InputError
from groundup.tokenization import tokenizer_json
from groundup.tokenization.base import check_text, unknown_id

# Any one character, line breaks too, is a word of its own; "Fuse" joins them again without spaces.
_EACH_CHARACTER = {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False}


class CharacterTokenizer:
    """Characters of a fixed alphabet; the id of a character is its place in it. There are no special tokens.

    Example:
        >>> tokenizer = CharacterTokenizer.from_text(["hello ", "world"])
        >>> tokenizer.alphabet
        ' dehlorw'
        >>> tokenizer.encode("hold")
        [3, 5, 4, 1]
        >>> tokenizer.decode([3, 5, 4, 1])
        'hold'
    """

    def __init__(self, alphabet: str) -> None:
        """Take the characters of `alphabet`, numbered from 0.

        Raises:
            InputError: the alphabet is empty, not valid Unicode, or names a character twice.
        """
        check_text(alphabet)
        if not alphabet:
            raise InputError("expected an alphabet of at least one character, found none: is the text empty?")
        self.alphabet = alphabet
        self._ids = {character: token for token, character in enumerate(alphabet)}
        if len(self._ids) != len(alphabet):
            twice = next(character for character in alphabet if alphabet.count(character) > 1)
            raise InputError(f"expected each character of an alphabet once, found {twice!r} twice: name it once")

    @classmethod
    def from_text(cls, pieces: Iterable[str]) -> "CharacterTokenizer":
        """Take every character that occurs in the text, in the order of Unicode.

        Raises:
            InputError: there is no text.
        """
        found: set[str] = set()
        for piece in pieces:
            found.update(piece)
        return cls("".join(sorted(found)))

    @classmethod
    def from_file(cls, path: Path) -> "CharacterTokenizer":
        """Read a `tokenizer.json` that `save` wrote.

        Raises:
            InputError: no such file, damaged, or of another kind of tokenizer.
        """
        document = tokenizer_json.read(path)
        if not recognizes(document):
            raise InputError(f"expected {path} to hold a character vocabulary, found another kind: use load_tokenizer")
        vocabulary: dict[str, int] = document["model"]["vocab"]
        if sorted(vocabulary.values()) != list(range(len(vocabulary))) or any(len(name) != 1 for name in vocabulary):
            raise InputError(f"expected characters numbered from 0 in {path}, found others: write the file again")
        return cls("".join(sorted(vocabulary, key=vocabulary.__getitem__)))

    @property
    def vocab_size(self) -> int:
        """Number of characters."""
        return len(self.alphabet)

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """None: every id is a character."""
        return {}

    @property
    def end_id(self) -> None:
        """There is no token that ends a text."""
        return

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return one id per character. `allow_special` changes nothing: there are no special tokens.

        Raises:
            InputError: naming the characters outside the alphabet and where the first one is.
        """
        ids = self._ids
        try:
            return [ids[character] for character in text]
        except (KeyError, TypeError):
            check_text(text)
            raise self._outside(text) from None

    def encode_iterable(self, pieces: Iterable[str]) -> Iterator[int]:
        """Yield the ids of the pieces joined together, holding one piece at a time."""
        for piece in pieces:
            yield from self.encode(piece)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the characters of `ids`.

        Raises:
            InputError: an id outside the alphabet.
        """
        return "".join(map(self._character, ids))

    def token_bytes(self, token: int) -> bytes:
        """Return the character of `token` in UTF-8."""
        return self._character(token).encode()

    def save(self, path: Path) -> None:
        """Write a `tokenizer.json` that `load_tokenizer` and the `tokenizers` library read, with the same ids."""
        # A word-level vocabulary in which every character is a word. Without "unk_token" the library refuses unknown
        # characters, as we do.
        model = {"type": "WordLevel", "vocab": self._ids, "unk_token": ""}
        tokenizer_json.write(path, model=model, pre_tokenizer=_EACH_CHARACTER, decoder={"type": "Fuse"})

    def _character(self, token: int) -> str:
        if not 0 <= token < len(self.alphabet):
            raise unknown_id(token, len(self.alphabet))
        return self.alphabet[token]

    def _outside(self, text: str) -> InputError:
        unknown = list(dict.fromkeys(character for character in text if character not in self._ids))
        names = ", ".join(map(repr, unknown[:5])) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
        return InputError(
            f"expected only the {len(self.alphabet)} characters of the vocabulary, found {names} "
            f"at character {text.index(unknown[0])}: remove them, or use a byte-level tokenizer, which knows every text"
        )


def recognizes(document: dict[str, Any]) -> bool:
    """Say whether a `tokenizer.json` is one that CharacterTokenizer writes."""
    model = document["model"]
    is_word_level = model.get("type") == "WordLevel" and isinstance(model["vocab"], dict)
    is_plain = not document.get("added_tokens")  # see added.py: with special tokens it is the library's
    return is_word_level and is_plain and document.get("pre_tokenizer") == _EACH_CHARACTER
