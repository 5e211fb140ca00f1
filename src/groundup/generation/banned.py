"""Texts that must not be written, as the token sequences that write them."""

from collections.abc import Sequence

from groundup.errors import InputError
from groundup.tokenization.base import Tokenizer


def banned_sequences(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each text, alone and behind a space, as words occur; each sequence once.

    What cannot be guaranteed: that a text is never written. A model may spell it by other tokens than the tokenizer
    would (letter by letter), begin it within a token ("(word") or go on in the same one ("words"); and case counts.
    To end at a text however it is spelled, use GenerationConfig.stop.

    Raises:
        InputError: a text that is empty, or that the tokenizer cannot encode.

    Example:
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> bpe = ByteBPE(merges=[(b"n", b"o"), (b" ", b"no")])
        >>> [[bpe.vocabulary[token] for token in ids] for ids in banned_sequences(bpe, ["no", "nor"])]
        [[b'no'], [b' no'], [b'no', b'r'], [b' no', b'r']]
    """
    found: dict[tuple[int, ...], None] = {}  # a set that keeps its order
    for text in texts:
        ids = tokenizer.encode(text)
        if not ids:
            raise InputError(f"expected a text to ban, found {text!r}, which has no tokens: leave it out")
        found[tuple(ids)] = None
        try:
            found[tuple(tokenizer.encode(f" {text}"))] = None
        except InputError:  # a vocabulary without a space writes no space before it either
            continue
    return [list(ids) for ids in found]
