"""Prompts of ids to the ids drawn after them, whole."""

from collections.abc import Sequence

from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError
from groundup.generation.decode import decode
from groundup.models.gpt import GPT


def generate(
    model: GPT, prompts: Sequence[Sequence[int]], config: GenerationConfig, *, end_id: int | None = None
) -> list[list[int]]:
    """Return the ids drawn after each prompt, without `end_id`, which ends a row when config.stop_at_end.

    See `decode` for everything else.

    Raises:
        InputError: as `decode`; also for stop texts, which need a tokenizer: `generate_text` has one.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> [len(ids) for ids in generate(model, [[1, 2, 3], [4]], GenerationConfig(max_new_tokens=20))]
        [20, 20]
    """
    if config.stop:
        raise InputError(f"generate draws ids and cannot find the stop texts {config.stop}; use generate_text")
    drawn: list[list[int]] = [[] for _ in prompts]
    for step in decode(model, prompts, config, end_id=end_id):
        for one in step:
            if not (config.stop_at_end and one.token == end_id):
                drawn[one.row].append(one.token)
    return drawn
