"""A copy of a GPT made for drawing text: the same model, its matrices laid out or rounded once for one-row products."""

import copy
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from groundup.errors import InputError
from groundup.layers.activations import FUSED
from groundup.layers.attention import MultiHeadAttention
from groundup.layers.blocks import GPTBlock
from groundup.layers.embedding import TokenEmbedding
from groundup.layers.fast_linear import (
    BFloat16Linear,
    Float16Linear,
    Float32Linear,
    RefinedLinear,
    Then,
    has_float16_packing,
)
from groundup.layers.feedforward import SwiGLU
from groundup.layers.virtual_tokens import LearnedPrefix
from groundup.models.gpt import GPT
from groundup.quantization.convert import QuantizedLayer, quantized_layers
from groundup.quantization.decode_step import build_decode_step
from groundup.quantization.embedding import QuantizedEmbedding
from groundup.quantization.int4_linear import Int4Linear
from groundup.quantization.int8_linear import Int8Linear
from groundup.quantization.kernels import CompiledLinear, has_kernels, matrix_of

Precision = Literal["float32", "bfloat16", "float16"]
"""Number format of the matrices while drawing; the residual stream, norms, attention and its cache stay float32."""

FLOAT16_LARGEST = 65_504
"""Beyond it a number of this format is infinite."""
FITS_CACHE = 8_000_000
"""Parameters (32 MB in float32) that a processor's cache may hold: reading them costs little in any format."""

_Make = Callable[[Tensor, Tensor | None, Then], nn.Module]
_LAYERS: dict[Precision, _Make] = {
    "float32": Float32Linear,
    "bfloat16": BFloat16Linear,
    "float16": Float16Linear,
}


def prepare_for_inference(model: GPT, precision: Precision = "float32") -> GPT:
    """Return a copy of `model`, in evaluation mode, that draws text faster and cannot be trained or saved.

    Embeddings and norms are shared with the model; the matrices are copies as they are now: prepare anew when the
    model has learned. Queries, keys and values are one product, and so are both that widen in SwiGLU. float32 gives the
    model's logits up to the order of sums. bfloat16 rounds weights and what they multiply to 8 bits, float16 the
    weights to 11, and on processors that are not x86 more (see `Float16Linear`). Either way sums are float32, and of
    the logits the 64 largest are not rounded.

    Matrices in 8 and 4 bits stay in them, in the model's own memory, and compiled code reads them there: one token
    takes one call (`quantization.decode_step`); their inputs are rounded to 16 bits, which moves logits by about 1e-3
    of their deviation. Prompts are multiplied in `precision`: in float32 each matrix is laid out for each prompt, in
    the others a second copy is kept. Without numba there is only that copy. Layers that round their inputs to 8 bits
    stay as they are.

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
    if precision == "float16" and not (largest := _largest(model)) <= FLOAT16_LARGEST:
        raise InputError(
            f"expected weights of at most {FLOAT16_LARGEST:,} for float16, found {largest:.3g}: use bfloat16"
        )
    shared = [*model.parameters(), *model.buffers()]
    fast = copy.deepcopy(model, {id(tensor): tensor for tensor in shared}).eval()
    if fast.prefix is not None:
        with torch.no_grad():  # a prompt's keys and values, which each pass would compute anew
            fast.prefix = LearnedPrefix(fast.prefix(fast)).requires_grad_(False)
    make = _LAYERS[precision]
    head = fast.token_embedding if fast.output is None else fast.output
    numbers, compiled = _as_floats(head), _as_compiled(head)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # FBGEMM packs a matrix on one thread
        rough = None if numbers is None else pool.submit(make, numbers[0], None, "none")
        for _ in pool.map(partial(_prepare_block, make=make), fast.blocks):
            pass
    fast.__dict__.pop("output", None)
    if numbers is not None and rough is not None:
        exact = rough.result() if precision == "float32" else RefinedLinear(numbers[0], rough.result())
        fast.add_module("output", exact)
    elif compiled is not None:
        fast.add_module("output", compiled)
    if quantized_layers(model):
        fast.step = build_decode_step(model)
    return fast


def suggest_precision(model: GPT) -> Precision:
    """Return the format that draws fastest where rounding is safe; a rule, so a seed keeps its text on one machine.

    Small models (up to FITS_CACHE parameters, which a processor's cache holds) stay in float32. Larger ones take
    bfloat16 on a processor with instructions for it, else float16 on any other x86, where activations are not rounded
    and cannot overflow, if the weights fit into it.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> suggest_precision(GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2)))
        'float32'
    """
    if model.n_parameters() <= FITS_CACHE:
        return "float32"
    device = model.device
    if device.type != "cpu":
        return "float32"
    asks = (getattr(torch.cpu, f"_is_{kind}_supported", None) for kind in ("avx512_bf16", "amx_tile"))
    if any(ask is not None and ask() for ask in asks):
        return "bfloat16"
    return "float16" if has_float16_packing() and _largest(model) <= FLOAT16_LARGEST else "float32"


def advice(model: GPT) -> str | None:
    """Return in a line what would let `model`, before it is prepared, draw faster on this machine; None: nothing known.

    Example:
        >>> from groundup.configs.model import GPTConfig
        >>> advice(GPT(GPTConfig(vocab_size=10, context_length=8, d_model=16, n_layers=1, n_heads=2)))
    """
    if has_kernels() or model.device.type != "cpu" or not quantized_layers(model):
        return None
    return (
        "numba is not installed: a model in few bits is drawn from a copy in floating point; "
        "pip install 'groundup[fast]' draws it faster"
    )


def _largest(model: GPT) -> float:
    """Return the largest size that a weight may have, those in few bits at the ends of their steps; NaN if one is."""
    layers = quantized_layers(model).values()
    biases = [layer.bias for layer in layers if not isinstance(layer, QuantizedEmbedding) and layer.bias is not None]
    ends = [end for tensor in (*model.parameters(), *biases) for end in tensor.detach().aminmax()]
    return torch.stack([*ends, *(_reach(layer) for layer in layers)]).abs().max().item()


def _reach(layer: QuantizedLayer) -> Tensor:
    """Return the largest size of a number that the matrix of a layer may hold: float32 []."""
    reach = layer.kept.reach  # [O, G]
    scale = layer.input_scale if isinstance(layer, Int4Linear) else None
    if scale is None:
        return reach.max()
    return (reach.amax(0) * scale.abs().view(reach.shape[1], -1).amax(1)).max()


def _prepare_block(block: nn.Module, make: _Make) -> None:
    assert isinstance(block, GPTBlock)
    _join(block.attention, ("query", "key", "value"), make)
    _replace(block.attention, "output", make)
    feed_forward = block.feed_forward
    if isinstance(feed_forward, SwiGLU):
        _join(feed_forward, ("gate", "up"), make)
    is_fusable = feed_forward.activation is FUSED["gelu_tanh"]
    if is_fusable and _as_floats(feed_forward.get_submodule("up")) is not None:  # done by the product before it
        _replace(feed_forward, "up", make, "gelu_tanh")
        feed_forward.activation = _identity
    for name in [name for name, part in feed_forward.named_children() if isinstance(part, nn.Linear | QuantizedLayer)]:
        _replace(feed_forward, name, make)


def _join(layer: MultiHeadAttention | SwiGLU, names: Sequence[str], make: _Make) -> None:
    """Make one product of several, or, where one of them is to stay in its bits, replace each alone."""
    parts = [_as_floats(layer.get_submodule(name)) for name in names]
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        for name in names:
            _replace(layer, name, make)
        return
    biases = [bias for _, bias in found if bias is not None]
    layer.joined = make(torch.cat([weight for weight, _ in found]), torch.cat(biases) if biases else None, "none")
    for name in names:
        layer.add_module(name, nn.Identity())  # their weights are in `joined`; a call must not find them here


def _replace(parent: nn.Module, name: str, make: _Make, then: Then = "none") -> None:
    layer = parent.get_submodule(name)
    numbers, compiled = _as_floats(layer), _as_compiled(layer, make)
    if numbers is not None:
        parent.add_module(name, make(*numbers, then))
    elif compiled is not None:
        parent.add_module(name, compiled)


def _as_floats(layer: nn.Module) -> tuple[Tensor, Tensor | None] | None:
    """Return weights and bias of a layer that is laid out or rounded anew.

    None: of one that stays in its few bits, because there is compiled code for it, or because it rounds its inputs.
    """
    if isinstance(layer, nn.Linear | TokenEmbedding):
        return layer.weight, layer.bias if isinstance(layer, nn.Linear) else None
    assert isinstance(layer, QuantizedLayer)
    if _as_compiled(layer) is not None or (isinstance(layer, Int8Linear) and layer.activations != "none"):
        return None
    return layer.dequantized(), None if isinstance(layer, QuantizedEmbedding) else layer.bias


def _as_compiled(layer: nn.Module, make: _Make | None = None) -> CompiledLinear | None:
    """Return compiled products with a layer of few bits, and with many rows what `make` makes of its numbers."""
    if not isinstance(layer, QuantizedLayer) or not has_kernels():
        return None
    matrix = matrix_of(layer)
    if matrix is None:
        return None
    if make is None or make is Float32Linear:  # in float32 it is laid out anew for each prompt
        return CompiledLinear(matrix)
    return CompiledLinear(matrix, make(layer.dequantized(), matrix.bias, "none"))


def _identity(x: Tensor) -> Tensor:
    return x
