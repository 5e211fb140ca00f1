"""A LoRA adapter alone on disk, in PEFT's format: `peft` loads what we save, and we load what `peft` saves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from groundup.configs.codec import to_dict
from groundup.configs.finetuning import LoRAConfig
from groundup.errors import InputError
from groundup.finetuning.adapter_folder import CONFIG, OURS, AdapterFolder, read_adapter, write_adapter
from groundup.finetuning.adapters import adapter_names
from groundup.finetuning.base import base_fingerprint as base_fingerprint
from groundup.finetuning.base import refuse_other_base
from groundup.finetuning.lora import add_adapters, linear_layers, lora_layers
from groundup.finetuning.lora_linear import LoRALinear, LowRank, row_lengths, sizes_of, weight_of
from groundup.finetuning.peft_config import of_module, read_config, write_config
from groundup.models.gpt import GPT
from groundup.weights.peft_names import (
    Factors,
    from_peft,
    peft_module,
    peft_modules,
    take_apart,
    to_peft,
)

OWN = "groundup_head."
"""Begins the names of a head's tensors that no classifier of transformers has: only groundup reads them."""
_START = "base_model.model."
_TENSOR = re.compile(r"(.+)\.(lora_A|lora_B|lora_magnitude_vector)(\.weight)?")


@dataclass(frozen=True, kw_only=True)
class LoadedAdapter:
    """What `load_adapter` put on a model."""

    layers: list[str]
    """Names of the layers that have it."""
    config: LoRAConfig
    """Its kind; rank and alpha are those of its first layer."""
    base: str
    """What it says that it was made for; "" if it does not say."""
    extra: dict[str, Tensor]
    """Tensors of a task's own head, by name."""


def save_adapter(
    model: GPT,
    folder: Path,
    *,
    base: str,
    name: str = "default",
    extra: Mapping[str, Tensor] | None = None,
    told: Mapping[str, Any] | None = None,
) -> None:
    """Write one adapter of `model`, without the model, to `folder`, which is there whole or not at all.

    `peft` loads it on the published model of the same family with the same update of every weight. groundup.json beside
    it holds the base's fingerprint, and what PEFT has no field for.

    Args:
        model: with adapters of `apply_lora`; merged or not.
        folder: new, or empty.
        base: what the base is called where it can be opened again; a hub's id lets `peft` find it alone.
        name: which adapter.
        extra: tensors of a task's head, as {"score.weight": ...}: PEFT's modules_to_save, but for names of OWN.
        told: more for groundup.json.

    Raises:
        InputError: an adapter that is not there, a folder in use, a place that cannot be written, a full disk.

    Example:
        >>> import tempfile
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.finetuning.lora import apply_lora
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2))
        >>> _ = apply_lora(model, LoRAConfig(rank=2))
        >>> folder = Path(tempfile.mkdtemp()) / "adapter"
        >>> save_adapter(model, folder, base="mine")
        >>> sorted(path.name for path in folder.iterdir())
        ['adapter_config.json', 'adapter_model.safetensors', 'groundup.json']
        >>> len(load_adapter(model, folder, name="again").layers)
        4
    """
    ours, config = _factors(model, name)
    linear, stabilized = linear_layers(model), config.rank_stabilized
    theirs = to_peft(ours, model.config, rank_stabilized=stabilized, lengths=lambda path: _base_lengths(linear[path]))
    heads = [name for name in extra or () if not name.startswith(OWN)]
    tensors = {f"{_START}{key}": tensor for key, tensor in (extra or {}).items()}
    for module, factors in theirs.items():
        tensors[f"{_START}{module}.lora_A.weight"] = factors.A
        tensors[f"{_START}{module}.lora_B.weight"] = factors.B
        if factors.magnitude is not None:
            tensors[f"{_START}{module}.lora_magnitude_vector"] = factors.magnitude
    write_adapter(
        folder,
        config=write_config(model.config, theirs, config, base=base, heads=heads),
        tensors=tensors,
        ours={
            **(told or {}),
            "base": base,
            "fingerprint": base_fingerprint(model),
            "lora": to_dict(config),
            "stacked": _stacked(model, ours, theirs),
        },
    )


def _factors(model: GPT, name: str) -> tuple[dict[str, Factors], LoRAConfig]:
    """Return what an adapter holds for each layer, and its config."""
    ones = {path: layer.adapters[name] for path, layer in lora_layers(model).items() if name in layer.adapters}
    if not ones:
        known = ", ".join(adapter_names(model)) or "(there are none)"
        raise InputError(f"expected one of the adapters {known} to save, found {name!r}")
    found: dict[str, Factors] = {}
    for path, one in ones.items():
        assert isinstance(one, LowRank)
        found[path] = Factors(A=one.A.detach(), B=one.B.detach(), alpha=one.config.alpha, magnitude=_detached(one))
        config = one.config
    return found, config


def load_adapter(model: GPT, folder: Path, *, name: str = "default") -> LoadedAdapter:
    """Put an adapter that `save_adapter` or `peft` saved on `model`, and use it; all else is frozen.

    What `peft` saved with a rank or an alpha of its own for some layers keeps them.

    Args:
        model: the base; adapters of other names stay on it.
        folder: with adapter_config.json and adapter_model.safetensors.
        name: what the adapter is to be called here.

    Raises:
        InputError: no adapter there, one for another base (by its shapes; by the fingerprint if groundup wrote it), or
            of a kind that is not supported, by its name in the file. The model is then as it was.

    Example: see `save_adapter`.
    """
    found = read_adapter(folder)
    config = read_config(found, source=Path(folder) / CONFIG)
    factors, extra = _sorted_out(found, model, Path(folder))
    if fingerprint := found.ours.get("fingerprint"):
        refuse_other_base(model, str(fingerprint), str(found.ours.get("base", "")))
    _refuse_shapes(model, factors)
    if "lora" not in found.ours:
        config = replace(config, targets=tuple(factors))
    configs = {path: replace(config, rank=one.rank, alpha=one.alpha) for path, one in factors.items()}
    add_adapters(model, configs, name)
    layers = lora_layers(model)
    with torch.no_grad():
        for path, one in factors.items():
            adapter = layers[path].adapters[name]
            assert isinstance(adapter, LowRank)
            adapter.A.copy_(one.A)
            adapter.B.copy_(one.B)
            if adapter.magnitude is not None and one.magnitude is not None:
                adapter.magnitude.copy_(one.magnitude)
    base = found.ours.get("base") or found.config.get("base_model_name_or_path") or ""
    first = next(iter(configs.values()))
    return LoadedAdapter(layers=list(factors), config=first, base=str(base), extra=extra)


def _stacked(model: GPT, ours: Mapping[str, Factors], theirs: Mapping[str, Factors]) -> dict[str, Any]:
    """Return which of our layers' adapters became one of theirs of another rank, and the alpha that they had."""
    found = {}
    for module, names in peft_modules(model.config).items():
        parts = [name for name in names if name in ours]
        if parts and (len(parts) < len(names) or ours[parts[0]].rank < theirs[module].rank):
            found[module] = {"layers": parts, "alpha": ours[parts[0]].alpha}
    return found


def _ours(theirs: Mapping[str, Factors], model: GPT, stacked: object) -> dict[str, Factors]:
    """Return our layers' adapters for those of the published model, taken apart where `save_adapter` stacked them."""
    modules, found, rest = peft_modules(model.config), dict[str, Factors](), dict(theirs)
    for module, told in stacked.items() if isinstance(stacked, dict) else ():
        if module not in rest or module not in modules:
            continue
        try:
            parts = take_apart(rest[module], modules[module], list(told["layers"]), float(told["alpha"]))
        except (KeyError, TypeError, ValueError):
            raise InputError(f"expected layers and alpha of {module} in {OURS}, found {told!r:.80}") from None
        if parts is not None:
            found |= parts
            del rest[module]
    return found | from_peft(rest, model.config)


def _sorted_out(found: AdapterFolder, model: GPT, folder: Path) -> tuple[dict[str, Factors], dict[str, Tensor]]:
    """Return the adapters of our layers by name, and the other tensors by name.

    Raises:
        InputError: tensors that belong to nothing, or half an adapter.
    """
    extra: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    heads = (OWN, *(f"{head}." for head in found.config.get("modules_to_save") or ()))
    for key, tensor in found.tensors.items():
        plain = key.removeprefix(_START)
        if matched := _TENSOR.fullmatch(plain):
            parts.setdefault(peft_module(matched[1], model.config), {})[matched[2]] = tensor
        elif plain.startswith(heads):
            extra[plain] = tensor
        else:
            raise InputError(f"expected nothing but a LoRA adapter in {folder}, found {key}: not supported")
    needed = {"lora_A", "lora_B"} | ({"lora_magnitude_vector"} if found.config.get("use_dora") else set())
    theirs: dict[str, Factors] = {}
    for module, tensors in parts.items():
        if tensors.keys() != needed:
            has = ", ".join(sorted(tensors))
            raise InputError(
                f"expected {', '.join(sorted(needed))} of {module} in {folder}, found {has}: copy it again"
            )
        A, B, magnitude = tensors["lora_A"], tensors["lora_B"], tensors.get("lora_magnitude_vector")
        rank = of_module(found.config, "rank_pattern", "r", module)
        if A.ndim != 2 or B.ndim != 2 or not len(A) == B.shape[1] == rank:
            shapes = f"{tuple(A.shape)} and {tuple(B.shape)}"
            raise InputError(f"expected A and B of rank {rank:g} for {module} in {folder}, found shapes {shapes}")
        theirs[module] = Factors(
            A=A, B=B, alpha=of_module(found.config, "alpha_pattern", "lora_alpha", module), magnitude=magnitude
        )
    if not theirs:
        raise InputError(f"expected a LoRA adapter in {folder}, found no layer's: save it again")
    return _ours(theirs, model, found.ours.get("stacked")), extra


def _refuse_shapes(model: GPT, factors: Mapping[str, Factors]) -> None:
    layers = linear_layers(model)
    for path, one in factors.items():
        n_in, n_out = sizes_of(layers[path])
        needed = ((one.rank, n_in), (n_out, one.rank))
        found = (tuple(one.A.shape), tuple(one.B.shape))
        if found != needed or (one.magnitude is not None and len(one.magnitude) != n_out):
            raise InputError(
                f"expected A {needed[0]} and B {needed[1]} for {path}, found {found[0]} and {found[1]}: "
                "this adapter was made for another model"
            )


def _base_lengths(layer: nn.Module) -> Tensor:
    return row_lengths(layer.base_weight if isinstance(layer, LoRALinear) else weight_of(layer))


def _detached(adapter: LowRank) -> Tensor | None:
    return None if adapter.magnitude is None else adapter.magnitude.detach()
