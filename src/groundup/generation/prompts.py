"""Prompts of ids, checked against a model before it reads them."""

from collections.abc import Sequence

from groundup.errors import InputError
from groundup.models.writer import Writer


def checked_prompts(
    model: Writer, prompts: Sequence[Sequence[int]], end_id: int | None, vocab_size: int | None
) -> tuple[list[list[int]], int]:
    """Return the prompts, an empty one as `end_id` alone, and how many ids may be drawn.

    Args:
        model: what will read them.
        prompts: ids of each row.
        end_id: the end-of-text token, if there is one.
        vocab_size: ids below it may be drawn. None: all that the model has. A model's vocabulary may be padded.

    Raises:
        InputError: an empty prompt without an `end_id`, a prompt longer than the context, or an id that is not in the
            vocabulary.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> checked_prompts(model, [[1, 2], []], end_id=8, vocab_size=9)
        ([[1, 2], [8]], 9)
    """
    n_tokens = model.vocab_size
    if vocab_size is not None:
        n_tokens = min(n_tokens, vocab_size)
    return [_checked(row, prompt, model, end_id, n_tokens) for row, prompt in enumerate(prompts)], n_tokens


def _checked(row: int, prompt: Sequence[int], model: Writer, end_id: int | None, n_tokens: int) -> list[int]:
    ids = [int(token) for token in prompt]
    if not ids:
        if end_id is None:
            raise InputError("expected a prompt, found an empty one and no end-of-text token to begin after: give one")
        ids = [end_id]
    if len(ids) > model.context_length:
        raise InputError(
            f"expected a prompt of at most {model.context_length} tokens, this model's context_length, "
            f"found {len(ids)} (prompt {row}): shorten it or keep its end"
        )
    unknown = [token for token in ids if not 0 <= token < n_tokens]
    if unknown:
        raise InputError(
            f"expected token ids 0 … {n_tokens - 1}, found {unknown[0]} (prompt {row}): "
            "encode with the tokenizer the model was trained with"
        )
    return ids
