"""The processors that a config asks for, as one function: pure, logits in, new logits out, removed tokens at -inf.

Shapes: B rows, V vocabulary, S ids already in the text of a row.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from groundup.configs.generation import GenerationConfig
from groundup.errors import InputError
from groundup.generation.filters import min_p, temperature, top_k, top_p, typical_p
from groundup.generation.text_rules import ban, check_bias, logit_bias, no_repeat_ngram, repetition_penalty

Processor = Callable[[Tensor, Tensor], Tensor]
"""(logits [B, V], ids [B, S]) -> logits [B, V]; ids of shorter texts are padded on the right by -1."""


def chain(config: GenerationConfig, banned: Sequence[Sequence[int]] = (), *, n_tokens: int | None = None) -> Processor:
    """Return the processors that `config` asks for as one function, in the order of `transformers`.

    Rules first: bias, repetition penalty, no repeated n-gram, banned sequences. Then, when sampling, the filters:
    temperature, top-k, top-p, min-p, typical. Greedy decoding and beams skip these.

    Args:
        config: its `banned` texts are not read: only a tokenizer can tell their ids.
        banned: ids of what is never written; see `groundup.generation.banned.banned_sequences`.
        n_tokens: how many ids there are, to refuse a bias on others at once. None: the first logits tell.

    Raises:
        InputError: a bias on an id that there is not. The function raises it too, and where the rules remove every
            token of a row.

    Example:
        >>> process = chain(GenerationConfig(temperature=0.5, top_k=1), [[1]])
        >>> process(torch.tensor([[1.0, 2.0]]), torch.tensor([[-1]])).softmax(-1).tolist()
        [[1.0, 0.0]]
    """
    if n_tokens is not None:
        check_bias(config.logit_bias, n_tokens)
    steps = _rules(config, banned)
    if config.strategy == "sample":
        steps += _filters(config)

    def process(logits: Tensor, ids: Tensor) -> Tensor:
        for step in steps:
            logits = step(logits, ids)
        return logits

    return process


def _rules(config: GenerationConfig, banned: Sequence[Sequence[int]]) -> list[Processor]:
    steps: list[Processor] = []
    if config.logit_bias:
        steps.append(lambda logits, _: logit_bias(logits, config.logit_bias))
    if config.repetition_penalty != 1:
        steps.append(lambda logits, ids: repetition_penalty(logits, ids, config.repetition_penalty))
    if (n := config.no_repeat_ngram_size) is not None:
        steps.append(lambda logits, ids: no_repeat_ngram(logits, ids, n))
    if banned:
        rows = [torch.tensor(list(sequence)) for sequence in banned]
        padded = pad_sequence(rows, batch_first=True, padding_value=-1, padding_side="left")  # [N, L]
        steps.append(lambda logits, ids: ban(logits, ids, padded))
    if config.no_repeat_ngram_size is not None or banned:
        steps.append(lambda logits, _: _with_something_left(logits))
    return steps


def _filters(config: GenerationConfig) -> list[Processor]:
    steps: list[Processor] = []
    if config.temperature != 1:
        # Softmax does not see the shift; without it a tiny temperature would overflow to inf.
        steps.append(lambda logits, _: temperature(logits - logits.amax(-1, keepdim=True), config.temperature))
    if (k := config.top_k) is not None:
        steps.append(lambda logits, _: top_k(logits, k))
    if (p := config.top_p) is not None and p < 1:
        steps.append(lambda logits, _: top_p(logits, p))
    if (least := config.min_p) is not None:
        steps.append(lambda logits, _: min_p(logits, least))
    if (mass := config.typical_p) is not None and mass < 1:
        steps.append(lambda logits, _: typical_p(logits, mass))
    return steps


def _with_something_left(logits: Tensor) -> Tensor:
    if (logits.amax(dim=-1) == -torch.inf).any():  # its softmax would be NaN
        raise InputError(
            "expected a token that may come next, found that no_repeat_ngram_size and banned texts remove all "
            f"{logits.shape[-1]}: use a larger no_repeat_ngram_size, ban less, or draw fewer tokens"
        )
    return logits
