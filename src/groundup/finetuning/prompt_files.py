"""Prompts and prefixes in folders of PEFT's format, both ways: `peft` reads what is written here, and is read.

Shapes: L layers, G key/value heads, P virtual tokens, D width, K head width.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.finetuning.adapter_folder import read_adapter, write_adapter
from groundup.finetuning.base import base_fingerprint, refuse_other_base
from groundup.finetuning.peft_files import OWN
from groundup.finetuning.prompt_tuning import SoftPrompt, check_room, put_before
from groundup.layers.virtual_tokens import KeysValues, LearnedPrefix
from groundup.models.gpt import GPT

_NAME = "prompt_embeddings"
"""PEFT's one tensor: of a prompt [P, D], of a prefix [P, L · 2 · G · K], in each layer the keys before the values."""
_START = "base_model."
_HEADS = (f"{_START}score.", f"{_START}{OWN}")
_KINDS = {"PROMPT_TUNING": "prompt", "PREFIX_TUNING": "prefix"}


def save_prompt(
    gpt: GPT,
    folder: Path,
    *,
    base: str,
    extra: Mapping[str, Tensor] | None = None,
    told: Mapping[str, Any] | None = None,
) -> None:
    """Write the virtual tokens of `gpt` alone, a few kilobytes: the folder is there whole or not at all.

    Args:
        gpt: with a prompt or prefix; see `apply_prompt`.
        folder: new, or empty.
        base: what the model without them is called, as `groundup generate` opens it.
        extra: tensors of a task's head, as {"score.weight": ...}, which `peft` reads, or with names of OWN.
        told: more for groundup.json.

    Raises:
        InputError: a model without virtual tokens, a folder in use, a place that cannot be written.

    Example:
        >>> import tempfile
        >>> from groundup.configs.finetuning import PromptConfig
        >>> from groundup.finetuning.prompt_tuning import apply_prompt
        >>> gpt = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=2, n_heads=2)).eval()
        >>> folder, tokens = Path(tempfile.mkdtemp()) / "prompt", torch.tensor([[1, 2, 3]])
        >>> apply_prompt(gpt, PromptConfig(n_vectors=4), kind="prefix")
        >>> save_prompt(gpt, folder, base="tiny")
        >>> before, gpt.prefix = gpt(tokens), None
        >>> load_prompt(gpt, folder)
        {}
        >>> torch.equal(gpt(tokens), before)
        True
    """
    prefix, shape = gpt.prefix, gpt.config
    if isinstance(prefix, SoftPrompt):
        special = {
            "peft_type": "PROMPT_TUNING",
            "token_dim": shape.d_model,
            "num_attention_heads": shape.n_heads,
            "prompt_tuning_init": "RANDOM",
        }
        numbers: Tensor = prefix.embeddings
    elif isinstance(prefix, LearnedPrefix):
        width = shape.kv_heads * shape.d_head
        special = {
            "peft_type": "PREFIX_TUNING",
            "token_dim": width,
            "num_attention_heads": shape.kv_heads,
            "encoder_hidden_size": width,
            "prefix_projection": False,
        }
        numbers = _to_rows(prefix)
    else:
        raise InputError("expected a model with a prompt or prefix to save, found none: tune it with one first")
    heads = {f"{_START}{name}": tensor for name, tensor in (extra or {}).items()}
    ours = {**(told or {}), "base": base, "fingerprint": base_fingerprint(gpt)}
    config = special | _shared_keys(gpt, prefix, base, extra or {})
    write_adapter(folder, config=config, tensors={_NAME: numbers, **heads}, ours=ours)


def _shared_keys(
    gpt: GPT, prefix: SoftPrompt | LearnedPrefix, base: str, extra: Mapping[str, Tensor]
) -> dict[str, Any]:
    """Return what PEFT's config says of both kinds."""
    return {
        "task_type": "SEQ_CLS" if any(name.startswith("score.") for name in extra) else "CAUSAL_LM",
        "inference_mode": True,
        "base_model_name_or_path": base,
        "num_virtual_tokens": prefix.n_vectors,
        "num_layers": gpt.config.n_layers,
        "num_transformer_submodules": 1,
    }


def load_prompt(gpt: GPT, folder: Path) -> dict[str, Tensor]:
    """Put the virtual tokens in `folder`, which `save_prompt` or `peft` wrote, before every text that `gpt` reads.

    They alone learn then, as after `apply_prompt`; `gpt.prefix = None` takes them out. Returned are the tensors of a
    task's own head, by name: {} where there is none.

    Raises:
        InputError: no such folder, a damaged file, an adapter of another kind, or one for another base: other sizes,
            other weights (told where groundup wrote it), or more vectors than the context has room for.
    """
    folder = Path(folder)
    found = read_adapter(folder)
    kind = _KINDS.get(str(found.config.get("peft_type")))
    if kind is None:
        raise InputError(
            f"expected peft_type {' or '.join(_KINDS)} in {folder}, found {found.config.get('peft_type')!r}: "
            "load it as what it is"
        )
    extra = {key.removeprefix(_START): tensor for key, tensor in found.tensors.items() if key.startswith(_HEADS)}
    if len(found.tensors) - len(extra) != 1 or _NAME not in found.tensors:
        raise InputError(
            f"expected the one tensor {_NAME} in {folder}, found {', '.join(sorted(found.tensors)) or 'none'}: "
            "save it again with peft"
        )
    rows, width = found.tensors[_NAME], _width(gpt.config, kind)
    n_vectors = found.config.get("num_virtual_tokens")
    if rows.ndim != 2 or len(rows) != n_vectors or rows.shape[1] != width:
        raise InputError(
            f"expected {n_vectors} vectors of {width} numbers in {folder}, as this model needs, "
            f"found {' x '.join(map(str, rows.shape))}: open the base that they were made for{_named(found.config)}"
        )
    check_room(gpt, len(rows))
    if fingerprint := found.ours.get("fingerprint"):
        refuse_other_base(gpt, str(fingerprint), str(found.ours.get("base")))
    rows = rows.to(gpt.token_embedding.weight)
    put_before(gpt, SoftPrompt(rows) if kind == "prompt" else LearnedPrefix(_from_rows(rows, gpt.config)))
    return extra


def _to_rows(prefix: LearnedPrefix) -> Tensor:
    both = torch.stack((prefix.keys, prefix.values), dim=1)  # [L, 2, G, P, K]
    return both.detach().permute(3, 0, 1, 2, 4).flatten(1)  # [P, L · 2 · G · K]


def _from_rows(rows: Tensor, config: GPTConfig) -> list[KeysValues]:
    both = rows.view(len(rows), config.n_layers, 2, config.kv_heads, config.d_head).permute(1, 2, 3, 0, 4)
    return [(keys[None], values[None]) for keys, values in both]  # [1, G, P, K]


def _width(config: GPTConfig, kind: str) -> int:
    return config.d_model if kind == "prompt" else config.n_layers * 2 * config.kv_heads * config.d_head


def _named(config: dict[str, Any]) -> str:
    name = config.get("base_model_name_or_path")
    return f", {name}" if name else ""
