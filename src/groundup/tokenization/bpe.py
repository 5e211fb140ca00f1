"""Byte-level byte-pair encoding by hand: encode, decode, and the files that hold a vocabulary.

`bpe_training.py` learns the merges; `fast.py` gives the same ids many times faster.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from groundup.tokenization import bpe_files
from groundup.tokenization.base import END_OF_TEXT, check_text, unknown_id
from groundup.tokenization.byte_alphabet import BYTES
from groundup.tokenization.split import encode_special, safe_pieces, split

Merge = tuple[bytes, bytes]

_WORDS_REMEMBERED = 1 << 16


class ByteBPE:
    """Byte-level BPE (Sennrich et al. 2016; on bytes: Radford et al. 2019, section 2.2).

    A text is split into words, a word is a sequence of bytes, and the merges, in the order in which they were learned,
    join neighbours. Every text has ids, and decoding them gives the text back.

    Does not: normalize text, add tokens at the start or the end, split by any pattern but GPT-2's.

    Example:
        >>> bpe = ByteBPE(merges=[(b"t", b"h"), (b"th", b"e"), (b" ", b"the")], special_tokens=[END_OF_TEXT])
        >>> [bpe.vocabulary[token] for token in bpe.encode("the other the")]
        [b'the', b' ', b'o', b'the', b'r', b' the']
        >>> bpe.encode("<|endoftext|>", allow_special=True)
        [259]
        >>> bpe.decode([258, 259])
        ' the<|endoftext|>'
    """

    def __init__(
        self,
        merges: Sequence[Merge],
        special_tokens: Iterable[str] = (),
        *,
        vocabulary: Mapping[int, bytes] | None = None,
    ) -> None:
        """Build the tables; without `vocabulary`, ids are GPT-2's: the bytes, the merges in order, special tokens.

        Args:
            merges: pairs of tokens that become one, first learned first.
            special_tokens: their spellings.
            vocabulary: id → bytes, special tokens included, for files that number otherwise.

        Raises:
            InputError: the merges and the vocabulary do not fit together.
        """
        names = list(special_tokens)
        spelled = [*BYTES, *(left + right for left, right in merges), *(name.encode() for name in names)]
        self.merges: list[Merge] = list(merges)
        self.vocabulary: dict[int, bytes] = dict(enumerate(spelled) if vocabulary is None else vocabulary)
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._ids = {token: number for number, token in self.vocabulary.items()}
        bpe_files.check(self.vocabulary, self._ids, self.merges, names)
        self._special = {name: self._ids[name.encode()] for name in names}
        self._remembered: dict[str, list[int]] = {}

    @classmethod
    def from_tokenizer_json(cls, path: Path) -> "ByteBPE":
        """Read a Hugging Face `tokenizer.json` that holds a byte-level BPE with GPT-2's split.

        Raises:
            InputError: no such file, damaged, or another kind of tokenizer.
        """
        vocabulary, merges, special_tokens = bpe_files.read_tokenizer_json(path)
        return cls(merges, special_tokens, vocabulary=vocabulary)

    @classmethod
    def from_gpt2_files(cls, vocab_json: Path, merges_txt: Path) -> "ByteBPE":
        """Read GPT-2's pair of files: `vocab.json` (also `encoder.json`) and `merges.txt` (also `vocab.bpe`).

        Raises:
            InputError: a file is missing, damaged, or they do not belong together.
        """
        vocabulary, merges, special_tokens = bpe_files.read_gpt2_files(vocab_json, merges_txt)
        return cls(merges, special_tokens, vocabulary=vocabulary)

    @property
    def vocab_size(self) -> int:
        """Number of ids: bytes, merges and special tokens."""
        return len(self.vocabulary)

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """Special tokens by spelling."""
        return self._special

    @property
    def end_id(self) -> int | None:
        """Id of <|endoftext|>, if it is a special token here."""
        return self._special.get(END_OF_TEXT)

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """Return the ids of `text`; special tokens in it count as such only if `allow_special`.

        The time grows with the square of the length of one word.

        Raises:
            InputError: `text` is not valid Unicode text.
        """
        check_text(text)
        if allow_special:
            return encode_special(text, self._special, self._encode_ordinary)
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
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of one token.

        Raises:
            InputError: an id outside the vocabulary.
        """
        try:
            return self.vocabulary[token]
        except KeyError:
            raise unknown_id(token, self.vocab_size) from None

    def spells_every_token(self) -> bool:
        """Say whether each token, encoded on its own, is that one token.

        True of every vocabulary that training gives. Then a pair may be merged whenever its bytes joined are a token,
        whichever merge made that token: which is how tiktoken's core decides (see `fast.py`).
        """
        special = set(self._special.values())
        return all(
            len(merge(token, self._ranks)) == 1 for number, token in self.vocabulary.items() if number not in special
        )

    def save(self, path: Path) -> None:
        """Write a `tokenizer.json`, which the `tokenizers` library reads too, with the same ids."""
        bpe_files.write_tokenizer_json(path, self.vocabulary, self.merges, self._special)

    def save_gpt2_files(self, vocab_json: Path, merges_txt: Path) -> None:
        """Write GPT-2's pair of files, `vocab.json` and `merges.txt`."""
        bpe_files.write_gpt2_files(vocab_json, merges_txt, self.vocabulary, self.merges, self._special)

    def _encode_ordinary(self, text: str) -> list[int]:
        remembered = self._remembered
        ids: list[int] = []
        for word in split(text):
            known = remembered.get(word)
            if known is None:
                if len(remembered) >= _WORDS_REMEMBERED:  # words repeat, but memory must not grow with the text
                    remembered.clear()
                known = remembered[word] = [self._ids[part] for part in merge(word.encode(), self._ranks)]
            ids += known
        return ids


def merge(word: bytes, ranks: Mapping[Merge, int]) -> list[bytes]:
    """Return the tokens of one word: join the pair that was learned first, wherever it occurs, until no pair is known.

    Example:
        >>> merge(b"banana", {(b"a", b"n"): 0, (b"an", b"a"): 1})
        [b'b', b'an', b'ana']
    """
    parts = [word[place : place + 1] for place in range(len(word))]
    while len(parts) > 1:
        first_learned = min(pairwise(parts), key=lambda pair: ranks.get(pair, math.inf))
        if first_learned not in ranks:
            break
        parts = join(parts, first_learned)
    return parts


def join(parts: Sequence[bytes], pair: Merge) -> list[bytes]:
    """Return `parts` with every occurrence of `pair`, from left to right, as one part.

    Example:
        >>> join([b"a", b"a", b"a", b"b"], (b"a", b"a"))
        [b'aa', b'a', b'b']
    """
    left, right = pair
    joined: list[bytes] = []
    place, last = 0, len(parts) - 1
    while place <= last:
        if place < last and parts[place] == left and parts[place + 1] == right:
            joined.append(left + right)
            place += 2
        else:
            joined.append(parts[place])
            place += 1
    return joined
