"""From named tensors to a GPT, one tensor at a time: never two copies of the weights in memory."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT


def build_model(config: GPTConfig, tensors: Iterable[tuple[str, Tensor]], *, source: str) -> GPT:
    """Return a GPT in evaluation mode that holds `tensors`, which are taken one by one, in float32.

    The model is laid out without memory first, so its weights exist once: a tensor that is already float32 is taken as
    it is, and any other becomes float32 and may be forgotten by whoever yields it.

    Args:
        config: sizes and parts.
        tensors: every parameter under its name in `models/gpt.py`, once, in any order.
        source: where they come from, for messages.

    Raises:
        InputError: a parameter that is missing, comes twice, has another shape, or that this model does not have.

    Example:
        >>> config = GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2)
        >>> model = GPT(config).eval()
        >>> copy, tokens = build_model(config, model.state_dict().items(), source="a model"), torch.tensor([[1, 2]])
        >>> torch.equal(copy(tokens), model(tokens))
        True
    """
    with torch.device("meta"):
        model = GPT(config)
    model.build_position_tables()
    missing = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    for name, tensor in tensors:
        if name not in missing:
            raise InputError(f"expected each parameter of this model once in {source}, found {name} besides: {_HELP}")
        shape = missing.pop(name)
        if tuple(tensor.shape) != shape:
            raise InputError(f"expected {name} of shape {shape} in {source}, found {tuple(tensor.shape)}: {_HELP}")
        place, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(place), leaf, nn.Parameter(tensor.detach().float()))
        del tensor  # before the next one is made
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"expected {next(iter(missing))} in {source}, found no such tensor{more}: {_HELP}")
    return model.eval()


_HELP = "the file is damaged, or is of another kind of model than it says"
