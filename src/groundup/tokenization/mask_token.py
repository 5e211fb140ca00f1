"""The token that stands for a hidden one: added to a vocabulary, found in it, and put where a person wrote it."""

from groundup.errors import InputError
from groundup.tokenization.added import with_special_tokens
from groundup.tokenization.base import Tokenizer

MASK = "[MASK]"
"""How it is spelled in a vocabulary and in a text with gaps: as BERT spells it (Devlin et al. 2018)."""


def with_mask(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer that has a token for gaps, too; all other ids stay as they are.

    Example:
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> with_mask(ByteBPE([], ["<|endoftext|>"])).special_tokens["[MASK]"]
        257
    """
    return with_special_tokens(tokenizer, [MASK])


def mask_id(tokenizer: Tokenizer) -> int:
    """Return the id of [MASK].

    Raises:
        InputError: a vocabulary without it.
    """
    if MASK not in tokenizer.special_tokens:
        known = ", ".join(tokenizer.special_tokens) or "none"
        raise InputError(
            f"expected a tokenizer with the special token {MASK}, found {known}: name a model that learned to fill "
            "gaps, such as a run of groundup train tales-mask"
        )
    return tokenizer.special_tokens[MASK]


def encode_with_gaps(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the ids of a text in which [MASK] stands for one token each time; all else is ordinary text.

    Where tokens hold the space before a word, that space belongs to the hidden token, and is not written before it.

    Raises:
        InputError: a vocabulary without [MASK], a text without one, or one that the vocabulary cannot spell.

    Example:
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> tokenizer = with_mask(ByteBPE([(b" ", b"c"), (b" c", b"a")]))
        >>> [tokenizer.token_bytes(token) for token in encode_with_gaps(tokenizer, "a [MASK] ca")]
        [b'a', b'[MASK]', b' ca']
    """
    gap = mask_id(tokenizer)
    *before, last = text.split(MASK)
    if not before:
        raise InputError(f"expected a text with {MASK} where a token is to be filled in, found none: write it there")
    if _tokens_hold_spaces(tokenizer):
        before = [piece.removesuffix(" ") for piece in before]
    ids: list[int] = []
    for piece in before:
        ids += [*tokenizer.encode(piece), gap]
    return ids + tokenizer.encode(last)


def _tokens_hold_spaces(tokenizer: Tokenizer) -> bool:
    special = set(tokenizer.special_tokens.values())
    spelled = (tokenizer.token_bytes(token) for token in range(tokenizer.vocab_size) if token not in special)
    return any(token[:1] == b" " and len(token) > 1 for token in spelled)
