"""A LoRA adapter alone on disk, in PEFT's format: `peft` loads what we save, and we load what `peft` saves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from groundup.configs.codec import from_dict, to_dict
from groundup.configs.finetuning import LoRAConfig
from groundup.errors import InputError
from groundup.finetuning.adapter_folder import AdapterFolder, read_adapter, write_adapter
from groundup.finetuning.adapters import adapter_names
from groundup.finetuning.base import base_fingerprint as base_fingerprint
from groundup.finetuning.base import refuse_other_base
from groundup.finetuning.lora import add_adapters, linear_layers, lora_layers
from groundup.finetuning.lora_linear import LoRALinear, LowRank, row_lengths, sizes_of, weight_of
from groundup.models.gpt import GPT
from groundup.weights.peft_names import Factors, from_peft, patterns, peft_module, short_names, to_peft

_START = "base_model.model."
_TENSOR = re.compile(r"(.+)\.(lora_A|lora_B|lora_magnitude_vector)(\.weight)?")
_HARMLESS = {
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "exclude_modules", "fan_in_fan_out",
    "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout",
    "megatron_core", "modules_to_save", "peft_type", "peft_version", "qalora_group_size", "r", "rank_pattern",
    "revision", "runtime_config", "target_modules", "task_type", "use_dora", "use_rslora",
}  # fmt: skip
"""Fields of adapter_config.json that are read, or change nothing where a model is whole and the tensors are there."""
_CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin, by init_lora_weights, after which the base is not the published one any more."""


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
    model: GPT, folder: Path, *, base: str, name: str = "default", extra: Mapping[str, Tensor] | None = None
) -> None:
    """Write one adapter of `model`, without the model, to `folder`, which is there whole or not at all.

    `peft` loads it on the published model of the same family with the same update of every weight. groundup.json beside
    it holds the base's fingerprint, and what PEFT has no field for.

    Args:
        model: with adapters of `apply_lora`; merged or not.
        folder: new, or empty.
        base: what the base is called where it can be opened again; a hub's id lets `peft` find it alone.
        name: which adapter.
        extra: tensors of a task's head, as {"score.weight": ...}: PEFT's modules_to_save.

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
    layers = {path: layer for path, layer in lora_layers(model).items() if name in layer.adapters}
    if not layers:
        known = ", ".join(adapter_names(model)) or "(there are none)"
        raise InputError(f"expected one of the adapters {known} to save, found {name!r}")
    ours: dict[str, Factors] = {}
    for path, layer in layers.items():
        one = layer.adapters[name]
        assert isinstance(one, LowRank)
        ours[path] = Factors(A=one.A.detach(), B=one.B.detach(), alpha=one.config.alpha, magnitude=_detached(one))
        config = one.config
    linear = linear_layers(model)
    theirs = to_peft(
        ours,
        model.config,
        rank_stabilized=config.rank_stabilized,
        lengths=lambda path: _base_lengths(linear[path]),
    )
    tensors = {f"{_START}{key}": tensor for key, tensor in (extra or {}).items()}
    for module, factors in theirs.items():
        tensors[f"{_START}{module}.lora_A.weight"] = factors.A
        tensors[f"{_START}{module}.lora_B.weight"] = factors.B
        if factors.magnitude is not None:
            tensors[f"{_START}{module}.lora_magnitude_vector"] = factors.magnitude
    write_adapter(
        folder,
        config=_written(model, theirs, config, base=base, extra=extra or {}),
        tensors=tensors,
        ours={"base": base, "fingerprint": base_fingerprint(model), "lora": to_dict(config)},
    )


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
    config = _read(found, Path(folder))
    factors, extra = _sorted_out(found, model, Path(folder))
    if fingerprint := found.ours.get("fingerprint"):
        refuse_other_base(model, str(fingerprint), str(found.ours.get("base", "")))
    _refuse_shapes(model, factors, config)
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


def _written(
    model: GPT, theirs: Mapping[str, Factors], config: LoRAConfig, *, base: str, extra: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Return what adapter_config.json is to say."""
    rank, ranks = patterns({module: one.rank for module, one in theirs.items()}, model.config)
    alpha, alphas = patterns({module: one.alpha for module, one in theirs.items()}, model.config)
    return {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS" if extra else "CAUSAL_LM",
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": rank,
        "rank_pattern": ranks,
        "lora_alpha": alpha,
        "alpha_pattern": alphas,
        "lora_dropout": config.dropout,
        "use_rslora": config.rank_stabilized,
        "use_dora": config.dora,
        "target_modules": short_names(theirs, model.config),
        "modules_to_save": sorted({key.partition(".")[0] for key in extra}) or None,
        "fan_in_fan_out": next(iter(theirs)).startswith("transformer."),
        "bias": "none",
        "init_lora_weights": True,
    }


def _read(found: AdapterFolder, folder: Path) -> LoRAConfig:
    """Return the kind of adapter that the files describe.

    Raises:
        InputError: one that is not supported here.
    """
    document, source = found.config, folder / "adapter_config.json"
    wanted = {"peft_type": "LORA", "bias": "none"}
    strange = {key: document.get(key, value) for key, value in wanted.items() if document.get(key, value) != value}
    strange |= {key: value for key, value in document.items() if key not in _HARMLESS and value}
    begun = document.get("init_lora_weights")
    if isinstance(begun, str) and begun.startswith(_CHANGES_THE_BASE):
        strange["init_lora_weights"] = begun
    if strange:
        key, value = next(iter(strange.items()))
        raise InputError(f"expected a plain LoRA adapter in {source}, found {key}={str(value)[:60]!r}, not supported")
    told = found.ours.get("lora") if isinstance(found.ours.get("lora"), dict) else {}
    fields = {
        "rank": document.get("r", 8),
        "alpha": document.get("lora_alpha", 8),
        "dropout": document.get("lora_dropout", 0.0),
        "rank_stabilized": document.get("use_rslora", False),
        "dora": document.get("use_dora", False),
    }
    try:
        return from_dict(LoRAConfig, {**(told or {}), **fields})
    except InputError as error:
        raise InputError(f"{error} (in {source})") from None


def _sorted_out(found: AdapterFolder, model: GPT, folder: Path) -> tuple[dict[str, Factors], dict[str, Tensor]]:
    """Return the adapters of our layers by name, and the other tensors by name.

    Raises:
        InputError: tensors that belong to nothing, or half an adapter.
    """
    extra: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    heads = tuple(f"{head}." for head in found.config.get("modules_to_save") or ())
    for key, tensor in found.tensors.items():
        plain = key.removeprefix(_START)
        if matched := _TENSOR.fullmatch(plain):
            parts.setdefault(peft_module(matched[1], model.config), {})[matched[2]] = tensor
        elif heads and plain.startswith(heads):
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
        rank = _pattern(found.config, "rank_pattern", "r", module)
        if A.ndim != 2 or B.ndim != 2 or not len(A) == B.shape[1] == rank:
            shapes = f"{tuple(A.shape)} and {tuple(B.shape)}"
            raise InputError(f"expected A and B of rank {rank} for {module} in {folder}, found shapes {shapes}")
        theirs[module] = Factors(
            A=A, B=B, alpha=_pattern(found.config, "alpha_pattern", "lora_alpha", module), magnitude=magnitude
        )
    if not theirs:
        raise InputError(f"expected a LoRA adapter in {folder}, found no layer's: save it again")
    return from_peft(theirs, model.config), extra


def _pattern(document: Mapping[str, Any], field: str, default: str, module: str) -> float:
    """Return what one layer has: that of a pattern, a regular expression over the end of its name, or what all have."""
    value = document.get(default, 8)
    try:
        for pattern, own in (document.get(field) or {}).items():
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                value = own
                break
        return float(value)
    except (re.error, AttributeError, TypeError, ValueError):
        raise InputError(f"expected {field} from names to numbers, found {document.get(field)!r:.80}") from None


def _refuse_shapes(model: GPT, factors: Mapping[str, Factors], config: LoRAConfig) -> None:
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
