"""Proofs of quantization/ and of export: 8 and 4 bits against torch and `gguf`, and models against what they became."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.generation.prepared import prepare_for_inference
from groundup.layers.int8_kv_cache import Int8KVCache
from groundup.models.gpt import GPT
from groundup.proofs.compare import apart, largest
from groundup.proofs.table import MissingReferenceError, Proof
from groundup.quantization.convert import quantize_model
from groundup.quantization.gptq import gptq
from groundup.quantization.int4 import quantize_int4
from groundup.quantization.int8 import quantize_int8
from groundup.quantization.int8_linear import Int8Linear
from groundup.tokenization.bpe import ByteBPE
from groundup.weights.gguf_blocks import BLOCKS
from groundup.weights.gguf_export import save_gguf
from groundup.weights.gguf_model import load_gguf
from groundup.weights.gguf_packed import load_gguf_packed
from groundup.weights.gguf_quantize import quantize
from groundup.weights.installed import installed_smollm2
from groundup.weights.onnx_export import save_onnx
from groundup.weights.pretrained import Pretrained
from groundup.weights.quantized_folder import load_quantized, save_quantized

TOKENS = torch.randint(97, (2, 32), generator=torch.Generator().manual_seed(0))
GPT2 = GPTConfig(vocab_size=258, context_length=64, d_model=64, n_layers=2, n_heads=4)
LLAMA = GPTConfig(
    vocab_size=258, context_length=64, d_model=64, n_layers=2, n_heads=4, n_kv_heads=2, d_ff=96, position="rotary",
    norm="rms", activation="swiglu", bias=False,
)  # fmt: skip
INT8, INT4 = QuantizationConfig(to="int8"), QuantizationConfig(to="int4")


def _numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def _eight_bits(*, symmetric: bool) -> Callable[[], float]:
    """Return a function that counts numbers which torch, given our scales and zeros, puts at another step."""

    def difference() -> float:
        x = _numbers(64, 96)
        ours = quantize_int8(x, symmetric=symmetric)
        zeros = torch.zeros(64, dtype=torch.long) if ours.zero is None else ours.zero[:, 0].long()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that these tensors are to go
            theirs = torch.quantize_per_channel(x, ours.scale[:, 0].double(), zeros, 0, torch.qint8).int_repr()
        return float((theirs != ours.values).sum())

    return difference


def _whole_numbers() -> float:
    """Return how far a product of whole numbers is from that of the numbers they stand for, relative to the largest."""
    x, weight = _numbers(8, 96), quantize_int8(_numbers(64, 96), symmetric=False)
    rounded = quantize_int8(x).dequantized().double()
    expected = (rounded @ weight.dequantized().double().T).float()
    return apart(Int8Linear(weight, None, activations="dynamic")(x), expected) / float(expected.abs().max())


def _four_bits() -> float:
    """Return how many numbers `gguf` reads differently in our bytes."""
    from gguf import GGMLQuantizationType, quants

    ours = quantize_int4(_numbers(16, 64), group_size=32)
    blocks = np.empty((16, 2), BLOCKS[3].dtype)
    blocks["d"], blocks["m"] = ours.scale.numpy(), ours.minimum.numpy()
    blocks["q"] = ours.packed.numpy().reshape(16, 2, 16).view(np.uint64)
    theirs = quants.dequantize(blocks.view(np.uint8).reshape(16, -1), GGMLQuantizationType.Q4_1)
    return float((theirs != ours.dequantized().numpy()).sum())


def _exported_blocks(kind: int) -> Callable[[], float]:
    """Return a function that counts bytes in which our blocks differ from those of `gguf`."""

    def difference() -> float:
        from gguf import GGMLQuantizationType, quants

        x = _numbers(64, 96).numpy()
        ours = quantize(x.reshape(-1), kind).view(np.uint8)
        return float((quants.quantize(x, GGMLQuantizationType(kind)).reshape(-1) != ours).sum())

    return difference


def _cache_in_eight_bits() -> float:
    """Return how many numbers torch, given our scales, puts at another step than the cache does."""
    cache = Int8KVCache(n_layers=1, batch_size=2, n_kv_heads=3, capacity=20, d_head=32)
    keys, values = _numbers(2, 3, 16, 32), _numbers(2, 3, 16, 32) ** 3
    cache.layer(0).append(keys, values)
    differ = 0.0
    for numbers, kept, scales in (
        (keys, cache.keys, cache.key_scales), (values, cache.values, cache.value_scales)
    ):  # fmt: skip
        rows, steps = numbers.reshape(-1, 32), kept[0, :, :, :16].reshape(-1, 32)
        scale = scales[0, :, :, :16].reshape(-1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as above
            theirs = torch.quantize_per_channel(rows, scale.double(), torch.zeros(len(rows)).long(), 0, torch.qint8)
        differ += float((theirs.int_repr() != steps).sum())
    return differ


def _through_a_cache_of_eight_bits() -> float:
    """Return how far logits of a text that is read in pieces are from those of it read at once, both rounded."""
    model = _model(LLAMA)
    with torch.inference_mode():
        whole, pieces = (model.new_cache(2, kind="int8") for _ in range(2))
        expected = model(TOKENS, cache=whole)
        found = torch.cat([model(piece, cache=pieces) for piece in torch.split(TOKENS, [20, 1, 11], dim=1)], dim=1)
    return apart(found, expected) / float(expected.abs().max())


def _error_made_up_for() -> float:
    """Return the error of outputs with GPTQ, as a share of that with rounding, on inputs that depend on each other."""
    weight, x = _numbers(64, 96), _numbers(512, 96) @ _numbers(96, 96)
    hessian = x.T @ x
    errors = [(x @ (kept.dequantized() - weight).T).norm() for kept in
              (gptq(weight, hessian, group_size=32), quantize_int4(weight, group_size=32))]  # fmt: skip
    return float(errors[0] / errors[1])


def _model(shape: GPTConfig, config: QuantizationConfig | None = None) -> GPT:
    """Return a model with weights ten times as large as new ones: logits of size 1, attention that chooses."""
    torch.manual_seed(0)
    model = GPT(shape).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.normal_(std=0.2)
    return model if config is None else quantize_model(model, config)


def _drawn(shape: GPTConfig, config: QuantizationConfig) -> Callable[[], float]:
    """Return a function that compares logits of one token after others, by fast kernels and by the readable layers."""

    def difference() -> float:
        model = _model(shape, config)
        fast, logits = prepare_for_inference(model), []
        with torch.inference_mode():
            for one in (model, fast):
                cache = one.new_cache(1)
                one(TOKENS[:1, :-1], cache=cache)
                logits.append(one(TOKENS[:1, -1:], cache=cache))
        return apart(*logits) / float(logits[0].abs().max())

    return difference


def _pretrained(model: GPT) -> Pretrained:
    """Return the model with a vocabulary of bytes, one merge and an end of text."""
    return Pretrained(model=model, tokenizer=ByteBPE([(b"l", b"o")], ["<|endoftext|>"]), source="tiny")


def _saved(config: QuantizationConfig) -> Callable[[], float]:
    def difference() -> float:
        model = _model(LLAMA, config)
        with tempfile.TemporaryDirectory() as place, torch.inference_mode():
            save_quantized(_pretrained(model), Path(place) / "model", config)
            return apart(model(TOKENS), load_quantized(Path(place) / "model").model(TOKENS))

    return difference


def _through_gguf() -> float:
    model = _model(LLAMA)
    with tempfile.TemporaryDirectory() as place, torch.inference_mode():
        save_gguf(_pretrained(model), Path(place) / "tiny.gguf", type="f32")
        return apart(model(TOKENS), load_gguf(Path(place) / "tiny.gguf").model(TOKENS))


def _through_onnx(shape: GPTConfig) -> Callable[[], float]:
    def difference() -> float:
        import onnxruntime

        model = _model(shape)
        with tempfile.TemporaryDirectory() as place, torch.inference_mode():
            save_onnx(_pretrained(model), Path(place) / "tiny.onnx")
            session = onnxruntime.InferenceSession(Path(place) / "tiny.onnx", providers=["CPUExecutionProvider"])
            [logits] = session.run(None, {"tokens": TOKENS.numpy()})
            expected = model(TOKENS)
            return apart(expected, torch.from_numpy(logits)) / float(expected.abs().max())

    return difference


def _packed_smollm2() -> float:
    """Return the largest difference of a logit between the file in its own bits and the file in float32."""
    path = installed_smollm2()
    if path is None:
        raise MissingReferenceError("needs SmolLM2: make model")
    packed, wide = load_gguf_packed(path).model, load_gguf(path).model
    with torch.inference_mode():
        return largest([apart(packed(TOKENS), wide(TOKENS))])


def _proof(
    part: str,
    reference: str,
    bound: float,
    why: str,
    difference: Callable[[], float],
    *,
    needs: tuple[str, ...] = (),
    slow: bool = False,
) -> Proof:
    return Proof(
        room="quantization", part=part, reference=reference, bound=bound, why=why, difference=difference, needs=needs,
        is_slow=slow,
    )  # fmt: skip


_STEPS = "whole numbers: those that differ are counted"
_ROUNDED = "inputs are rounded to 16 bits, 2^-15 of the largest of 32, in every layer"
_SUMS = "float32: the same sums in another order"
_NEXT_STEP = "sums in another order, which may put a key or value at the next of its 127 steps"
_NUMBA, _GGUF, _ONNX = ("numba",), ("gguf",), ("onnx", "onnxruntime")
PROOFS = (
    _proof("8 bits, symmetric: steps", "torch", 0.0, _STEPS, _eight_bits(symmetric=True)),
    _proof("8 bits, affine: steps", "torch", 0.0, _STEPS, _eight_bits(symmetric=False)),
    _proof("product of whole numbers, relative", "float64", 1e-6, _SUMS, _whole_numbers),
    _proof("4 bits: numbers read back", "gguf", 0.0, "numbers that differ are counted", _four_bits, needs=_GGUF),
    _proof("GPTQ: error of outputs", "rounding's", 0.9, "a share: below 1 it made up for some", _error_made_up_for),
    *(
        _proof(f"to GGUF {BLOCKS[kind].name}: bytes", "gguf", 0.0, "bytes that differ are counted",
               _exported_blocks(kind), needs=_GGUF)
        for kind in (2, 3, 8)
    ),
    _proof("compiled int8, GPT-2: logits, relative", "layers", 1e-3, _ROUNDED, _drawn(GPT2, INT8), needs=_NUMBA),
    _proof("compiled int4, Llama: logits, relative", "layers", 1e-3, _ROUNDED, _drawn(LLAMA, INT4), needs=_NUMBA),
    _proof("8-bit cache: steps", "torch", 0.0, _STEPS, _cache_in_eight_bits),
    _proof("8-bit cache, in pieces: logits, relative", "at once", 1e-2, _NEXT_STEP, _through_a_cache_of_eight_bits),
    _proof("int8 saved and opened: logits", "itself", 0.0, "the same bits", _saved(INT8)),
    _proof("int4 saved and opened: logits", "itself", 0.0, "the same bits", _saved(INT4)),
    _proof("GGUF F32 written and read: logits", "itself", 0.0, "the same bits", _through_gguf),
    _proof("ONNX of GPT-2: logits, relative", "onnxruntime", 1e-5, _SUMS, _through_onnx(GPT2), needs=_ONNX),
    _proof("ONNX of Llama: logits, relative", "onnxruntime", 1e-5, _SUMS, _through_onnx(LLAMA), needs=_ONNX),
    _proof("SmolLM2 in its file's bits: logits", "in float32", 1e-4, _SUMS, _packed_smollm2, slow=True),
)  # fmt: skip
