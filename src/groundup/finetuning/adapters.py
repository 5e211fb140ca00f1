"""Several adapters on one base: which there are, which one is in use, and the base without any."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from groundup.errors import InputError
from groundup.finetuning.lora import lora_layers


def adapter_names(model: nn.Module) -> list[str]:
    """Return the names of the adapters on `model`, the oldest first.

    Example: see `use_adapter`.
    """
    return list(dict.fromkeys(name for layer in lora_layers(model).values() for name in layer.adapters))


def use_adapter(model: nn.Module, name: str | None, *, learns: bool = True) -> None:
    """Let one adapter act from now on, and no other; None: the base alone.

    What was merged is taken out of the weights first. Nothing is copied: it costs what naming it costs.

    Args:
        model: with adapters of `apply_lora` or `load_adapter`.
        name: of one of them.
        learns: whether its parameters learn. Those of the others do not.

    Raises:
        InputError: an adapter that `model` does not have, listing those that it has.

    Example:
        >>> from groundup.configs.finetuning import LoRAConfig
        >>> from groundup.finetuning.lora import apply_lora
        >>> model = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(4, 4)])})
        >>> for name in ("french", "german"):
        ...     _ = apply_lora(model, LoRAConfig(rank=2, targets=("all",)), name)
        >>> adapter_names(model)
        ['french', 'german']
        >>> use_adapter(model, "french")
        >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad]
        ['blocks.0.adapters.french.A', 'blocks.0.adapters.french.B']
    """
    known = adapter_names(model)
    if name is not None and name not in known:
        raise InputError(f"expected one of the adapters {', '.join(known) or '(there are none)'}, found {name!r}")
    for layer in lora_layers(model).values():
        layer.use(name)
        layer.adapters.requires_grad_(False)
        if layer.adapter is not None:
            layer.adapter.requires_grad_(learns)


@contextmanager
def bare_base(model: nn.Module) -> Iterator[None]:
    """Let `model` be its base alone for a while, as a reference to compare with; who learns stays as it is.

    What was merged is taken out of the weights, and is not merged again.

    Example:
        >>> import torch
        >>> from groundup.configs.finetuning import LoRAConfig
        >>> from groundup.finetuning.lora import apply_lora
        >>> model = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(4, 4)])})
        >>> _ = apply_lora(model, LoRAConfig(rank=2, targets=("all",)))
        >>> with bare_base(model):
        ...     print(model["blocks"][0].active)
        None
        >>> model["blocks"][0].active
        'default'
    """
    layers = lora_layers(model).values()
    active = [layer.active for layer in layers]
    try:
        for layer in layers:
            layer.use(None)
        yield
    finally:
        for layer, name in zip(layers, active, strict=True):
            layer.use(name)
