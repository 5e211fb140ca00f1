"""Special tokens added to a vocabulary that exists, and the choice of the one that ends a text."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import tokenizers

from groundup.errors import InputError
from groundup.tokenization.base import END_OF_TEXT, Tokenizer, check_text
from groundup.tokenization.bpe import ByteBPE
from groundup.tokenization.fast import FastTokenizer
from groundup.tokenization.published import PublishedTokenizer


def with_special_tokens(tokenizer: Tokenizer, names: Sequence[str]) -> Tokenizer:
    """Return a tokenizer that knows `names` too, numbered from the old vocab_size on; all other ids stay.

    A name that is special already keeps its id. The model needs a row for each new one: `resize_token_embeddings`.
    A `CharacterTokenizer`, whose ids are all characters, becomes a `PublishedTokenizer` with the same ids.

    Args:
        tokenizer: one of ours.
        names: spellings, such as "<|pad|>".

    Raises:
        InputError: a spelling that is empty, or that of an ordinary token; a vocabulary with gaps between its ids.

    Example:
        >>> tokenizer = with_special_tokens(ByteBPE([], [END_OF_TEXT]), ["<|pad|>", END_OF_TEXT])
        >>> dict(tokenizer.special_tokens)
        {'<|endoftext|>': 256, '<|pad|>': 257}
    """
    new = [name for name in dict.fromkeys(names) if name not in tokenizer.special_tokens]
    for name in new:
        check_text(name)
        if not name:
            raise InputError("expected the spelling of a special token, found nothing: name it, such as <|pad|>")
    if not new:
        return tokenizer
    if isinstance(tokenizer, FastTokenizer):
        return FastTokenizer(_extended(tokenizer.by_hand, new))
    if isinstance(tokenizer, ByteBPE):
        return _extended(tokenizer, new)
    text = _document(tokenizer)
    library = tokenizers.Tokenizer.from_str(text)
    for place, name in enumerate(new):
        if library.token_to_id(name) is not None:
            raise _ordinary(name)
        library.add_special_tokens([tokenizers.AddedToken(name, special=True, normalized=False)])
        if library.token_to_id(name) != tokenizer.vocab_size + place:
            raise InputError(
                f"expected ids without gaps to add {name!r} behind, found {library.token_to_id(name)} free in a "
                f"vocabulary of {tokenizer.vocab_size}: add it with the library that made the file"
            )
    ends = [name for name, token in tokenizer.special_tokens.items() if token == tokenizer.end_id]
    return PublishedTokenizer(library.to_str(), Path("tokenizer.json"), end_token=ends[0] if ends else END_OF_TEXT)


def with_end_token(tokenizer: Tokenizer, name: str) -> Tokenizer:
    """Return a tokenizer with the same ids whose `end_id` is that of the special token `name`.

    Raises:
        InputError: no special token of that spelling.

    Example:
        >>> tokenizer = with_special_tokens(ByteBPE([], [END_OF_TEXT]), ["<|im_end|>"])
        >>> with_end_token(tokenizer, "<|im_end|>").end_id
        257
    """
    if name not in tokenizer.special_tokens:
        known = ", ".join(tokenizer.special_tokens) or "none"
        raise InputError(f"expected a special token to end a text with, found {name!r}: known are {known}")
    if tokenizer.special_tokens[name] == tokenizer.end_id:
        return tokenizer
    return PublishedTokenizer(_document(tokenizer), Path("tokenizer.json"), end_token=name)


def _extended(by_hand: ByteBPE, new: Sequence[str]) -> ByteBPE:
    spelled = set(by_hand.vocabulary.values())
    for name in new:
        if name.encode() in spelled:
            raise _ordinary(name)
    added = {by_hand.vocab_size + place: name.encode() for place, name in enumerate(new)}
    return ByteBPE(by_hand.merges, [*by_hand.special_tokens, *new], vocabulary={**by_hand.vocabulary, **added})


def _document(tokenizer: Tokenizer) -> str:
    """Return the text of the tokenizer.json that `tokenizer` saves."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        tokenizer.save(path)
        return path.read_text(encoding="utf-8")


def _ordinary(name: str) -> InputError:
    return InputError(f"expected a spelling that is no token yet, found {name!r}, an ordinary token: choose another")
