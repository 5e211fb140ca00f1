"""One layer of a model to its quantized form, by the method that a config names."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from groundup.configs.quantization import QuantizationConfig
from groundup.layers.embedding import TokenEmbedding
from groundup.quantization.activation_aware import activation_aware_scale
from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.gptq import gptq
from groundup.quantization.inputs_seen import InputsSeen
from groundup.quantization.int4 import Fit, Int4, between_ends, quantize_int4
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8 import Int8, quantize_int8
from groundup.quantization.int8_linear import Int8Linear
from groundup.quantization.least_squares import least_squares

GROUP = 32
"""Neighbours in a row that share a scale in 8 bits, where they do: as in GGUF's Q8_0."""
LOOKED_UP = 0.1
"""Share of the mean of the Hessian's diagonal by which an error in a row that is looked up counts."""


def quantize_layer(
    layer: nn.Linear,
    config: QuantizationConfig,
    seen: InputsSeen | None = None,
    input_scale: Tensor | None = None,
) -> Int8Linear | Int4Linear:
    """Return `layer` in 8 or 4 bits; it is not changed itself.

    Args:
        layer: in floating point.
        config: how.
        seen: what went into the layer on a text; needed where config.needs_text.
        input_scale: what to multiply its inputs by, in 4 bits: see `aware_scale`.

    Example:
        >>> import torch
        >>> layer = quantize_layer(nn.Linear(64, 8), QuantizationConfig(to="int8", activations="dynamic"))
        >>> layer(torch.ones(2, 64)).shape, layer.activations
        (torch.Size([2, 8]), 'dynamic')
    """
    weight = layer.weight.detach()
    if config.to == "int8":
        activations = config.activations
        if activations != "static":
            return Int8Linear(_int8(weight, config), layer.bias, activations=activations)
        assert seen is not None
        assert seen.observer is not None
        return Int8Linear(_int8(weight, config), layer.bias, activations=seen.observer.range())
    hessian = None if seen is None else seen.hessian
    if input_scale is None:
        return Int4Linear(_int4(weight, config, hessian), layer.bias)
    if hessian is not None:
        hessian = hessian * input_scale[:, None] * input_scale
    return Int4Linear(_int4(weight / input_scale, config, hessian), layer.bias, input_scale=input_scale)


def aware_scale(layers: Sequence[nn.Linear], config: QuantizationConfig, seen: InputsSeen) -> Tensor | None:
    """Return what to multiply the inputs by that `layers` share, where the config is activation-aware: [I]."""
    if not config.activation_aware:
        return None
    assert seen.hessian is not None
    weight = torch.cat([layer.weight.detach() for layer in layers])
    size, fit = config.group_size, _fit(config)
    return activation_aware_scale(weight, seen.hessian, seen.mean_magnitude, group_size=size, fit=fit)


def in_8_bits(config: QuantizationConfig) -> QuantizationConfig:
    """Return how layers are quantized that int4 alone would harm most: those that decide between tokens.

    Example:
        >>> in_8_bits(QuantizationConfig(to="int4", method="fitted")).to
        'int8'
    """
    if config.to == "int8" or config.method == "gptq":
        return config
    return replace(config, to="int8", method="round", activation_aware=False, group_size=32)


def quantize_table(
    embedding: TokenEmbedding, config: QuantizationConfig, seen: InputsSeen | None = None
) -> QuantizedEmbedding:
    """Return the token embedding in 8 bits; in 4 where the config says so and GPTQ fits it.

    As the output matrix that is tied to it, it decides between tokens: rounded to 4 bits it alone raised SmolLM2's
    perplexity by 6 %, with all blocks as they were; in 8 bits it did not.

    Args:
        embedding: in floating point.
        config: how.
        seen: what it is multiplied by as the output matrix that is tied to it, on a text. GPTQ weighs errors by it and,
            because the rows are looked up, too, a part as much by themselves (LOOKED_UP).

    Example:
        >>> quantize_table(TokenEmbedding(10, 32), QuantizationConfig())
        QuantizedEmbedding(10, 32, Int8)
    """
    table = embedding.weight.detach()
    hessian = None if seen is None else seen.hessian
    if hessian is not None:
        hessian = hessian + LOOKED_UP * hessian.diagonal().mean() * torch.eye(len(hessian), device=hessian.device)
    is_fitted = config.method == "gptq" and hessian is not None
    kept = _int4(table, config, hessian) if config.to == "int4" and is_fitted else _int8(table, config)
    return QuantizedEmbedding(kept, factor=embedding.scale)


def _int8(weight: Tensor, config: QuantizationConfig) -> Int8:
    if config.shared_by == "group" and (config.granularity or weight.shape[1] % GROUP == 0):
        return quantize_int8(weight, group_size=GROUP)
    return quantize_int8(weight, symmetric=config.symmetric, by_row=config.shared_by != "tensor")


def _int4(weight: Tensor, config: QuantizationConfig, hessian: Tensor | None) -> Int4:
    if config.method == "gptq" and hessian is not None:
        return gptq(weight, hessian, group_size=config.group_size)
    return quantize_int4(weight, group_size=config.group_size, fit=_fit(config))


def _fit(config: QuantizationConfig) -> Fit:
    return least_squares if config.method == "fitted" else between_ends
