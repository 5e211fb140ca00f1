"""The tokenizer that runs by default: the ids that `bpe.py` gives, from tiktoken's compiled core."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import tiktoken

from groundup.errors import InputError
from groundup.tokenization.base import check_text, unknown_id
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.split import GPT2_PATTERN, encode_special, safe_pieces, split

# tiktoken's engine gives up, and panics, on a million spaces in a row: it remembers each one to go back to.
_SAFE_LENGTH = 1 << 17


class FastTokenizer:
    """A ByteBPE whose text goes through tiktoken's core.

    tiktoken knows no merges. It joins the neighbours whose bytes together are the token with the smallest id. That
    is the same thing when ids are in the order of the merges and each token, encoded on its own, is itself: then a
    string of bytes becomes a token in one way only. Both are checked here, once.

    Example:
        >>> by_hand = ByteBPE([(b"l", b"o"), (b"lo", b"w")], special_tokens=["<|endoftext|>"])
        >>> FastTokenizer(by_hand).encode("lower low") == by_hand.encode("lower low")
        True
    """

    def __init__(self, by_hand: ByteBPE) -> None:
        """Hand the vocabulary of `by_hand` to the core.

        Raises:
            InputError: the core would give other ids than the merges; `PublishedTokenizer` reads such files.
        """
        if not _core_agrees(by_hand):
            raise InputError(
                "expected merges in the order of their ids, each token made in one way, found others: "
                "load the file with load_tokenizer"
            )
        self.by_hand = by_hand
        self._core = _core(by_hand, GPT2_PATTERN)

    @classmethod
    def from_file(cls, path: Path) -> "FastTokenizer":
        """Read a `tokenizer.json` that holds a byte-level BPE with GPT-2's split; `load_tokenizer` reads any kind.

        Raises:
            InputError: no such file, damaged, or another kind of tokenizer.
        """
        return cls(ByteBPE.from_tokenizer_json(path))

    @property
    def vocab_size(self) -> int:
        """Number of ids: bytes, merges and special tokens."""
        return self.by_hand.vocab_size

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Special tokens by spelling."""
        return self.by_hand.special_tokens

    @property
    def end_id(self) -> int | None:
        """Id of <|endoftext|>, if it is a special token here."""
        return self.by_hand.end_id

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return the ids of `text`; special tokens in it count as such only if `allow_special`.

        Raises:
            InputError: `text` is not valid Unicode text.
        """
        check_text(text)
        if allow_special:
            return encode_special(text, self.special_tokens, self._encode_ordinary)
        return self._encode_ordinary(text)

    def encode_iterable(self, pieces: Iterable[str]) -> Iterator[int]:
        """Yield the ids of the pieces joined together, in bounded memory: see `safe_pieces`."""
        for piece in safe_pieces(pieces):
            yield from self.encode(piece)

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`; bytes that are not valid UTF-8 become U+FFFD.

        Raises:
            InputError: an id outside the vocabulary.
        """
        tokens = list(ids)
        try:
            return self._core.decode(tokens, errors="replace")
        except (KeyError, OverflowError):
            outside = next(token for token in tokens if not 0 <= token < self.vocab_size)
            raise unknown_id(outside, self.vocab_size) from None

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of one token.

        Raises:
            InputError: an id outside the vocabulary.
        """
        return self.by_hand.token_bytes(token)

    def save(self, path: Path) -> None:
        """Write a `tokenizer.json`, which the `tokenizers` library reads too, with the same ids."""
        self.by_hand.save(path)

    def _encode_ordinary(self, text: str) -> list[int]:
        if len(text) <= _SAFE_LENGTH:
            return self._core.encode_ordinary(text)
        slices = (text[start : start + _SAFE_LENGTH] for start in range(0, len(text), _SAFE_LENGTH))
        ids: list[int] = []
        for piece in safe_pieces(slices):
            if len(piece) <= 2 * _SAFE_LENGTH:
                ids += self._core.encode_ordinary(piece)
            else:  # hardly more than one endless word: split it here
                for word in split(piece):
                    ids += self._core_for_words.encode_ordinary(word)
        return ids

    @cached_property
    def _core_for_words(self) -> tiktoken.Encoding:
        return _core(self.by_hand, r"[\s\S]+")


def _core(by_hand: ByteBPE, pattern: str) -> tiktoken.Encoding:
    special = set(by_hand.special_tokens.values())
    return tiktoken.Encoding(
        "groundup",
        pat_str=pattern,
        mergeable_ranks={spelled: token for token, spelled in by_hand.vocabulary.items() if token not in special},
        special_tokens=dict(by_hand.special_tokens),
    )


def _core_agrees(by_hand: ByteBPE) -> bool:
    ids = {spelled: token for token, spelled in by_hand.vocabulary.items()}
    made = [ids[left + right] for left, right in by_hand.merges]
    return all(before < after for before, after in pairwise(made)) and by_hand.spells_every_token()
