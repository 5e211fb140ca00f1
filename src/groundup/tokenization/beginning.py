"""Tokens that stand before every text, as the post-processor of a `tokenizer.json` puts them there."""

import json
from pathlib import Path
from typing import Any

import tokenizers

from groundup.errors import InputError

_ONE_WORD: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"text": 0}, "unk_token": "text"},
}


def ids_before(document: dict[str, Any], path: Path) -> tuple[int, ...]:
    """Return the ids that the post-processor of a `tokenizer.json` puts in front of a text; those behind are left out.

    Only the post-processor is run, on a vocabulary of one word: it holds its own ids.

    Args:
        document: content of the file.
        path: where it came from, for messages.

    Raises:
        InputError: a post-processor that the `tokenizers` library cannot read.

    Example:
        >>> ids_before({"post_processor": post_processor("<s>", 7)}, Path("tokenizer.json"))
        (7,)
        >>> ids_before({"post_processor": None}, Path("tokenizer.json"))
        ()
    """
    if (stored := document.get("post_processor")) is None:
        return ()
    try:
        library = tokenizers.Tokenizer.from_str(json.dumps(_ONE_WORD | {"post_processor": stored}))
        encoded = library.encode("text")
        return tuple(encoded.ids[: encoded.special_tokens_mask.index(0)])
    except BaseException as error:  # the library raises nothing more specific, and its panics are BaseExceptions
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        found = str(error).replace("\n", " ")
        raise InputError(
            f"expected a post-processor in {path} that can be read, found: {found}: copy it again"
        ) from None


def post_processor(name: str, token: int) -> dict[str, Any]:
    """Return the post-processor that puts one token before every text: its spelling and its id."""
    first, text = {"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [first, text],
        "pair": [first, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [token], "tokens": [name]}},
    }
