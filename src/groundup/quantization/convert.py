"""Models whose matrices are swapped for quantized ones, in place, and back."""

from collections.abc import Callable, Container
from typing import cast

import torch
from torch import Tensor, nn

from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.layers.embedding import TokenEmbedding
from groundup.models.gpt import GPT
from groundup.quantization.calibration import calibrate, calibration_windows
from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8_linear import Int8Linear
from groundup.quantization.one_layer import GROUP, in_8_bits, quantize_layer, quantize_table

QuantizedLayer = Int8Linear | Int4Linear | QuantizedEmbedding
"""What stands in the place of a layer: it has `kept`, `dequantized()`, `n_quantized`, `n_bytes`, and buffers alone."""
LARGEST = 65_504
"""Of a weight in 4 bits, whose scales are float16."""


def quantize_model(
    model: GPT,
    config: QuantizationConfig,
    tokens: Tensor | None = None,
    report: Callable[[str], None] | None = None,
) -> GPT:
    """Swap the matrices of `model` for quantized ones, in place, and return it.

    These are the linear layers of the blocks and, with config.embeddings, the output matrix and the token embedding.
    Norms, biases and positions stay as they are. All layers are looked at before the first is swapped; then each is
    let go as soon as it is swapped, so memory never holds much more than the model in floating point.

    Args:
        model: in floating point, without adapters (a model that `groundup.load` opens from a LoRA run has none).
        config: how.
        tokens: a text, int64 [n], for methods that read one (config.needs_text).
        report: is told of what takes a while, in lines.

    Raises:
        InputError: NaN or infinite weights, a width that groups do not divide, a skip that names no layer, a model that
            is quantized or has adapters or learned vectors, a text that is missing or too short.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=32, n_layers=1, n_heads=2))
        >>> before, tokens = model(torch.tensor([[1, 2]])), torch.tensor([[1, 2]])
        >>> after = quantize_model(model, QuantizationConfig(to="int8"))(tokens)
        >>> list(quantized_layers(model))[:2], torch.allclose(before, after, atol=0.02)
        (['token_embedding', 'blocks.0.attention.query'], True)
    """
    names = _chosen(model, config)
    windows = calibration_windows(tokens, config, model.context_length) if config.needs_text else None
    was_training = model.training
    model.eval()
    with torch.no_grad():
        if windows is not None:
            calibrate(model, names, config, windows, report or _say_nothing)
        else:
            for name in names:
                layer = model.get_submodule(name)
                if isinstance(layer, TokenEmbedding):
                    model.set_submodule(name, quantize_table(layer, config))
                else:
                    how = in_8_bits(config) if name == "output" else config
                    model.set_submodule(name, quantize_layer(cast("nn.Linear", layer), how))
    return model.train(was_training)


def quantized_layers(model: nn.Module) -> dict[str, QuantizedLayer]:
    """Return the quantized layers of `model` by name.

    Example: see `quantize_model`.
    """
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, QuantizedLayer)}


def dequantize_model(model: GPT) -> GPT:
    """Put plain layers in floating point in the place of the quantized ones, with the same numbers; return `model`.

    What rounds activations rounds them no more.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=32, n_layers=1, n_heads=2))
        >>> tokens = torch.tensor([[1, 2]])
        >>> logits = quantize_model(model, QuantizationConfig())(tokens)
        >>> torch.equal(dequantize_model(model)(tokens), logits), quantized_layers(model)
        (True, {})
    """
    for name, layer in quantized_layers(model).items():
        model.set_submodule(name, _plain(layer).train(layer.training))
    return model


def _plain(layer: QuantizedLayer) -> nn.Linear | TokenEmbedding:
    with torch.random.fork_rng(devices=[]):  # what is drawn here for a single weight is nobody's
        if isinstance(layer, QuantizedEmbedding):
            table = TokenEmbedding(1, 1, scale=layer.factor)
            table.weight = nn.Parameter(layer.dequantized())
            return table
        plain = nn.Linear(1, 1, bias=layer.bias is not None)
    plain.in_features, plain.out_features = layer.in_features, layer.out_features
    plain.weight = nn.Parameter(layer.dequantized())
    if layer.bias is not None:
        plain.bias = nn.Parameter(layer.bias.clone())
    return plain


def _chosen(model: GPT, config: QuantizationConfig) -> list[str]:
    """Return the names of the layers to swap, each of them seen to be one that can be."""
    _refuse_other_kinds(model)
    found: dict[str, nn.Module] = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    if config.embeddings:
        found = {"token_embedding": model.token_embedding, **found}
    else:
        found.pop("output", None)
    for part in config.skip:
        if not any(_is_part(part, name, found) for name in found):
            known = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in found))
            raise InputError(f"expected skip to name layers by blocks.N, {known}, or in full, found {part!r}")
    chosen = [name for name in found if not any(_is_part(part, name, found) for part in config.skip)]
    if not chosen:
        raise InputError("expected layers to quantize, found none that skip leaves: skip fewer")
    for name in chosen:
        _check(name, cast("Tensor", found[name].weight), config)
    return chosen


def _is_part(part: str, name: str, names: Container[str]) -> bool:
    if part in names:  # output, where it is a layer, is not each block's attention.output
        return name == part
    return f".{part}." in f".{name}."  # blocks.1 is no part of blocks.10


def _refuse_other_kinds(model: GPT) -> None:
    if quantized := quantized_layers(model):
        raise InputError(
            f"expected a model in floating point, found {next(iter(quantized))} quantized already: what was lost would "
            "be lost twice, begin with the original"
        )
    for name, part in model.named_modules():
        if hasattr(part, "adapters"):
            raise InputError(
                f"expected a model without adapters, found one beside {name}: merge it first (merge_and_remove), or "
                "open the run, which merges it"
            )
    if model.prefix is not None:
        raise InputError(
            "expected a model to quantize, found one with learned vectors before the text, which quantized files have "
            "no place for: quantize its base"
        )


def _check(name: str, weight: Tensor, config: QuantizationConfig) -> None:
    """Raise InputError, with the layer's name, for what could not be rounded halfway through."""
    low, high = weight.detach().aminmax()  # NaN and infinity come through
    largest = torch.maximum(-low, high).item()
    if not largest < float("inf"):
        raise InputError(
            f"expected finite weights, found NaN or infinity in {name}: take the model from before they arose"
        )
    width = weight.shape[1]
    if config.to == "int8":
        if config.granularity == "group" and width % GROUP:
            raise InputError(
                f"expected rows of a multiple of {GROUP} for granularity group, found {width} numbers in those of "
                f"{name}: take channel"
            )
        return
    if largest > LARGEST:
        raise InputError(
            f"expected weights of at most {LARGEST:,} for int4, whose scales are float16, found {largest:.3g} in "
            f"{name}: take int8, or skip it"
        )
    if width % config.group_size:
        smaller = [size for size in (64, 32) if size < config.group_size and width % size == 0]
        advice = f"take a group_size of {smaller[0]}" if smaller else f"take int8, or skip {name.rpartition('.')[2]}"
        raise InputError(
            f"expected rows of a multiple of group_size {config.group_size}, found {width} numbers in those of {name}: "
            f"{advice}"
        )


def _say_nothing(line: str) -> None:
    pass
