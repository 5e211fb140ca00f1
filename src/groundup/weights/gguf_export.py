"""A `GPT` of ours as a GGUF file, which llama.cpp and `load_gguf` read: weights, sizes, tokenizer and template."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.quantization.int4 import Int4
from groundup.quantization.int8 import Int8
from groundup.tokenization.gguf_export import gguf_tokenizer
from groundup.weights.gguf_blocks import BLOCKS, Array, Floats
from groundup.weights.gguf_kept import kept_blocks
from groundup.weights.gguf_keys import architecture_of, config_keys
from groundup.weights.gguf_layout import Part, neighbours, parts
from groundup.weights.gguf_quantize import quantize
from groundup.weights.gguf_write import TensorToWrite, write_gguf
from groundup.weights.pretrained import Pretrained

GGUFType = Literal["f32", "f16", "q8_0", "q4_0", "q4_1"]
"""Format of the matrices."""

_KINDS: dict[GGUFType, int] = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q8_0": 8}
_FILE_TYPES: dict[GGUFType, int] = {"f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q8_0": 7}  # llama.cpp's llama_ftype
_BLOCKS_VERSION = 2  # of the layouts in gguf_blocks


def save_gguf(found: Pretrained, path: Path, *, type: GGUFType | None = None) -> None:
    """Write `path`, a GGUF file with all that belongs to the model; it is there whole or not at all.

    Norms, biases and positions are float32. In the formats of 4 bits the token table and the output matrix are Q8_0, as
    in llama.cpp's own files. A matrix that the model keeps in 8 or 4 bits is written as it is, bit for bit, where the
    format can hold it; else it is rounded as llama.cpp's reference does.

    Args:
        found: the model, and what belongs to it.
        path: a new file.
        type: format of the matrices. None: `natural_type`.

    Raises:
        InputError: a model or a tokenizer that llama.cpp lacks, by the name of the part; learned vectors before the
            text, adapters that are not merged; rows that are no multiple of 32 for blocks, numbers that are not finite
            or too large for the format; a file in use, no place, a full disk.

    Example:
        >>> import tempfile
        >>> from groundup.configs.model import GPTConfig
        >>> from groundup.tokenization.bpe import ByteBPE
        >>> from groundup.weights.gguf_model import load_gguf
        >>> model = GPT(GPTConfig(vocab_size=258, context_length=8, d_model=32, n_layers=1, n_heads=2)).eval()
        >>> tokenizer, path = ByteBPE([(b"l", b"o")], ["<|endoftext|>"]), Path(tempfile.mkdtemp()) / "tiny.gguf"
        >>> save_gguf(Pretrained(model=model, tokenizer=tokenizer, source="tiny"), path, type="f32")
        >>> found = load_gguf(path)
        >>> found.tokenizer.encode("lo!"), torch.equal(found.model.output_weight, model.output_weight)
        ([256, 0], True)
    """
    model = found.model
    chosen = natural_type(model) if type is None else type
    _refuse_others(model)
    metadata: dict[str, Any] = {
        "general.architecture": architecture_of(model.config),
        "general.type": "model",
        "general.name": Path(found.source).name.removesuffix(".gguf"),
        "general.file_type": _FILE_TYPES[chosen],
        "general.quantization_version": _BLOCKS_VERSION,
        **({} if found.licence is None else {"general.license": found.licence.lower()}),
        **config_keys(model.config),
        **gguf_tokenizer(found.tokenizer, n_rows=model.vocab_size, spelled=found.template_tokens, bos=found.bos),
        **({} if found.chat_template is None else {"tokenizer.chat_template": found.chat_template}),
    }
    write_gguf(path, metadata, [one for part in parts(model.config) for one in _tensors(model, part, _KINDS[chosen])])


def natural_type(model: GPT) -> GGUFType:
    """Return the format that is nearest to how a model is kept: q4_1 or q8_0 if in few bits, else f16."""
    kept: list[Any] = [module.kept for module in model.modules() if _is_kept(module)]
    if any(isinstance(matrix, Int4) for matrix in kept):
        return "q4_1"
    return "q8_0" if kept else "f16"


def _refuse_others(model: GPT) -> None:
    """Refuse parameters for which the format has no place."""
    if model.prefix is not None:
        raise InputError(
            "expected a model to write, found one with learned vectors before the text, for which GGUF has no place: "
            "take the adapter folder of the run, which peft reads"
        )
    known = {f"{ours}.{kind}" for part in parts(model.config) for ours in part.ours for kind in ("weight", "bias")}
    for name, _ in model.named_parameters():
        if name not in known:
            raise InputError(f"expected the parameters of a plain GPT, found {name} besides: merge the adapter first")


def _tensors(model: GPT, part: Part, kind: int) -> Iterator[TensorToWrite]:
    """Yield the weight and the bias of a part in a file whose matrices have the format `kind`."""
    modules = {name: model.get_submodule(name) for name in part.ours}
    kind = _kind_of(part, modules[part.ours[0]], kind)
    sizes = [_shape(module) for module in modules.values()]
    n_rows, block = sum(size[0] for size in sizes), BLOCKS[kind]
    if sizes[0][-1] % block.n_numbers:
        raise InputError(
            f"expected rows of a multiple of {block.n_numbers} numbers for {block.name}, found {sizes[0][-1]} in "
            f"{part.ours[0]}: take the type f16"
        )

    def weight() -> Array:
        rows = np.concatenate([_blocks(name, module, kind) for name, module in modules.items()])
        return rows[neighbours(n_rows, part.n_heads).numpy()] if part.n_heads else rows

    def bias() -> Array:
        held = [getattr(module, "bias", None) for module in modules.values()]
        vectors = [torch.zeros(size[0]) if one is None else one for one, size in zip(held, sizes, strict=True)]
        return _finite(f"{part.ours[0]}.bias", torch.cat(vectors))

    yield TensorToWrite(f"{part.name}.weight", (n_rows, *sizes[0][1:]), kind, weight)
    if part.has_bias:
        yield TensorToWrite(f"{part.name}.bias", (n_rows,), _KINDS["f32"], bias)


def _kind_of(part: Part, module: Any, kind: int) -> int:  # noqa: ANN401 - a module of any class
    if not part.is_matrix:
        return _KINDS["f32"]
    if part.ours[0] in ("token_embedding", "output") and kind in (_KINDS["q4_0"], _KINDS["q4_1"]):
        is_held = _is_kept(module) and _exact(module, kind) is not None
        return kind if is_held else _KINDS["q8_0"]
    return kind


def _is_kept(module: nn.Module) -> bool:
    return isinstance(getattr(module, "kept", None), Int8 | Int4)


def _shape(module: Any) -> tuple[int, ...]:  # noqa: ANN401
    return (module.out_features, module.in_features) if _is_kept(module) else tuple(module.weight.shape)


def _exact(module: Any, kind: int) -> Array | None:  # noqa: ANN401
    """Return the blocks of a quantized matrix if the format can hold it as it is."""
    return None if getattr(module, "input_scale", None) is not None else kept_blocks(module.kept, kind)


def _blocks(name: str, module: Any, kind: int) -> Array:  # noqa: ANN401
    """Return the weight of a module as blocks: a row of them for each of its rows."""
    if _is_kept(module) and (exact := _exact(module, kind)) is not None:
        return exact
    numbers = _finite(name, module.dequantized() if _is_kept(module) else module.weight)
    blocks = quantize(numbers.reshape(-1), kind)
    scales = [blocks[field] for field in blocks.dtype.names if field != "q"] if blocks.dtype.names else [blocks]
    if not all(np.isfinite(scale).all() for scale in scales):
        found = f"{np.abs(numbers).max():.3g} in {name}"
        raise InputError(f"expected weights that {BLOCKS[kind].name} can hold, found {found}: take the type f32")
    return blocks.reshape(len(numbers), -1)


def _finite(name: str, weight: Tensor) -> Floats:
    numbers = weight.detach().float().cpu()
    if not torch.isfinite(numbers).all():
        raise InputError(f"expected finite weights, found NaN or infinity in {name}: load or train the model again")
    return numbers.numpy()
