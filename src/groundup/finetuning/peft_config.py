"""PEFT's adapter_config.json for a LoRA adapter: what it says of one of ours, and what one of theirs says to us."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from groundup.configs.codec import from_dict
from groundup.configs.finetuning import LoRAConfig
from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.finetuning.adapter_folder import AdapterFolder
from groundup.weights.peft_names import Factors, patterns, short_names

_HARMLESS = {
    "alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "exclude_modules", "fan_in_fan_out",
    "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout",
    "megatron_core", "modules_to_save", "peft_type", "peft_version", "qalora_group_size", "r", "rank_pattern",
    "revision", "runtime_config", "target_modules", "task_type", "use_dora", "use_rslora",
}  # fmt: skip
"""Fields of adapter_config.json that are read, or change nothing where a model is whole and the tensors are there."""
_CHANGES_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin, by init_lora_weights, after which the base is not the published one any more."""


def write_config(
    gpt: GPTConfig, theirs: Mapping[str, Factors], config: LoRAConfig, *, base: str, heads: Iterable[str] = ()
) -> dict[str, Any]:
    """Return what adapter_config.json is to say.

    Args:
        gpt: of the base.
        theirs: the adapters, by PEFT's names of the layers.
        config: their kind.
        base: what the base is called.
        heads: names of a task's own tensors.
    """
    whole = sorted({name.partition(".")[0] for name in heads})
    rank, ranks = patterns({module: one.rank for module, one in theirs.items()}, gpt)
    alpha, alphas = patterns({module: one.alpha for module, one in theirs.items()}, gpt)
    # A model of no published family is to PEFT a module like any other.
    task = None if next(iter(theirs)).startswith("blocks.") else "SEQ_CLS" if whole else "CAUSAL_LM"
    return {
        "peft_type": "LORA",
        "task_type": task,
        "base_model_name_or_path": base,
        "inference_mode": True,
        "r": rank,
        "rank_pattern": ranks,
        "lora_alpha": alpha,
        "alpha_pattern": alphas,
        "lora_dropout": config.dropout,
        "use_rslora": config.rank_stabilized,
        "use_dora": config.dora,
        "target_modules": short_names(theirs, gpt),
        "modules_to_save": whole or None,
        "fan_in_fan_out": next(iter(theirs)).startswith("transformer."),
        "bias": "none",
        "init_lora_weights": True,
    }


def read_config(found: AdapterFolder, *, source: Path) -> LoRAConfig:
    """Return the kind of adapter that the files describe.

    Args:
        found: what was read.
        source: the path of adapter_config.json, for messages.

    Raises:
        InputError: one that is not supported here.
    """
    document = found.config
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


def of_module(document: Mapping[str, Any], field: str, default: str, module: str) -> float:
    """Return what one layer has: that of a pattern, a regular expression over the end of its name, or what all have.

    Raises:
        InputError: patterns that are none.

    Example:
        >>> of_module({"r": 8, "rank_pattern": {"c_attn": 24}}, "rank_pattern", "r", "transformer.h.0.attn.c_attn")
        24.0
    """
    value = document.get(default, 8)
    try:
        for pattern, own in (document.get(field) or {}).items():
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                value = own
                break
        return float(value)
    except (re.error, AttributeError, TypeError, ValueError):
        raise InputError(f"expected {field} from names to numbers, found {document.get(field)!r:.80}") from None
