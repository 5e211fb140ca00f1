"""Pure functions that reshape a next-token distribution: logits in, new logits out, removed tokens at -inf.

Shapes: B rows, V vocabulary, S ids already in the text of a row.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from groundup.configs.generation import GenerationConfig

Processor = Callable[[Tensor, Tensor], Tensor]
"""(logits [B, V], ids [B, S]) -> logits [B, V]; ids are those of `repetition_penalty`."""


def temperature(logits: Tensor, t: float) -> Tensor:
    """Divide logits [B, V] by `t` > 0: below 1 the distribution is sharper, above 1 flatter.

    Raises:
        ValueError: when `t` is not above 0.

    Example:
        >>> temperature(torch.tensor([[1.0, 2.0]]), 0.5).tolist()
        [[2.0, 4.0]]
    """
    if t <= 0:
        raise ValueError(f"temperature must be above 0, found {t}")
    return logits / max(t, torch.finfo(logits.dtype).tiny)  # a smaller t would round to 0


def top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the `k` largest logits of each row of [B, V] (Fan et al. 2018, section 5).

    Tokens that tie with the k-th all stay; a `k` beyond the vocabulary keeps everything.

    Raises:
        ValueError: when `k` is below 1.

    Example:
        >>> top_k(torch.tensor([[1.0, 3.0, 2.0]]), 2).tolist()
        [[-inf, 3.0, 2.0]]
    """
    if k < 1:
        raise ValueError(f"top_k must be at least 1, found {k}")
    smallest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]  # [B, 1]
    return logits.masked_fill(logits < smallest_kept, -torch.inf)


def top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest most likely tokens of each row of [B, V] whose probabilities reach `p` (Holtzman et al. 2020, eq. 2).

    The most likely token always stays. Among equal logits at the edge, those of larger id stay.

    Raises:
        ValueError: when `p` is outside (0, 1].

    Example:
        >>> top_p(torch.tensor([[0.5, 0.3, 0.2]]).log(), 0.7).isfinite().tolist()  # 0.5 alone does not reach 0.7
        [[True, True, False]]
    """  # noqa: E501 - the source belongs to the first sentence
    if not 0 < p <= 1:
        raise ValueError(f"top_p must be in (0, 1], found {p}")
    ascending, order = logits.sort(dim=-1, stable=True)  # [B, V]
    # Summing from the least likely adds small numbers first, which rounds least where the cut is decided.
    tail = ascending.softmax(dim=-1).cumsum(dim=-1)  # [B, V]: this token and all less likely ones
    dropped = tail <= 1 - p
    dropped[..., -1] = False  # rounding must never remove everything
    return logits.masked_fill(dropped.gather(-1, order.argsort(dim=-1)), -torch.inf)


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
    n_tokens = logits.shape[-1]
    seen = torch.zeros(logits.shape[0], n_tokens + 1, dtype=torch.bool, device=logits.device)  # last column: padding
    seen.scatter_(-1, torch.where(ids < 0, n_tokens, ids), True)
    penalized = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(seen[:, :n_tokens], penalized, logits)


def chain(config: GenerationConfig) -> Processor:
    """Return the processors that `config` asks for as one function, in the order of `transformers`.

    Repetition penalty, then, when sampling, temperature, top-k, top-p. Greedy decoding skips the last three: they
    never change which token is the largest.

    Example:
        >>> process = chain(GenerationConfig(temperature=0.5, top_k=1))
        >>> process(torch.tensor([[1.0, 2.0]]), torch.tensor([[-1]])).softmax(-1).tolist()
        [[0.0, 1.0]]
    """
    steps: list[Processor] = []
    if config.repetition_penalty != 1:
        steps.append(lambda logits, ids: repetition_penalty(logits, ids, config.repetition_penalty))
    if config.strategy == "sample":
        if config.temperature != 1:
            # Softmax does not see the shift; without it a tiny temperature would overflow to inf.
            steps.append(lambda logits, _: temperature(logits - logits.amax(-1, keepdim=True), config.temperature))
        if (k := config.top_k) is not None:
            steps.append(lambda logits, _: top_k(logits, k))
        if (p := config.top_p) is not None and p < 1:
            steps.append(lambda logits, _: top_p(logits, p))

    def process(logits: Tensor, ids: Tensor) -> Tensor:
        for step in steps:
            logits = step(logits, ids)
        return logits

    return process
