"""A quantized model as a folder: its bits in safetensors, what they are in quantized.json, a tokenizer, a manifest."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from groundup.configs.codec import from_dict, to_dict
from groundup.configs.model import GPTConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.quantization.convert import QuantizedLayer, quantized_layers
from groundup.quantization.stored import kind_of, layer_of
from groundup.tokenization.added import with_end_token
from groundup.tokenization.pretrained import load_tokenizer
from groundup.weights.building import build_model
from groundup.weights.json_files import read_object
from groundup.weights.manifest import damaged, verify_manifest, write_manifest
from groundup.weights.new_folder import new_folder
from groundup.weights.pretrained import Pretrained

DESCRIPTION = "quantized.json"
"""Name of the file by which such a folder is known."""
FORMAT_VERSION = 1
"""Of that file; another one is refused."""
SMALL_TABLE = 1 << 26
"""Bytes that the tables of positions may take whatever the file's size: of them the description alone decides."""


def save_quantized(
    found: Pretrained,
    folder: Path,
    config: QuantizationConfig | None = None,
    note: Mapping[str, object] | None = None,
) -> None:
    """Write `folder`: a quantized model that `load_quantized`, and so every command, opens with the same bits.

    It holds model.safetensors, tokenizer.json, quantized.json, and manifest.json with the SHA-256 of each; it is there
    whole or not at all.

    Args:
        found: the model, quantized, with what belongs to it.
        folder: new, or empty.
        config: how it was quantized. None: it came so.
        note: what else to keep, as JSON holds it: what was measured.

    Raises:
        InputError: a model that is not quantized, or with adapters or learned vectors; a folder in use, no place, a
            full disk.

    Example:
        >>> import tempfile, torch
        >>> from groundup.quantization.convert import quantize_model
        >>> from groundup.tokenization.characters import CharacterTokenizer
        >>> model = GPT(GPTConfig(vocab_size=3, context_length=8, d_model=32, n_layers=1, n_heads=2)).eval()
        >>> found = Pretrained(model=model, tokenizer=CharacterTokenizer("abc"), source="here")
        >>> folder, tokens = Path(tempfile.mkdtemp()) / "abc", torch.tensor([[0, 1, 2]])
        >>> logits = quantize_model(model, QuantizationConfig())(tokens)
        >>> save_quantized(found, folder, QuantizationConfig())
        >>> sorted(path.name for path in folder.iterdir())
        ['manifest.json', 'model.safetensors', 'quantized.json', 'tokenizer.json']
        >>> torch.equal(load_quantized(folder).model(tokens), logits)
        True
    """
    layers = _layers(found.model)
    tensors = {name: tensor.detach() for name, tensor in found.model.named_parameters()}
    tensors |= {f"{name}.{part}": kept for name, layer in layers.items() for part, kept in layer.named_buffers()}
    described = _described(found, config, layers) | {"note": dict(note or {})}
    with new_folder(folder) as beside:
        path = beside / "model.safetensors"
        save_file(_apart(tensors), path)
        path.chmod(beside.stat().st_mode & 0o666)  # safetensors makes files that only their owner can read
        found.tokenizer.save(beside / "tokenizer.json")
        (beside / DESCRIPTION).write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        write_manifest(beside)


def load_quantized(folder: Path) -> Pretrained:
    """Load what `save_quantized` wrote, after comparing every file with its checksum; no matrix becomes floats.

    Raises:
        InputError: no such folder, a damaged file, by its name, or one of another version.

    Example: see `save_quantized`.
    """
    folder = Path(folder)
    verify_manifest(folder, only=("model", "quantized", "tokenizer"))
    path = folder / DESCRIPTION
    described = read_object(path)
    if (version := described.get("format_version")) != FORMAT_VERSION:
        raise InputError(
            f"expected a quantized model of format {FORMAT_VERSION}, found {version!r} in {path}: read it with the "
            "version of groundup that wrote it"
        )
    try:
        config = from_dict(GPTConfig, described["model"])
        texts, kinds = described["texts"], dict(described["layers"])
        _refuse_large(config, kinds, folder)
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        if texts["end_token"] is not None:
            tokenizer = with_end_token(tokenizer, texts["end_token"])
        opening = [int(token) for token in texts["opening"]]
        return Pretrained(
            model=build_model(config, _parts(folder / "model.safetensors", kinds), source=str(folder)),
            tokenizer=tokenizer,
            source=str(folder),
            chat_template=texts["chat_template"],
            template_tokens=dict(texts["template_tokens"]),
            licence=texts["licence"],
            bos=tuple(int(token) for token in texts["bos"]),
            opening=lambda: list(opening),
        )
    except InputError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise damaged(path, f"no description of a model ({error})") from None


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that share no memory, as the format wants it; layers with the same inputs share their scale."""
    memories: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        found[name] = (tensor.clone() if place in memories else tensor).contiguous().cpu()
        memories.add(place)
    return found


def _described(
    found: Pretrained, config: QuantizationConfig | None, layers: Mapping[str, QuantizedLayer]
) -> dict[str, Any]:
    tokenizer, opening = found.tokenizer, []
    with suppress(InputError):  # a run whose token files are gone has no opening
        opening = list(found.opening())
    return {
        "format_version": FORMAT_VERSION,
        "source": found.source,
        "n_parameters": found.model.n_parameters(),
        "quantization": None if config is None else to_dict(config),
        "model": to_dict(found.model.config),
        "texts": {
            "end_token": next((name for name, i in tokenizer.special_tokens.items() if i == tokenizer.end_id), None),
            "bos": list(found.bos),
            "opening": opening,
            "template_tokens": dict(found.template_tokens),
            "chat_template": found.chat_template,
            "licence": found.licence,
        },
        "layers": {name: kind_of(layer) for name, layer in layers.items()},
    }


def _layers(model: GPT) -> dict[str, QuantizedLayer]:
    """Return the quantized layers of a model that can be saved."""
    layers = quantized_layers(model)
    if not layers:
        raise InputError("expected a quantized model, found one in floating point: quantize it first")
    for name, part in model.named_modules():
        if hasattr(part, "adapters"):
            raise InputError(
                f"expected a model without adapters, found one beside {name}: save the adapter alone, or merge it into "
                "the model in floating point and quantize that"
            )
    if model.prefix is not None:
        raise InputError("expected a model without learned vectors before the text, found some: save them alone")
    return layers


def _parts(path: Path, kinds: Mapping[str, Any]) -> Iterator[tuple[str, Tensor | QuantizedLayer]]:
    """Yield what `build_model` takes, one layer at a time."""
    try:
        with safe_open(path, framework="pt") as file:
            waiting: dict[str, list[str]] = {name: [] for name in kinds}
            for name in file.keys():  # noqa: SIM118 - it is no dict
                layer, _, part = name.rpartition(".")
                if layer in waiting:
                    waiting[layer].append(part)
                else:
                    yield name, file.get_tensor(name).clone()  # from the map of the file into memory of its own
            for layer, parts in waiting.items():
                tensors = {part: file.get_tensor(f"{layer}.{part}").clone() for part in parts}
                try:
                    built = layer_of(kinds[layer], tensors)
                except ValueError as error:
                    raise damaged(path, f"{layer} with {error}") from None
                yield layer, built
    except (OSError, SafetensorError) as error:
        raise damaged(path, " ".join(str(error).split())) from None


def _refuse_large(config: GPTConfig, kinds: Mapping[str, Any], folder: Path) -> None:
    """Refuse a config that asks for more than the files hold, before memory is taken for it."""
    width = {"learned": 0, "rotary": config.d_head, "sinusoidal": config.d_model}[config.position]
    held = (folder / "model.safetensors").stat().st_size
    if (needed := 4 * config.context_length * width) > max(SMALL_TABLE, held) or config.n_layers > held:
        raise InputError(
            f"expected a model of the size of its file, {held:,} bytes, in {folder}, found {config.n_layers} layers "
            f"and tables of positions of {needed:,} bytes: do not use it"
        )
