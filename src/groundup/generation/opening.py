"""What a text begins with when nothing is given to begin it with."""

from groundup.errors import InputError
from groundup.tokenization.base import Tokenizer


def opening(tokenizer: Tokenizer, first: int) -> list[int]:
    r"""Return ids that a model trained on a text has seen at a beginning: never a token that it was not taught.

    End of text where the text is made of documents, each of which it precedes; else a line break; else, for a
    tokenizer that cannot spell one, the first token again.

    Args:
        tokenizer: what made the tokens of the text.
        first: the first token of the text.

    Example:
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> opening(CharacterTokenizer("ab\n"), first=0), opening(CharacterTokenizer("ab"), first=0)
        ([2], [0])
    """
    if first == tokenizer.end_id:
        return [first]
    try:
        return tokenizer.encode("\n") or [first]
    except InputError:
        return [first]
