"""A teacher writes texts for its student to learn from, in place of those that people wrote (Kim and Rush 2016)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from groundup.configs.distillation import WrittenConfig
from groundup.configs.generation import GenerationConfig
from groundup.data.grown_arrays import Block
from groundup.generation.decode import decode
from groundup.models.gpt import GPT

IDS = "ids"
"""The one array of `written_by_teacher`: tokens [n, 1]."""
TEXTS_AT_ONCE = 64
"""Texts of a block. They are drawn together; what each becomes does not depend on the others."""


def written_by_teacher(
    teacher: GPT,
    prompts: Sequence[Sequence[int]],
    config: WrittenConfig,
    *,
    end_id: int | None,
    vocab_size: int,
    seed: int,
    first: int = 0,
) -> Iterator[Block]:
    """Yield the tokens of texts that `teacher` writes, prompts included, from block number `first` on.

    Drawn at temperature 1 the texts are samples of what the teacher believes, so a student that learns them comes as
    near to it as learning can bring it; below 1 they move towards its likeliest texts, which is what Kim and Rush 2016
    (section 3.2) take, by beam search, where a source leaves little to choose.

    Args:
        teacher: what writes.
        prompts: beginnings, taken in turn.
        config: how many texts, how long, how they are drawn.
        end_id: ends a text where the teacher draws it, and is not kept: the next prompt begins with it. None: each has
            max_tokens.
        vocab_size: ids below it are drawn.
        seed: decides what is drawn.
        first: blocks to leave out.
    """
    for block in range(first, -(-config.n_texts // TEXTS_AT_ONCE)):
        numbers = range(block * TEXTS_AT_ONCE, min((block + 1) * TEXTS_AT_ONCE, config.n_texts))
        starts = [list(prompts[number % len(prompts)]) for number in numbers]
        longest = max(map(len, starts))
        settings = GenerationConfig(
            max_new_tokens=max(1, config.max_tokens - longest),
            temperature=config.temperature,
            seed=(seed << 24) + numbers.start,  # a row's seed is this and its number: no two texts have the same
            stop_at_end=end_id is not None,
        )
        texts = [list(start) for start in starts]
        for step in decode(teacher, starts, settings, end_id=end_id, vocab_size=vocab_size):
            for one in step:
                texts[one.row].append(one.token)
        kept = [text[:-1] if len(text) > 1 and text[-1] == end_id else text for text in texts]
        yield {IDS: np.concatenate([np.array(text) for text in kept])[:, None]}


def prompts_of(
    ids: npt.NDArray[np.integer[Any]], config: WrittenConfig, *, end_id: int | None, opening: Sequence[int]
) -> list[list[int]]:
    """Return what the texts begin with: the first prompt_tokens of each document, behind its end-of-text token.

    In one long text they stand evenly spaced. Without prompt_tokens all begin with `opening`.

    Args:
        ids: the text.
        config: how many of them, and how many tokens of each.
        end_id: the token before each document. None: one text.
        opening: what a text begins with when nothing is given to begin it.

    Example:
        >>> ids = np.array([0, 5, 6, 7, 0, 8, 9])
        >>> prompts_of(ids, WrittenConfig(n_texts=2, prompt_tokens=2), end_id=0, opening=[0])
        [[0, 5, 6], [0, 8, 9]]
    """
    P = config.prompt_tokens
    if P == 0:
        return [list(opening)]
    if end_id is None:
        starts = np.linspace(0, max(0, len(ids) - P), config.n_texts, dtype=np.int64)
        return [ids[start : start + P].tolist() for start in starts]
    starts = np.flatnonzero(np.asarray(ids) == end_id)
    ends = np.append(starts[1:], len(ids))
    documents = list(zip(starts, ends, strict=True))[: config.n_texts]
    return [ids[start : min(start + 1 + P, end)].tolist() for start, end in documents]
