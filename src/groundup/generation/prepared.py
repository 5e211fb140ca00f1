"""A copy of a GPT made for drawing text: the same model, its matrices laid out or rounded once for one-row products."""

import copy
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from groundup.errors import InputError
from groundup.layers.activations import FUSED
from groundup.layers.attention import MultiHeadAttention
from groundup.layers.blocks import GPTBlock
from groundup.layers.fast_linear import BFloat16Linear, Float16Linear, RefinedLinear, Then, TransposedLinear
from groundup.models.gpt import GPT

Precision = Literal["float32", "bfloat16", "float16"]
"""Number format of the matrices while drawing; the residual stream, norms, attention and its cache stay float32."""

FLOAT16_LARGEST = 65_504
"""Beyond it a number of this format is infinite."""
FITS_CACHE = 8_000_000
"""Parameters (32 MB in float32) that a processor's cache may hold: reading them costs little in any format."""

_LAYERS: dict[Precision, Callable[[Tensor, Tensor | None, Then], nn.Module]] = {
    "float32": TransposedLinear,
    "bfloat16": BFloat16Linear,
    "float16": Float16Linear,
}


def prepare_for_inference(model: GPT, precision: Precision = "float32") -> GPT:
    """Return a copy of `model`, in evaluation mode, that draws text faster and cannot be trained or saved.

    Embeddings and norms are shared with the model; the matrices are copies as they are now: prepare anew when the
    model has learned. Queries, keys and values are one product. float32 gives the model's logits up to the order of
    sums. bfloat16 rounds weights and what they multiply to 8 bits; float16 to 11, for one row at a time: several rows
    (a prompt, a batch) are multiplied in bfloat16. Either way sums are float32, and of the logits the 64 largest
    are not rounded.

    Args:
        model: what to copy.
        precision: number format of the matrices.

    Raises:
        InputError: float16 for weights that do not fit into it.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2)).eval()
        >>> fast, tokens = prepare_for_inference(model), torch.tensor([[1, 2, 3]])
        >>> torch.allclose(fast(tokens), model(tokens), atol=1e-5)
        True
    """
    if precision == "float16":
        largest = max(parameter.abs().max().item() for parameter in model.parameters())
        if not largest <= FLOAT16_LARGEST:
            raise InputError(
                f"expected weights of at most {FLOAT16_LARGEST:,} for float16, found {largest:.3g}: use bfloat16"
            )
    shared = [*model.parameters(), *model.buffers()]
    fast = copy.deepcopy(model, {id(tensor): tensor for tensor in shared}).eval()
    make = _LAYERS[precision]
    for block in fast.blocks:
        assert isinstance(block, GPTBlock)
        _join(block.attention, make)
        feed_forward = block.feed_forward
        if feed_forward.activation is FUSED["gelu_tanh"]:  # done by the product before it
            _replace(feed_forward, "up", make, "gelu_tanh")
            feed_forward.activation = _identity
        for name in [name for name, part in feed_forward.named_children() if isinstance(part, nn.Linear)]:
            _replace(feed_forward, name, make)
    head = fast.output_weight
    rough = TransposedLinear(head, None) if precision == "float32" else BFloat16Linear(head, None)
    fast.__dict__.pop("output", None)
    fast.add_module("output", rough if precision == "float32" else RefinedLinear(head, rough))
    return fast


def suggest_precision(model: GPT) -> Precision:
    """Return bfloat16 where it draws faster and rounding is safe, else float32; a rule, so a seed keeps its text.

    Faster is a model that no processor cache holds (more than FITS_CACHE parameters), on a processor with bfloat16
    instructions. float16 is faster still for one text, and is not chosen unasked: large activations overflow in it.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> suggest_precision(GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2)))
        'float32'
    """
    if model.n_parameters() <= FITS_CACHE:
        return "float32"
    device = model.token_embedding.weight.device
    if device.type != "cpu":
        return "float32"
    asks = (getattr(torch.cpu, f"_is_{kind}_supported", None) for kind in ("avx512_bf16", "amx_tile"))
    return "bfloat16" if any(ask is not None and ask() for ask in asks) else "float32"


def _join(attention: MultiHeadAttention, make: Callable[[Tensor, Tensor | None, Then], nn.Module]) -> None:
    parts = [attention.query, attention.key, attention.value]
    biases: list[Tensor] = [part.bias for part in parts if part.bias is not None]
    bias = torch.cat(biases) if biases else None
    weights: list[Tensor] = [part.weight for part in parts]
    attention.joined = make(torch.cat(weights), bias, "none")
    for name in ("query", "key", "value"):
        attention.add_module(name, nn.Identity())  # their weights are in `joined`; a call must not find them here
    _replace(attention, "output", make)


def _replace(
    parent: nn.Module, name: str, make: Callable[[Tensor, Tensor | None, Then], nn.Module], then: Then = "none"
) -> None:
    layer = parent.get_submodule(name)
    assert isinstance(layer, nn.Linear)
    parent.add_module(name, make(layer.weight, layer.bias, then))


def _identity(x: Tensor) -> Tensor:
    return x
