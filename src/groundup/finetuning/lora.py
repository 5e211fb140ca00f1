"""LoRA on a model: low-rank adapters beside linear layers that are frozen, merged into them and taken out again."""

from collections.abc import Mapping

from torch import nn

from groundup.configs.finetuning import LoRAConfig
from groundup.errors import InputError
from groundup.finetuning.lora_linear import LoRALinear as LoRALinear
from groundup.finetuning.lora_linear import refuse_name, refuse_rank


def apply_lora(model: nn.Module, config: LoRAConfig, name: str = "default") -> list[str]:
    """Put an adapter beside each layer that `config.targets` names, freeze all other parameters of `model`, and use it.

    Draws from torch's default generator, layer by layer: seed it to get the same adapter. The names of the parameters
    change: blocks.0.attention.query.weight is then blocks.0.attention.query.linear.weight.

    Args:
        model: a GPT, or what has one.
        config: rank, targets and kind.
        name: of the adapter; another one on the same model needs another.

    Returns:
        The names of the layers.

    Raises:
        InputError: a target that names no linear layer of the blocks, a rank larger than a layer, a name that is
            taken. The model is then as it was.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.models.gpt import GPT
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> apply_lora(model, LoRAConfig(rank=2, targets=("query", "value")))
        ['blocks.0.attention.query', 'blocks.0.attention.value']
        >>> [name for name, parameter in model.named_parameters() if parameter.requires_grad][:2]
        ['blocks.0.attention.query.adapters.default.A', 'blocks.0.attention.query.adapters.default.B']
    """
    names = _targeted(model, config.targets)
    add_adapters(model, dict.fromkeys(names, config), name)
    return names


def add_adapters(model: nn.Module, configs: Mapping[str, LoRAConfig], name: str) -> None:
    """Do what `apply_lora` does, for layers that are named in full, each with a config of its own.

    Raises:
        InputError: as `apply_lora` says.
    """
    refuse_name(name, (taken for layer in lora_layers(model).values() for taken in layer.adapters))
    layers = linear_layers(model)
    for path, config in configs.items():
        refuse_rank(layers[path], config, path)
    for beside in lora_layers(model).values():
        beside.use(None)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    for path, config in configs.items():
        layer = layers[path]
        if isinstance(layer, LoRALinear):
            layer.add(config, name)
        else:
            model.set_submodule(path, LoRALinear(layer, config, name).train(layer.training))


def lora_layers(model: nn.Module) -> dict[str, LoRALinear]:
    """Return the layers of `model` that have adapters, by name."""
    return {name: module for name, module in model.named_modules() if isinstance(module, LoRALinear)}


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the linear layers inside the blocks of `model` by name, with their adapters where they have some."""
    wrapped = {id(layer.linear) for layer in lora_layers(model).values()}
    return {
        name: module
        for name, module in model.named_modules()
        if "blocks" in name.split(".") and hasattr(module, "in_features") and id(module) not in wrapped
    }


def merge(model: nn.Module) -> None:
    """Write the adapter in use into the weights, so that it costs nothing more; a copy of each weight is kept.

    Raises:
        InputError: a layer without a weight in floating point.
    """
    for layer in lora_layers(model).values():
        layer.merge()


def unmerge(model: nn.Module) -> None:
    """Take the adapter out of the weights again: the base's have the bits that they had."""
    for layer in lora_layers(model).values():
        layer.unmerge()


def merge_and_remove(model: nn.Module) -> None:
    """Write the adapter in use into the weights and leave plain layers: names and state_dict of a model without LoRA.

    Other adapters are gone, too. All parameters stay as frozen as they were.

    Raises:
        InputError: a layer without a weight in floating point.

    Example:
        >>> model = nn.ModuleDict({"blocks": nn.ModuleList([nn.Linear(4, 4)])})
        >>> _ = apply_lora(model, LoRAConfig(rank=2, targets=("all",)))
        >>> merge_and_remove(model)
        >>> list(model.state_dict())
        ['blocks.0.weight', 'blocks.0.bias']
    """
    merge(model)
    for path, layer in lora_layers(model).items():
        model.set_submodule(path, layer.linear)


def _targeted(model: nn.Module, targets: tuple[str, ...]) -> list[str]:
    names = list(linear_layers(model))
    for target in targets:
        if target != "all" and not any(_is_meant(name, target) for name in names):
            known = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in names))
            raise InputError(f"expected targets of {known}, all, or a layer's whole name, found {target!r}")
    return [name for name in names if any(target == "all" or _is_meant(name, target) for target in targets)]


def _is_meant(name: str, target: str) -> bool:
    return f".{name}".endswith(f".{target}")
