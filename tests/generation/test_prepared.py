"""The copy for drawing against the model it was made from: every architecture, cache, batch and number format."""

from dataclasses import replace

import pytest
import torch

from groundup.configs import GenerationConfig, GPTConfig
from groundup.configs.generation import BeamConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.generation import beam_search, generate, prepare_for_inference, prepared, suggest_precision
from groundup.generation.prepared import advice
from groundup.layers.fast_linear import has_float16_packing
from groundup.models.gpt import GPT
from groundup.quantization import decode_step
from groundup.quantization.convert import quantize_model
from groundup.quantization.int4 import quantize_int4
from groundup.quantization.int4_linear import Int4Linear

GPT2 = GPTConfig(vocab_size=151, context_length=24, d_model=32, n_layers=2, n_heads=4)
LLAMA = replace(
    GPT2, position="rotary", norm="rms", activation="swiglu", n_kv_heads=2, bias=False, tie_embeddings=False
)
RECORD = replace(GPT2, position="rotary", norm="rms", activation="relu_squared", qk_norm=True, bias=False)
SEED_DESIGN = replace(GPT2, position="sinusoidal", norm_order="post", activation="relu")
QWEN2 = replace(LLAMA, qkv_bias=True)
ARCHITECTURES = {"gpt2": GPT2, "llama": LLAMA, "qwen2": QWEN2, "record": RECORD, "2017": SEED_DESIGN}
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10, 11], list(range(24))]
GREEDY = GenerationConfig(strategy="greedy", max_new_tokens=40)  # past the context: windows slide

# Largest difference of logits (deviation 1) from float32: two layers of roundings to 2^-9 each; measured 5e-7 and 0.02.
# Where float16 is packed only weights are rounded, to 2^-12; else several rows go through bfloat16.
BOUNDS = {"float32": 1e-5, "bfloat16": 0.1, "float16": 0.02 if has_float16_packing() else 0.1}


@pytest.fixture(params=ARCHITECTURES)
def model(request):
    torch.manual_seed(0)
    model = GPT(ARCHITECTURES[request.param]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


@torch.no_grad()
@pytest.mark.parametrize("precision", BOUNDS)
def test_logits_with_and_without_a_cache(model, precision):
    fast, tokens = prepare_for_inference(model, precision), torch.randint(151, (3, 12))
    expected = model(tokens)
    scale = max(1.0, expected.std().item())
    found = fast(tokens)
    assert (found - expected).abs().max() <= BOUNDS[precision] * scale
    cache = fast.new_cache(3)
    pieces = [fast(piece, cache=cache) for piece in tokens.split([5, 1, 1, 5], dim=1)]
    assert (torch.cat(pieces, dim=1) - expected).abs().max() <= BOUNDS[precision] * scale


@torch.no_grad()
@pytest.mark.parametrize("precision", BOUNDS)
def test_greedy_tokens_are_those_of_the_model(model, precision):
    """A token may differ only where two logits lie closer than the bound: the text before it is the same."""
    fast = prepare_for_inference(model, precision)
    for prompt, drawn in zip(PROMPTS, generate(fast, PROMPTS, GREEDY), strict=True):
        window = list(prompt)
        for token in drawn:
            if len(window) > 24:
                window = window[-12:]
            logits = model(torch.tensor([window]))[0, -1]
            assert logits.max() - logits[token] <= 2 * BOUNDS[precision] * max(1.0, logits.std().item())
            window.append(token)


def test_float32_draws_the_same_tokens_in_a_batch_without_a_cache_and_sampled(model):
    fast = prepare_for_inference(model)
    for config in (GREEDY, replace(GREEDY, strategy="sample", top_k=20, seed=3)):
        expected = generate(model, PROMPTS, config)
        assert generate(fast, PROMPTS, config) == expected
        assert generate(fast, PROMPTS, replace(config, use_cache=False)) == expected


def test_the_model_is_left_as_it_was(model):
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fast = prepare_for_inference(model, "bfloat16")
    generate(fast, PROMPTS, GREEDY)
    assert model.training
    assert not fast.training
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert fast.token_embedding.weight is model.token_embedding.weight  # shared, not copied


def test_float16_refuses_weights_that_it_cannot_hold(model):
    with torch.no_grad():
        model.blocks[0].feed_forward.up.weight[0, 0] = 1e6
    with pytest.raises(InputError, match=r"at most 65,504 for float16, found 1e\+06: use bfloat16"):
        prepare_for_inference(model, "float16")


def test_the_suggested_precision_follows_size_processor_and_weights(monkeypatch):
    assert suggest_precision(GPT(GPT2)) == "float32"
    monkeypatch.setattr(prepared, "FITS_CACHE", 1000)
    large = GPT(GPT2)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert suggest_precision(large) == "bfloat16"
    for kind in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{kind}_supported", lambda: False, raising=False)
    monkeypatch.setattr(prepared, "has_float16_packing", lambda: True)
    assert suggest_precision(large) == "float16"
    with torch.no_grad():
        large.token_embedding.weight[0, 0] = -1e6
    assert suggest_precision(large) == "float32"
    monkeypatch.setattr(prepared, "has_float16_packing", lambda: False)
    assert suggest_precision(GPT(GPT2)) == "float32"


@pytest.mark.parametrize(
    "config",
    [
        QuantizationConfig(to="int8"),
        QuantizationConfig(to="int8", symmetric=False),
        QuantizationConfig(to="int8", granularity="tensor"),
        QuantizationConfig(),
    ],
)
def test_float16_refuses_what_matrices_in_few_bits_stand_for(config, monkeypatch):
    monkeypatch.setattr(prepared, "FITS_CACHE", 1000)
    monkeypatch.setattr(prepared, "has_float16_packing", lambda: True)
    for kind in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{kind}_supported", lambda: False, raising=False)
    model = GPT(GPT2).eval()
    assert suggest_precision(quantize_model(model, config)) == "float16"
    model = GPT(GPT2).eval()
    with torch.no_grad():
        model.blocks[0].feed_forward.up.weight[0, :2] = torch.tensor([6e4, -6e4])  # float16, and so are the scales
    quantize_model(model, config)
    up = model.blocks[0].feed_forward.up
    up.scale.mul_(1.5)
    if config.to == "int4":
        up.minimum.mul_(1.08)
    assert up.dequantized().abs().max() > 65_504
    assert suggest_precision(model) == "float32"
    with pytest.raises(InputError, match="at most 65,504 for float16, found"):
        prepare_for_inference(model, "float16")


def test_float16_counts_what_inputs_are_multiplied_by_and_biases_beside_few_bits():
    base = torch.nn.Linear(64, 2)
    kept = quantize_int4(base.weight, group_size=32)
    model = GPT(replace(GPT2, d_model=64))
    for layer in (
        Int4Linear(kept, None, input_scale=torch.cat([torch.ones(63), torch.tensor([1e7])])),
        Int4Linear(kept, torch.tensor([0.0, -1e6])),
    ):
        model.blocks[0].attention.query = layer
        with pytest.raises(InputError, match="for float16"):
            prepare_for_inference(model, "float16")


def test_without_numba_it_is_said_what_would_be_faster(monkeypatch):
    quantized_one = quantize_model(GPT(GPT2), QuantizationConfig())
    monkeypatch.setattr(prepared, "has_kernels", lambda: True)
    assert advice(quantized_one) is None
    monkeypatch.setattr(prepared, "has_kernels", lambda: False)
    assert "pip install 'groundup[fast]' draws it faster" in advice(quantized_one)
    assert "\n" not in advice(quantized_one)
    assert advice(GPT(GPT2)) is None


WIDE = {name: replace(config, d_model=64, d_ff=96) for name, config in ARCHITECTURES.items()}
BITS = {
    "int8": QuantizationConfig(to="int8"),
    "affine": QuantizationConfig(to="int8", symmetric=False),
    "int4": QuantizationConfig(to="int4"),
    "mixed": QuantizationConfig(to="int4", skip=("value", "blocks.0.feed_forward")),
    "dynamic": QuantizationConfig(to="int8", activations="dynamic"),
}
# Of logits of deviation 1. Inputs rounded to 15 bits, two layers; without numba the bits are matrices of a format, and
# what rounds its inputs to 8 bits may round a number that the cache moved in its last bit to the next step.
QUANTIZED_BOUNDS = {"compiled": 5e-3, "float32": 1e-4, "float16": BOUNDS["float16"], "bfloat16": 0.1, "dynamic": 0.1}


def quantized(family, bits):
    torch.manual_seed(0)
    model = GPT(WIDE[family]).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return quantize_model(model, BITS[bits])


@torch.no_grad()
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("family", ["gpt2", "llama", "record", "2017"])
def test_quantized_models_in_every_way_of_reading(family, bits):
    model = quantized(family, bits)
    fast, tokens = prepare_for_inference(model), torch.randint(151, (3, 12))
    expected = model(tokens)
    bound = QUANTIZED_BOUNDS["dynamic" if bits == "dynamic" else "compiled"] * max(1.0, expected.std().item())
    assert (fast(tokens) - expected).abs().max() <= bound
    assert (fast.step is not None) == (family != "2017" and bits != "dynamic")
    for rows in (3, 1):  # a batch; one text, a token of which takes the compiled step
        cache = fast.new_cache(rows)
        pieces = [fast(piece, cache=cache) for piece in tokens[:rows].split([5, 1, 1, 5], dim=1)]
        assert (torch.cat(pieces, dim=1) - expected[:rows]).abs().max() <= bound


@torch.no_grad()
@pytest.mark.parametrize("precision", BOUNDS)
def test_quantized_models_without_numba(precision, monkeypatch):
    monkeypatch.setattr(prepared, "has_kernels", lambda: False)
    monkeypatch.setattr(decode_step, "has_kernels", lambda: False)
    for bits in ("int4", "mixed"):
        model, tokens = quantized("llama", bits), torch.randint(151, (2, 9))
        fast, expected = prepare_for_inference(model, precision), model(tokens)
        assert fast.step is None
        assert (fast(tokens) - expected).abs().max() <= QUANTIZED_BOUNDS[precision] * max(1.0, expected.std().item())


@torch.no_grad()
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_prompts_of_quantized_models_are_multiplied_in_the_precision_asked_for(precision):
    model, tokens = quantized("llama", "int4"), torch.randint(151, (1, 20))
    fast, expected = prepare_for_inference(model, precision), model(tokens)
    difference = (fast(tokens) - expected).abs().max() / max(1.0, expected.std().item())
    assert QUANTIZED_BOUNDS["float32"] < difference <= QUANTIZED_BOUNDS[precision]


def test_quantized_models_draw_as_before_with_beams_and_past_the_context():
    """Tokens are equal but where two logits lie closer than the bound; with this seed none do."""
    model = quantized("llama", "int4")
    fast = prepare_for_inference(model)
    for config in (GREEDY, replace(GREEDY, strategy="sample", top_k=20, seed=3), replace(GREEDY, cache="int8")):
        assert generate(fast, PROMPTS[:3], config) == generate(model, PROMPTS[:3], config)
        assert generate(fast, PROMPTS[:1], config) == generate(model, PROMPTS[:1], config)
    beams = GenerationConfig(strategy="beam", beam=BeamConfig(n_beams=3), max_new_tokens=12)
    assert beam_search(fast, PROMPTS[:1], beams)[0][0].tokens == beam_search(model, PROMPTS[:1], beams)[0][0].tokens


def test_the_step_reads_quantized_weights_in_the_models_own_memory():
    model = quantized("llama", "int4")
    fast, token = prepare_for_inference(model), torch.tensor([[5]])
    with torch.no_grad():
        before = fast(token, cache=fast.new_cache(1))
        model.blocks[0].attention.value.scale.mul_(2)
        assert not torch.equal(fast(token, cache=fast.new_cache(1)), before)
    assert suggest_precision(model) == "float32"  # a small one
