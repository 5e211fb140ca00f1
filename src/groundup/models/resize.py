"""A model with more or fewer tokens in its vocabulary."""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from groundup.configs.checks import at_least
from groundup.errors import InputError
from groundup.models.gpt import GPT


def resize_token_embeddings(model: GPT, vocab_size: int) -> GPT:
    """Return `model` with the first `vocab_size` tokens, or with new ones behind its own.

    A new row of the token table is the mean of the old rows, and of the output projection too where it has its own:
    what `transformers`' mean_resizing gives in expectation (it adds noise around it). A token that was never trained
    is then about as likely as others, instead of drowning them (Hewitt 2021, "Initializing New Word Embeddings for
    Pretrained Language Models").

    The result shares all other parameters with `model`, which stays as it was.

    Args:
        model: any.
        vocab_size: tokens V of the result, at least 1.

    Raises:
        InputError: vocab_size below 1, or a token table in few bits.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> resize_token_embeddings(model, 12)(torch.tensor([[1, 11]])).shape
        torch.Size([1, 2, 12])
    """
    config = replace(model.config, vocab_size=vocab_size)
    at_least(config, "vocab_size", 1)
    for head in (model.token_embedding, model.output):
        if head is not None and not hasattr(head, "weight"):
            raise InputError(
                f"expected a token embedding in floating point to resize, found {type(head).__name__}: take the model "
                "that was quantized"
            )
    shared = [*model.parameters(), *model.buffers()]
    resized = copy.deepcopy(model, {id(tensor): tensor for tensor in shared})
    resized.config = config
    resized.token_embedding.weight = _resized(model.token_embedding.weight, vocab_size)
    if model.output is not None:
        output = nn.Linear(config.d_model, vocab_size, bias=False, device="meta")
        output.weight = _resized(model.output.weight, vocab_size)
        resized.output = output.train(model.training)
    return resized


def _resized(table: Tensor, n_rows: int) -> nn.Parameter:
    """Return [n_rows, D] in memory of its own."""
    rows: Tensor = table.detach()[:n_rows]  # [min(V, n_rows), D]
    mean = table.detach().mean(0, keepdim=True)  # [1, D]
    grown = torch.cat([rows, mean.expand(max(0, n_rows - len(table)), -1)])
    return nn.Parameter(grown, requires_grad=table.requires_grad)
