"""A quantized layer as named tensors, and back: every number format and shape is looked at, for a file may lie.

Shapes: O rows, I columns, G groups of a row.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4 import BLOCK, Int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import Int8, StaticRange
from groundup.quantization.int8_linear import Int8Linear

Kind = Literal["embedding", "linear", "dynamic"]
"""A token embedding; a linear layer; one whose inputs are rounded, too, by the range of each row."""


def kind_of(layer: QuantizedEmbedding | Int8Linear | Int4Linear) -> Kind:
    """Return what the tensors of a layer do not say of it."""
    if isinstance(layer, QuantizedEmbedding):
        return "embedding"
    return "dynamic" if isinstance(layer, Int8Linear) and layer.is_dynamic else "linear"


def layer_of(kind: Kind, tensors: Mapping[str, Tensor]) -> QuantizedEmbedding | Int8Linear | Int4Linear:
    """Return the layer whose buffers are `tensors`.

    Raises:
        ValueError: tensors that are missing, are too many, or do not fit together.

    Example:
        >>> from groundup.quantization.int8 import quantize_int8
        >>> layer = Int8Linear(quantize_int8(torch.eye(2)), torch.ones(2), activations="dynamic")
        >>> layer_of(kind_of(layer), dict(layer.named_buffers()))(torch.zeros(1, 2)).tolist()
        [[1.0, 1.0]]
    """
    given = dict(tensors)
    kept = _int4(given) if "packed" in given else _int8(given)
    n_rows, n_columns = kept.shape
    if kind == "embedding":
        _refuse_others(given)
        return QuantizedEmbedding(kept)
    bias = _optional(given, "bias", torch.float32, [n_rows])
    if isinstance(kept, Int4):
        input_scale = _optional(given, "input_scale", torch.float32, [n_columns])
        _refuse_others(given)
        return Int4Linear(kept, bias, input_scale=input_scale)
    scale = _optional(given, "activation_scale", torch.float32, [])
    zero = _optional(given, "activation_zero", torch.int8, [])
    _refuse_others(given)
    if scale is None or zero is None:
        return Int8Linear(kept, bias, activations="dynamic" if kind == "dynamic" else "none")
    return Int8Linear(kept, bias, activations=StaticRange(scale.item(), int(zero.item())))


def _int4(given: dict[str, Tensor]) -> Int4:
    packed, scale, minimum = (_taken(given, name) for name in ("packed", "scale", "minimum"))
    sizes = packed.shape + scale.shape
    if len(sizes) != 4 or 0 in sizes or 2 * sizes[1] % (sizes[3] * BLOCK):
        raise ValueError(f"packed {list(packed.shape)} with a scale {list(scale.shape)}")
    _check(packed, "packed", torch.uint8, [sizes[0], sizes[1]])
    _check(scale, "scale", torch.float16, [sizes[0], sizes[3]])
    _check(minimum, "minimum", torch.float16, [sizes[0], sizes[3]])
    return Int4(packed, scale, minimum)


def _int8(given: dict[str, Tensor]) -> Int8:
    values, scale = _taken(given, "values"), _taken(given, "scale")
    zero = _optional(given, "zero", torch.int8, list(scale.shape))
    if values.ndim != 2 or 0 in values.shape or scale.dtype not in (torch.float32, torch.float16):
        raise ValueError(f"values {list(values.shape)} with a scale of {scale.dtype}")
    _check(values, "values", torch.int8, list(values.shape))
    n_rows, n_columns = values.shape
    if scale.ndim and not (
        scale.ndim == 2 and len(scale) == n_rows and scale.shape[1] and not n_columns % scale.shape[1]
    ):
        raise ValueError(f"values {list(values.shape)} with a scale {list(scale.shape)}")
    return Int8(values, scale, zero)


def _taken(given: dict[str, Tensor], name: str) -> Tensor:
    if name not in given:
        raise ValueError(f"no {name}")
    return given.pop(name)


def _optional(given: dict[str, Tensor], name: str, dtype: torch.dtype, shape: list[int]) -> Tensor | None:
    if name in given:
        _check(given[name], name, dtype, shape)
    return given.pop(name, None)


def _check(tensor: Tensor, name: str, dtype: torch.dtype, shape: list[int]) -> None:
    if tensor.dtype != dtype or list(tensor.shape) != shape:
        raise ValueError(f"{name} of {tensor.dtype} {list(tensor.shape)} instead of {dtype} {shape}")


def _refuse_others(given: dict[str, Tensor]) -> None:
    if given:
        raise ValueError(f"{min(given)} besides")
