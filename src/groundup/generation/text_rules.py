"""Rules about the text so far and about single tokens: logits and the ids already there in, new logits out.

Shapes: B rows, V vocabulary, S ids already in the text of a row, padded on the right by -1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from groundup.errors import InputError


def logit_bias(logits: Tensor, bias: Sequence[tuple[int, float]]) -> Tensor:
    """Add to logits [B, V] the numbers of `bias`, (token id, number) pairs; several for one token add up.

    Raises:
        InputError: an id that is not in the vocabulary.

    Example:
        >>> logit_bias(torch.zeros(1, 3), [(2, 1.5), (0, -4.0)]).tolist()
        [[-4.0, 0.0, 1.5]]
    """
    check_bias(bias, logits.shape[-1])
    tokens = torch.tensor([token for token, _ in bias], dtype=torch.int64, device=logits.device)  # [N]
    numbers = torch.tensor([number for _, number in bias], dtype=logits.dtype, device=logits.device)
    return logits.index_add(-1, tokens, numbers.expand(len(logits), -1))


def check_bias(bias: Sequence[tuple[int, float]], n_tokens: int) -> None:
    """Refuse a bias on ids outside 0 … `n_tokens` - 1.

    Raises:
        InputError: naming the first.
    """
    unknown = [token for token, _ in bias if not 0 <= token < n_tokens]
    if unknown:
        raise InputError(
            f"expected logit_bias for token ids 0 … {n_tokens - 1}, found {unknown[0]}: "
            "take ids from the model's own tokenizer"
        )


def repetition_penalty(logits: Tensor, ids: Tensor, penalty: float) -> Tensor:
    """Make the tokens `ids` [B, S] less likely in logits [B, V]: positive ones / penalty, negative ones * penalty.

    Each token counts once however often it occurs (Keskar et al. 2019, section 4.1). Rows hold texts of different
    lengths: an id of -1 is padding and means nothing. A penalty below 1 rewards repetition.

    Raises:
        ValueError: when `penalty` is not above 0.

    Example:
        >>> repetition_penalty(torch.tensor([[2.0, -2.0, 1.0]]), torch.tensor([[0, 1, -1]]), 2.0).tolist()
        [[1.0, -4.0, 1.0]]
    """
    if penalty <= 0:
        raise ValueError(f"repetition_penalty must be above 0, found {penalty}")
    seen = _at(ids, logits.shape[-1])
    return torch.where(seen, torch.where(logits < 0, logits * penalty, logits / penalty), logits)


def no_repeat_ngram(logits: Tensor, ids: Tensor, n: int) -> Tensor:
    """Remove from logits [B, V] each token that would end a run of `n` tokens which `ids` [B, S] already hold.

    Hence no run of `n` occurs twice in a text (Paulus et al. 2018, section 2.5). An `n` of 1 removes every token of the
    text. All runs are compared at once, B · S · n numbers.

    Raises:
        ValueError: when `n` is below 1.

    Example:
        >>> no_repeat_ngram(torch.zeros(1, 4), torch.tensor([[1, 2, 3, 1, -1]]), 2).tolist()  # after 1 came 2
        [[0.0, 0.0, -inf, 0.0]]
    """
    if n < 1:
        raise ValueError(f"no_repeat_ngram_size must be at least 1, found {n}")
    if ids.shape[-1] < n:
        return logits
    runs = ids.unfold(-1, n, 1)  # [B, S - n + 1, n]
    # A padded run ends with -1, so what it would remove is nothing.
    begins_alike = (runs[..., :-1] == _ending(ids, n - 1)[:, None]).all(dim=-1)
    return logits.masked_fill(_at(runs[..., -1].where(begins_alike, -1), logits.shape[-1]), -torch.inf)


def ban(logits: Tensor, ids: Tensor, sequences: Tensor) -> Tensor:
    """Remove from logits [B, V] each token that would complete one of `sequences` [N, L] behind `ids` [B, S].

    Sequences are padded on the left by -1. One of a single token is removed always.

    Example:
        >>> ban(torch.zeros(1, 4), torch.tensor([[0, 2]]), torch.tensor([[2, 3], [1, 3], [-1, 0]])).tolist()
        [[-inf, 0.0, 0.0, -inf]]
    """
    sequences = sequences.to(logits.device)
    beginnings, last = sequences[:, :-1], sequences[:, -1]  # [N, L - 1], [N]
    is_next = ((beginnings < 0) | (beginnings == _ending(ids, beginnings.shape[-1])[:, None])).all(dim=-1)  # [B, N]
    return logits.masked_fill(_at(last.where(is_next, -1), logits.shape[-1]), -torch.inf)


def _at(tokens: Tensor, n_tokens: int) -> Tensor:
    """Return [B, V], True at each of `tokens` [B, N] of its row; those outside the vocabulary, as -1, mark nothing."""
    found = torch.zeros(len(tokens), n_tokens + 1, dtype=torch.bool, device=tokens.device)  # last column: outside
    found.scatter_(-1, torch.where((tokens < 0) | (tokens >= n_tokens), n_tokens, tokens), True)
    return found[:, :n_tokens]


def _ending(ids: Tensor, n: int) -> Tensor:
    """Return the last `n` tokens of each row of `ids` [B, S], padding not counted: [B, n], -1 before the text began."""
    places = (ids >= 0).sum(dim=-1, keepdim=True) + torch.arange(-n, 0, device=ids.device)  # [B, n]
    if not ids.shape[-1]:
        return torch.full_like(places, -1)
    return ids.gather(-1, places.clamp(min=0)).where(places >= 0, -1)
