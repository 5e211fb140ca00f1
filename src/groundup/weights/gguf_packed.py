"""A GGUF file as a model whose matrices stay in the bits that the file has: none is widened, none rounded anew."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.quantization.convert import QuantizedLayer
from groundup.quantization.embedding import QuantizedEmbedding, rows_of
from groundup.quantization.int4 import Int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import Int8
from groundup.quantization.int8_linear import Int8Linear
from groundup.weights.gguf import GGUFFile, TensorInfo
from groundup.weights.gguf_blocks import dequantize
from groundup.weights.gguf_config import config_of
from groundup.weights.gguf_model import in_our_order, with_texts
from groundup.weights.pretrained import Pretrained


def load_gguf_packed(path: Path) -> Pretrained:
    """Load the model in a GGUF file with its matrices of 4 and 8 bits as they are; all else becomes float32.

    The weights are those of `load_gguf`, number for number (where that finds -0, this may find 0). Q4_1 is `Int4` with
    groups of 32, Q4_0 the same with -8 · scale as its minimum, and Q8_0 is `Int8` with a scale for each 32 columns.
    Such a model draws text, and adapters learn on it; its matrices do not learn.

    Raises:
        InputError: what `load_gguf` refuses.
    """
    file = GGUFFile(path)
    config = config_of(file)
    return with_texts(file, config, lambda: _layers(file, config))


def _layers(file: GGUFFile, config: GPTConfig) -> Iterator[tuple[str, Tensor | QuantizedLayer]]:
    """Yield what `build_model` takes."""
    named = [pair for info in file.tensors.values() for pair in _in_our_order(file, info, config)]
    packed = {name.removesuffix(".weight") for name, kept in named if not isinstance(kept, Tensor)}
    biases = {name: kept for name, kept in named if name.removesuffix(".bias") in packed and isinstance(kept, Tensor)}
    for name, kept in named:
        layer = name.removesuffix(".weight")
        if isinstance(kept, Tensor):
            if name not in biases:
                yield name, kept
        elif layer == "token_embedding":
            yield layer, QuantizedEmbedding(kept)
        else:
            bias = biases.get(f"{layer}.bias")
            yield layer, Int8Linear(kept, bias) if isinstance(kept, Int8) else Int4Linear(kept, bias)


def _in_our_order(
    file: GGUFFile, info: TensorInfo, config: GPTConfig
) -> Iterator[tuple[str, Tensor | Int8 | Int4]]:  # fmt: skip
    """Yield a tensor under our name or names, its rows in our order."""
    kept = _kept(file, info)
    is_llama = file.metadata["general.architecture"] == "llama"
    if isinstance(kept, Tensor):
        yield from in_our_order(info.name, kept, config, is_llama=is_llama)
        return
    for name, rows in in_our_order(info.name, torch.arange(info.shape[0]), config, is_llama=is_llama):
        yield name, rows_of(kept, rows)


def _kept(file: GGUFFile, info: TensorInfo) -> Tensor | Int8 | Int4:
    """Return a matrix of a layer in its bits, where ours can hold them, and anything else in float32."""
    blocks = file.stored(info)
    kept: Int8 | Int4 | None = None
    if len(info.shape) == 2 and info.name.endswith(".weight") and info.name != "position_embd.weight":
        if info.block.name == "Q8_0":
            kept = Int8(_rows(blocks["q"], info), _rows(blocks["d"], info))
        elif info.block.name == "Q4_1":
            kept = Int4(_rows(blocks["q"].view(np.uint8), info), _rows(blocks["d"], info), _rows(blocks["m"], info))
        elif info.block.name == "Q4_0":
            scale = _rows(blocks["d"], info)
            if (minimum := scale * -8).isfinite().all():  # exact: a power of two
                kept = Int4(_rows(blocks["q"].view(np.uint8), info), scale, minimum)
    floats = torch.from_numpy(dequantize(blocks, info.block)).reshape(info.shape) if kept is None else kept
    file.forget(info)
    return floats


def _rows(numbers: npt.NDArray[Any], info: TensorInfo) -> Tensor:
    """Return a part of each block as rows [O, …], in memory of its own."""
    return torch.from_numpy(np.array(numbers, order="C")).view(info.shape[0], -1)
