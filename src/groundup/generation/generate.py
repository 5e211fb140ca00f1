"""Prompts of ids to the ids drawn after them, whole."""

from collections.abc import Sequence

from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError
from groundup.generation.beam_search import beam_search
from groundup.generation.decode import decode
from groundup.models.writer import Writer


def generate(
    model: Writer, prompts: Sequence[Sequence[int]], config: GenerationConfig, *, end_id: int | None = None
) -> list[list[int]]:
    """Return the ids drawn after each prompt, without `end_id`, which ends a row when config.stop_at_end.

    With strategy="beam" they are those of the best hypothesis. See `decode` and `beam_search` for everything else.

    Raises:
        InputError: as `decode`; also for stop and banned texts, which need a tokenizer: `generate_text` has one.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> [len(ids) for ids in generate(model, [[1, 2, 3], [4]], GenerationConfig(max_new_tokens=20))]
        [20, 20]
    """
    if config.stop:
        raise InputError(f"generate draws ids and cannot find the stop texts {config.stop}; use generate_text")
    if config.banned:
        raise InputError(f"generate draws ids and cannot find the banned texts {config.banned}; use generate_text")
    drawn: list[list[int]] = [[] for _ in prompts]
    if config.strategy == "beam":
        drawn = [found[0].tokens for found in beam_search(model, prompts, config, end_id=end_id)]
    else:
        for step in decode(model, prompts, config, end_id=end_id):
            for one in step:
                drawn[one.row].append(one.token)
    is_end = {end_id} if config.stop_at_end else set()
    return [ids[:-1] if ids and ids[-1] in is_end else ids for ids in drawn]
