"""A model's token embeddings with what each token spells: which of them to draw, and what to write beside them.

Shapes: V tokens, D numbers each.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from groundup.errors import InputError
from groundup.interpret.neighbours import unit_rows
from groundup.interpret.pca import Floats
from groundup.tokenization.base import Tokenizer

KINDS = (
    "word",
    "capitalized word",
    "piece of a word",
    "number",
    "sign or space",
    "another script",
    "special or bytes",
)
"""What a token can be; a word is one that begins with a space, bytes are part of a character."""
Which = Literal["all", "words"]
"""Every token, or those that begin a word: of the first two kinds."""
LATIN = "\u024f"
"""The last letter of the Latin alphabets in Unicode."""
SPACE, BREAK, TAB = "␣", "⏎", "⇥"
"""Stand for what cannot be seen."""
SHOWN = {" ": SPACE, "\n": BREAK, "\t": TAB}
"""What cannot be seen -> what stands for it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TokenEmbeddings:
    """One vector for each token."""

    vectors: Floats
    """[V, D]."""
    tokenizer: Tokenizer
    """What the tokens spell; of its ids the first V."""
    source: str
    """Whose they are, for people."""

    def __len__(self) -> int:
        """Tokens V."""
        return len(self.vectors)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """What each token spells; "" where that is no text by itself: part of a character, or a special token."""
        special = set(self.tokenizer.special_tokens.values())
        return tuple("" if i in special else _text(self.tokenizer.token_bytes(i)) for i in range(len(self)))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """What each token spells, in characters that can be seen."""
        special = {token: name for name, token in self.tokenizer.special_tokens.items()}
        return tuple(
            visible(text or special.get(i, "") or _hexadecimal(self.tokenizer.token_bytes(i)))
            for i, text in enumerate(self.texts)
        )

    @cached_property
    def kinds(self) -> npt.NDArray[np.int8]:
        """What each token is: places in KINDS [V]."""
        return np.array([token_kind(text) for text in self.texts], dtype=np.int8)

    @cached_property
    def units(self) -> npt.NDArray[np.float32]:
        """The vectors, made 1 long [V, D]."""
        return unit_rows(self.vectors)

    @cached_property
    def _by_text(self) -> dict[str, int]:
        return {text: i for i, text in reversed(list(enumerate(self.texts))) if text}

    def find(self, word: str) -> int:
        """Return the token that spells a word: with a space before it, as it stands in a text, else without.

        A word may be written as a label shows it, too: ␣king.

        Raises:
            InputError: no single token does.
        """
        plain = word.translate({ord(mark): unseen for unseen, mark in SHOWN.items()})
        for spelled in dict.fromkeys((f" {word}", word, plain)):
            if (token := self._by_text.get(spelled)) is not None:
                return token
        if (token := self.tokenizer.special_tokens.get(word)) is not None and token < len(self):
            return token
        raise InputError(
            f"expected a word that is one token of {self.source}, found {word!r}{self._pieces(word)}: take another word"
        )

    def _pieces(self, word: str) -> str:
        """Return what a word is cut into, for a message."""
        try:
            ids = self.tokenizer.encode(f" {word}")
        except InputError:  # letters that it has none for
            return ", which it cannot spell"
        pieces = " ".join(self.labels[i] for i in ids[:8] if i < len(self))
        return f", which is {len(ids)} ({pieces})" if len(ids) > 1 else ""


def token_kind(text: str) -> int:
    """Return what a token that spells `text` is, as a place in KINDS.

    Example:
        >>> [KINDS[token_kind(text)] for text in (" cat", " Cat", "ing", " 42", ", ", " кот")]
        ['word', 'capitalized word', 'piece of a word', 'number', 'sign or space', 'another script']
    """
    if not text:
        return 6
    letters = [one for one in text if one.isalpha()]
    if not letters:
        return 3 if any(one.isdigit() for one in text) else 4
    if any(one > LATIN for one in letters):
        return 5
    if not (text[0] == " " and text[1:].isalpha()):
        return 2
    return int(text[1].isupper())


def visible(text: str) -> str:
    r"""Return a text in which what cannot be seen can: spaces, line breaks, and characters without a picture.

    Example:
        >>> visible(" the"), visible("\n\t"), visible("a\u200bb")
        ('␣the', '⏎⇥', 'a⟨U+200B⟩b')
    """
    return "".join(SHOWN.get(one) or (one if one.isprintable() else f"⟨U+{ord(one):04X}⟩") for one in text)


def choose_tokens(
    embeddings: TokenEmbeddings,
    n: int,
    *,
    which: Which = "all",
    counts: npt.NDArray[np.int64] | None = None,
    always: Iterable[int] = (),
) -> npt.NDArray[np.int64]:
    """Return the ids of at most `n` tokens to draw, those that matter most first.

    A vocabulary that BPE made is in the order of its merges, so its first tokens are about the most frequent ones of
    the text that it was learned from. With `counts` they are the most frequent ones of a text of one's own.

    Args:
        embeddings: of V tokens.
        n: how many.
        which: all, or those that begin a word.
        counts: how often each occurs [V], from `count_tokens`; those that never do are left out.
        always: ids that are among them in any case, the first of all.

    Raises:
        InputError: no token is left.
    """
    is_chosen = np.ones(len(embeddings), dtype=bool)
    if which == "words":
        is_chosen &= embeddings.kinds <= 1
    first = np.array(list(dict.fromkeys(always)), dtype=np.int64)
    is_chosen[first] = False
    order = np.arange(len(embeddings))
    if counts is not None:
        is_chosen &= counts > 0
        order = np.argsort(-counts, kind="stable")
    chosen = np.concatenate([first, order[is_chosen[order]]])[:n]
    if not len(chosen):
        wanted = "begin a word" if which == "words" else "occur in the text"
        raise InputError(f"expected tokens of {embeddings.source} that {wanted}, found none: draw others")
    return chosen


def count_tokens(embeddings: TokenEmbeddings, pieces: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return how often each token occurs in a text that comes in pieces [V].

    Raises:
        InputError: what the vocabulary cannot spell.
    """
    ids = np.fromiter(embeddings.tokenizer.encode_iterable(pieces), dtype=np.int64)
    return np.bincount(ids, minlength=len(embeddings))[: len(embeddings)]


def _text(spelled: bytes) -> str:
    try:
        return spelled.decode()
    except UnicodeDecodeError:
        return ""


def _hexadecimal(spelled: bytes) -> str:
    return f"⟨{spelled.hex(' ').upper()}⟩"
