"""A teacher reads a text: what it gives each next token, block by block, for `data.teacher_logits` to keep.

Shapes: B windows, T tokens of a window, M tokens scored in a block, K kept entries.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from groundup.data.grown_arrays import Block
from groundup.data.teacher_logits import IDS, LOGPROBS, TeacherLogitsKey
from groundup.evaluation.perplexity import windows
from groundup.layers.masks import document_mask
from groundup.layers.soft_cross_entropy import SoftTargets, keep_largest
from groundup.models.gpt import GPT

LOGITS_AT_ONCE = 1 << 23
"""Numbers that a block may hold as logits: 32 MB in float32. It decides which windows are multiplied together, so what
is kept may differ in its last bit where it is another number."""


def read_by_teacher(
    teacher: GPT, ids: npt.NDArray[np.integer[Any]], key: TeacherLogitsKey, *, first: int = 0
) -> Iterator[Block]:
    """Yield what `teacher` gives the tokens after those of `ids`, in order, from block number `first` on.

    Each token is predicted from at least half a context of past, or all there is: see `evaluation.perplexity.windows`.

    Args:
        teacher: in evaluation mode, on any device.
        ids: the text [N].
        key: what is kept of it, and how the text is read.
        first: blocks to leave out.
    """
    size = max(1, LOGITS_AT_ONCE // (key.context_length * teacher.vocab_size))
    rows = windows(np.asarray(ids), key.n_tokens - 1, key.context_length, size)
    for tokens, n_scored in itertools.islice(rows, first, None):
        said = read_rows(teacher, tokens[:, :-1], key, n_scored=n_scored)
        yield {IDS: said.ids.cpu().numpy(), LOGPROBS: said.logprobs.cpu().numpy()}


@torch.no_grad()
def read_rows(teacher: GPT, inputs: Tensor, key: TeacherLogitsKey, *, n_scored: int | None = None) -> SoftTargets:
    """Return what `teacher` gives the tokens after the last `n_scored` of each row of `inputs` [B, T], in float32.

    Ids beyond the vocabulary of the text, with which some models are padded, are left out.
    """
    inputs = inputs.to(teacher.device)
    mask = None if key.end_id is None else document_mask(inputs, key.end_id)
    n_scored = inputs.shape[1] if n_scored is None else n_scored
    hidden = teacher.hidden_states(inputs, mask=mask)[:, -n_scored:].flatten(0, 1)  # [M, D]
    logits = teacher.project(hidden)[:, : key.vocab_size]  # [M, V]
    return keep_largest(logits, key.top_k, temperature=key.temperature)
