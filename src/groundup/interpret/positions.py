"""What positions mean to a model: how alike their vectors are, and how well it predicts at each of them.

Shapes: C positions of a table, D width, N texts, T positions of a text.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from groundup.evaluation.sentence_embeddings import cosine_similarity
from groundup.generation.reading import evaluation_mode
from groundup.layers.masks import causal_mask
from groundup.models.gpt import GPT


def similarity_by_distance(table: Tensor) -> Tensor:
    """Return the mean cosine between the vectors of two positions, for each distance 0 … C-1: [C, D] -> [C].

    Of a sinusoidal table all pairs at one distance are equally alike: the mean of cos(distance · frequency) over its
    frequencies. Of a learned table it is a mean, and the last distances are of few pairs.

    Example:
        >>> similarity_by_distance(torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])).tolist()
        [1.0, 0.0, 1.0]
    """
    alike = cosine_similarity(table, table)  # [C, C]
    return torch.stack([alike.diagonal(distance).mean() for distance in range(len(table))])


@torch.inference_mode()
def loss_by_position(model: GPT, rows: Tensor, *, reach: int | None = None, batch_size: int = 16) -> Tensor:
    """Return the mean cross-entropy of what follows each position, in nats: int64 [N, T + 1] -> [T].

    A model that uses what it reads predicts better, the more there is before a position; one that is asked beyond the
    lengths it has seen may predict worse. With `reach` a position sees itself and the reach - 1 before it, so no two
    that look at each other are further apart, however long the text: what remains is the effect of the position.

    Args:
        model: what predicts; its mode (train or eval) is left as it was.
        rows: texts of one length.
        reach: most positions that one sees. None: all before it.
        batch_size: texts in one forward pass; changes nothing but speed and memory.

    Raises:
        InputError: T above the model's context_length.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=5, context_length=8, d_model=4, n_layers=1, n_heads=1))
        >>> loss_by_position(model, torch.tensor([[1, 2, 3, 4], [4, 3, 2, 1]])).shape
        torch.Size([3])
    """
    T = rows.shape[1] - 1
    mask = None if reach is None else causal_mask(T, device=rows.device).triu(1 - reach)  # [T, T]
    total = rows.new_zeros(T, dtype=torch.float64)
    with evaluation_mode(model):
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            logits = model(part[:, :-1], mask=mask).float()  # [B, T, V]
            losses = F.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="none")
            total += losses.view(len(part), T).double().sum(0)
    return (total / len(rows)).float()
