"""Whole models in few bits: which layers, what they hold then, and what cannot be quantized, by the layer's name."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from groundup.configs.finetuning import LoRAConfig
from groundup.configs.model import GPTConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.finetuning.lora import apply_lora, merge_and_remove
from groundup.finetuning.prompt_tuning import SoftPrompt
from groundup.models.gpt import GPT
from groundup.quantization.convert import dequantize_model, quantize_model, quantized_layers
from groundup.quantization.int4 import quantize_int4
from groundup.quantization.int8 import quantize_int8
from groundup.quantization.least_squares import quantize_fitted
from groundup.quantization.one_layer import in_8_bits

GPT2 = GPTConfig(vocab_size=40, context_length=16, d_model=64, n_layers=2, n_heads=4)
LLAMA = replace(GPT2, n_kv_heads=2, d_ff=96, position="rotary", norm="rms", activation="swiglu", bias=False)
MODELS = {
    "gpt2": GPT2,
    "gpt2, untied": replace(GPT2, tie_embeddings=False),
    "llama": LLAMA,
    "sinusoidal": replace(GPT2, position="sinusoidal", norm_order="post"),
}
TOKENS = torch.tensor([[1, 2, 3, 4, 5], [39, 38, 37, 36, 35]])


def model(config: GPTConfig = GPT2) -> GPT:
    torch.manual_seed(0)
    found = GPT(config).eval()
    with torch.no_grad():
        for parameter in found.parameters():  # biases and norms off their initial values, too
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return found


def rounded(name: str, weight: Tensor, config: QuantizationConfig) -> Tensor:
    if name in ("token_embedding", "output"):  # they decide between tokens
        config = in_8_bits(config)
    if config.method == "fitted":
        return quantize_fitted(weight, group_size=config.group_size).dequantized()
    if config.to == "int4":
        return quantize_int4(weight, group_size=config.group_size).dequantized()
    if config.granularity is None:
        return quantize_int8(weight, group_size=32).dequantized()
    by_row = config.granularity == "channel"
    return quantize_int8(weight, symmetric=config.symmetric, by_row=by_row).dequantized()


CONFIGS = {
    "int4": QuantizationConfig(),
    "fitted": QuantizationConfig(method="fitted"),
    "int8": QuantizationConfig(to="int8"),
    "int8, rows": QuantizationConfig(to="int8", granularity="channel"),
    "int8, affine": QuantizationConfig(to="int8", symmetric=False, granularity="tensor"),
    "skip": QuantizationConfig(skip=("blocks.1", "down")),
    "no embeddings": QuantizationConfig(embeddings=False),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("kind", MODELS.values(), ids=MODELS)
def test_it_is_the_model_of_the_rounded_matrices(kind: GPTConfig, config: QuantizationConfig):
    ours, theirs = model(kind), model(kind)
    n_parameters = [theirs.n_parameters(embeddings=e) for e in (True, False)]
    assert quantize_model(ours, config) is ours
    layers = quantized_layers(ours)
    with torch.no_grad():
        for name in layers:
            theirs.get_submodule(name).weight.data = rounded(name, theirs.get_submodule(name).weight, config)
    with torch.inference_mode():
        assert torch.equal(ours(TOKENS), theirs(TOKENS))
        assert torch.equal(dequantize_model(ours)(TOKENS), theirs(TOKENS))
    assert [ours.n_parameters(embeddings=e) for e in (True, False)] == n_parameters
    assert list(ours.state_dict()) == list(theirs.state_dict())  # the names of plain layers


def test_parameters_are_counted_as_before():
    for config in (QuantizationConfig(), QuantizationConfig(to="int8", embeddings=False)):
        for kind in MODELS.values():
            expected = [model(kind).n_parameters(embeddings=e) for e in (True, False)]
            found = quantize_model(model(kind), config)
            assert [found.n_parameters(embeddings=e) for e in (True, False)] == expected


def test_what_is_swapped_is_what_the_config_says():
    linears = {"query", "key", "value", "output", "up", "down"}
    every = quantized_layers(quantize_model(model(), QuantizationConfig()))
    assert {name.rpartition(".")[2] for name in every} == linears | {"token_embedding"}
    assert "output" in quantized_layers(quantize_model(model(MODELS["gpt2, untied"]), QuantizationConfig()))
    without = quantized_layers(quantize_model(model(MODELS["gpt2, untied"]), QuantizationConfig(embeddings=False)))
    assert set(without) == {name for name in every if "blocks" in name}
    skipped = quantized_layers(quantize_model(model(), QuantizationConfig(skip=("blocks.1", "attention.key"))))
    assert set(skipped) == {name for name in every if "blocks.1" not in name and "key" not in name}


def test_a_part_of_a_name_is_whole_words():
    deep = replace(GPT2, n_layers=11, d_model=32)
    left = quantized_layers(quantize_model(model(deep), QuantizationConfig(skip=("blocks.1",))))
    assert any(name.startswith("blocks.10.") for name in left)


def test_the_mode_and_the_random_numbers_stay():
    training = model().train()
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    dequantize_model(quantize_model(training, QuantizationConfig()))
    assert training.training
    assert training.blocks[0].training
    assert torch.equal(torch.rand(1), expected)


def test_int4_is_a_sixth_of_float32():
    found, text = model(replace(LLAMA, d_model=128, d_ff=384, vocab_size=1000)), torch.arange(64) % 1000
    before = 4 * found.n_parameters()
    quantize_model(found, QuantizationConfig(method="gptq", calibration_tokens=64), text)
    layers, norms = quantized_layers(found), 4 * sum(p.numel() for p in found.parameters())
    assert sum(layer.n_bytes for layer in layers.values()) + norms <= 0.17 * before  # 5 bits a weight: 0.156, and norms


def refusal(found: GPT, config: QuantizationConfig) -> str:
    before = list(found.state_dict())
    with pytest.raises(InputError) as caught:
        quantize_model(found, config)
    assert list(found.state_dict()) == before  # nothing is swapped halfway
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("config", [QuantizationConfig(), QuantizationConfig(to="int8")])
def test_numbers_that_are_not_finite_are_named_by_layer(number: float, config: QuantizationConfig):
    broken = model()
    broken.blocks[1].feed_forward.down.weight.data[3, 7] = number
    assert "blocks.1.feed_forward.down" in refusal(broken, config)


def test_numbers_beyond_float16_are_for_int8():
    large = model()
    large.blocks[0].attention.key.weight.data[0, 0] = 1e5
    assert "blocks.0.attention.key" in refusal(large, QuantizationConfig())
    quantize_model(large, QuantizationConfig(to="int8"))


def test_a_width_that_groups_do_not_divide_is_named_with_a_group_that_does():
    narrow = replace(LLAMA, d_ff=96)
    assert "64 numbers in those of token_embedding: take a group_size of 64" in refusal(
        model(narrow), QuantizationConfig(group_size=128)
    )
    told = refusal(model(replace(GPT2, d_model=48)), QuantizationConfig())
    assert "48 numbers in those of token_embedding: take int8" in told


def test_skips_that_name_nothing_or_everything_are_refused():
    assert "blocks.7" in refusal(model(), QuantizationConfig(skip=("blocks.7",)))
    assert "skip fewer" in refusal(model(), QuantizationConfig(skip=("blocks", "token_embedding")))


def test_twice_is_refused():
    assert "token_embedding" in refusal(quantize_model(model(), QuantizationConfig()), QuantizationConfig(to="int8"))


def test_adapters_have_to_be_merged_first():
    tuned = model()
    apply_lora(tuned, LoRAConfig(rank=2, targets=("query",)))
    for name, parameter in tuned.named_parameters():
        if name.endswith(".B"):
            parameter.data.normal_()
    assert "blocks.0.attention.query" in refusal(tuned, QuantizationConfig())
    merge_and_remove(tuned)
    expected = tuned.blocks[0].attention.query.weight.detach().clone()
    quantize_model(tuned, QuantizationConfig(to="int8"))
    step = expected.abs().amax(1, keepdim=True) / 127
    assert ((tuned.blocks[0].attention.query.dequantized() - expected).abs() <= step * 0.5001).all()


def test_learned_vectors_are_refused():
    prompted = model()
    prompted.prefix = SoftPrompt(prompted.token_embedding(torch.tensor([1, 2])).detach())
    assert "learned vectors" in refusal(prompted, QuantizationConfig())


def test_a_method_that_reads_a_text_needs_one():
    assert "--calibrate" in refusal(model(), QuantizationConfig(method="gptq"))


def test_rows_that_are_no_groups_have_one_scale_unless_groups_are_asked_for():
    narrow = replace(GPT2, d_model=48)
    layers = quantized_layers(quantize_model(model(narrow), QuantizationConfig(to="int8")))
    assert layers["blocks.0.attention.query"].kept.n_groups == 1
    assert layers["blocks.0.feed_forward.down"].kept.n_groups == 192 // 32
    with pytest.raises(
        InputError, match=r"multiple of 32 for granularity group, found 48 numbers in those of token_em"
    ):
        quantize_model(model(narrow), QuantizationConfig(to="int8", granularity="group"))
    with pytest.raises(InputError, match="must be channel or tensor to be affine, found group"):
        QuantizationConfig(to="int8", granularity="group", symmetric=False)


def test_skip_of_a_layer_by_its_whole_name_means_it_alone():
    found = model(replace(GPT2, tie_embeddings=False))
    layers = quantized_layers(quantize_model(found, QuantizationConfig(skip=("output",))))
    assert "output" not in layers
    assert "blocks.0.attention.output" in layers
