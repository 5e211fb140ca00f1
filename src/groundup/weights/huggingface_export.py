"""A `GPT` of ours as a Hugging Face folder, which `transformers` and `load_huggingface` read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from groundup.engine.safetensors import save_file
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.tokenization.base import Tokenizer
from groundup.weights.families import family_of, write_config
from groundup.weights.names import from_ours, stored_tensors
from groundup.weights.new_folder import new_folder
from groundup.weights.tokenizer_files import SPELLINGS


def save_huggingface(
    model: GPT,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    chat_template: str | None = None,
    template_tokens: Mapping[str, str] | None = None,
    licence: str | None = None,
) -> None:
    """Write `folder`: a model that `AutoModelForCausalLM` and `AutoTokenizer` load, with equal logits and ids.

    It is there whole or not at all. Weights are float32; biases that GPT-2 has and our model has not are zeros.

    Args:
        model: of a family that `transformers` has, too: see `family_of`.
        tokenizer: the model's; its end_id becomes eos_token_id.
        folder: new, or empty.
        chat_template: Jinja template of conversations.
        template_tokens: spellings by bos_token, eos_token, pad_token, unk_token, as in `Pretrained`.
        licence: as its publisher names it.

    Raises:
        InputError: a model of no published family or with learned vectors, a folder in use, no place, a full disk.

    Example:
        >>> import tempfile
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> from groundup.weights.huggingface import load_huggingface
        >>> config = GPTConfig(vocab_size=3, context_length=8, d_model=16, n_layers=1, n_heads=2)
        >>> model, folder = GPT(config).eval(), Path(tempfile.mkdtemp()) / "abc"
        >>> save_huggingface(model, CharacterTokenizer("abc"), folder)
        >>> sorted(path.name for path in folder.iterdir())
        ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json', 'tokenizer_config.json']
        >>> found = load_huggingface(folder)
        >>> found.tokenizer.encode("cab"), largest_logit_difference(model, found.model)
        ([2, 0, 1], 0.0)
    """
    config = _config(model)
    spelled = _spellings(tokenizer, template_tokens or {})
    ids = {f"{name}_id": tokenizer.special_tokens.get(spelled.get(name, "")) for name in SPELLINGS[:3]}
    with new_folder(folder) as partial:
        _write_tensors(partial / "model.safetensors", model)
        _write(partial / "config.json", config | ids)
        _write(partial / "generation_config.json", {name: token for name, token in ids.items() if token is not None})
        tokenizer.save(partial / "tokenizer.json")
        _write(partial / "tokenizer_config.json", _tokenizer_config(model, spelled, chat_template))
        _write_licence(partial / "README.md", licence)


def _config(model: GPT) -> dict[str, Any]:
    if model.prefix is not None:
        raise InputError(
            "expected a model to write, found one with learned vectors before the text, for which the format has no "
            "place: take the adapter folder of the run, which peft reads"
        )
    return write_config(model.config)


def _write_licence(path: Path, licence: str | None) -> None:
    if licence is not None:
        path.write_text(f"---\nlicense: {licence.lower()}\n---\n", encoding="utf-8")


def _write_tensors(path: Path, model: GPT) -> None:
    parameters = {name: tensor.detach().float().cpu() for name, tensor in model.named_parameters()}
    family = family_of(model.config)
    stored = stored_tensors(family, model.config)
    save_file({one.name: from_ours(one, parameters).numpy() for one in stored}, path, {"format": "pt"})


def largest_logit_difference(one: GPT, other: GPT) -> float:
    """Return the largest difference between two models' logits, after tokens drawn with a fixed seed.

    Raises:
        InputError: models of different vocabularies.
    """
    vocab_size = one.config.vocab_size
    assert vocab_size is not None
    if other.config.vocab_size != vocab_size:
        raise InputError(f"expected models of one vocabulary, found {vocab_size} and {other.config.vocab_size} tokens")
    length = min(32, one.config.context_length, other.config.context_length)
    tokens = torch.randint(vocab_size, (2, length), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return float((one(tokens) - other(tokens)).abs().max())


def _spellings(tokenizer: Tokenizer, given: Mapping[str, str]) -> dict[str, str]:
    """Return the spellings to write: those given, and the tokenizer's own end of text."""
    end = next((name for name, token in tokenizer.special_tokens.items() if token == tokenizer.end_id), None)
    return {name: given[name] for name in SPELLINGS if name in given} | ({} if end is None else {"eos_token": end})


def _tokenizer_config(model: GPT, spelled: Mapping[str, str], chat_template: str | None) -> dict[str, Any]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.config.context_length,
        "clean_up_tokenization_spaces": False,
        **spelled,
        **({} if chat_template is None else {"chat_template": chat_template}),
    }


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
