"""Any published `tokenizer.json`, run by the `tokenizers` library: Llama, Qwen, BERT, T5 and the rest."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

import tokenizers

from groundup.errors import InputError
from groundup.tokenization import tokenizer_json
from groundup.tokenization.base import END_OF_TEXT, check_text, unknown_id
from groundup.tokenization.byte_alphabet import unspell

_BYTE_TOKEN = re.compile("<0x([0-9A-F]{2})>")  # how SentencePiece vocabularies spell a byte that no token covers


class PublishedTokenizer:
    """A tokenizer of the `tokenizers` library, as its file describes it.

    Does not: add tokens at the start or the end, cut or pad, whatever the file says. What the file's normalizer
    changes (accents, spaces) stays changed: `decode` need not give the encoded text back.
    """

    def __init__(self, text: str, path: Path, *, end_token: str = END_OF_TEXT) -> None:
        """Build the tokenizer that `text`, the content of `path`, describes.

        Args:
            text: a `tokenizer.json`.
            path: where it came from, for messages.
            end_token: spelling of the special token that ends a text; families differ.

        Raises:
            InputError: the library cannot read it.
        """
        self._text, self._path, self._end_token = text, path, end_token
        self._ordinary = self._build()
        self._ordinary.encode_special_tokens = True  # the library's words for: their spelling is ordinary text
        added = self._ordinary.get_added_tokens_decoder()
        self._added = {token: entry.content for token, entry in added.items()}
        self._special = {entry.content: token for token, entry in sorted(added.items()) if entry.special}
        self._vocab_size = max(self._ordinary.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    @classmethod
    def from_file(cls, path: Path, *, end_token: str = END_OF_TEXT) -> "PublishedTokenizer":
        """Read a `tokenizer.json` of any kind.

        Raises:
            InputError: no such file, damaged, or not readable by the library.
        """
        tokenizer_json.read(path)
        return cls(tokenizer_json.read_text(path), path, end_token=end_token)

    @property
    def vocab_size(self) -> int:
        """Largest id + 1; a file may leave gaps below it."""
        return self._vocab_size

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Special tokens by spelling."""
        return self._special

    @property
    def end_id(self) -> int | None:
        """Id of the token that ends a text, if it is a special token here."""
        return self._special.get(self._end_token)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return the ids of `text`; special tokens in it count as such only if `allow_special`.

        Raises:
            InputError: `text` is not valid Unicode text, or the vocabulary cannot spell it.
        """
        check_text(text)
        library = self._with_special if allow_special else self._ordinary
        try:
            ids: list[int] = library.encode(text, add_special_tokens=False).ids
        except Exception as error:  # the library raises nothing more specific
            raise InputError(f"expected text that {self._path} can spell, found other ({error}): change it") from None
        return ids

    def encode_iterable(self, pieces: Iterable[str]) -> Iterator[int]:
        """Yield the ids of the pieces joined together.

        Holds the whole text: a file may describe rules for which no place is safe to cut.
        """
        yield from self.encode("".join(pieces))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids` by the file's decoder, special tokens included.

        Raises:
            InputError: an id outside the vocabulary.
        """
        tokens = list(ids)
        for token in tokens:
            if not 0 <= token < self._vocab_size:
                raise unknown_id(token, self._vocab_size)
        text: str = self._ordinary.decode(tokens, skip_special_tokens=False)
        return text

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that `token` adds to a text that has already begun, so with the space before a word.

        Raises:
            InputError: an id outside the vocabulary.
        """
        if not 0 <= token < self._vocab_size:
            raise unknown_id(token, self._vocab_size)
        if token in self._added:
            return self._added[token].encode()
        spelled = self._ordinary.id_to_token(token)
        if spelled is None:  # a gap between ids
            return b""
        if isinstance(self._ordinary.decoder, tokenizers.decoders.ByteLevel):
            return unspell(spelled)
        if byte := _BYTE_TOKEN.fullmatch(spelled):
            return bytes.fromhex(byte[1])
        start, before = self._start
        return self._ordinary.decode([start, token], skip_special_tokens=False)[len(before) :].encode()

    def save(self, path: Path) -> None:
        """Write the `tokenizer.json` as it was read."""
        tokenizer_json.write_text(path, self._text)

    @cached_property
    def _with_special(self) -> tokenizers.Tokenizer:
        return self._build()

    @cached_property
    def _start(self) -> tuple[int, str]:
        """A token to decode before another one, since some decoders drop the space in front of the first."""
        ordinary = (token for token in range(self._vocab_size) if token not in self._added)
        texts = [(token, self._ordinary.decode([token])) for token in ordinary]
        return next((pair for pair in texts if pair[1].isalpha()), texts[0])  # an alphabet may have no letters

    def _build(self) -> tokenizers.Tokenizer:
        try:
            library = tokenizers.Tokenizer.from_str(self._text)
        except BaseException as error:  # the library raises nothing more specific, and its panics are BaseExceptions
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            found = str(error).replace("\n", " ")
            raise InputError(f"expected a tokenizer.json in {self._path}, found: {found}: copy it again") from None
        library.no_truncation()
        library.no_padding()
        return library
