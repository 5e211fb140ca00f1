"""Quantization by a text: each block is fitted to what the quantized blocks before it give, in GPTQ's order."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.quantization.test_convert import GPT2, LLAMA, MODELS, model
from torch import Tensor, nn

from groundup.configs.model import GPTConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.quantization.calibration import calibration_windows
from groundup.quantization.convert import quantize_model, quantized_layers
from groundup.quantization.gptq import gptq
from groundup.quantization.int8_linear import Int8Linear
from groundup.quantization.observers import MinMaxObserver
from groundup.quantization.one_layer import LOOKED_UP

TEXT = torch.randint(40, (500,), generator=torch.Generator().manual_seed(0))
GPTQ = QuantizationConfig(method="gptq", calibration_tokens=128)


def inputs_of(found: GPT, name: str, windows: Tensor) -> Tensor:
    """Return what goes into a layer of `found` as it is now: [N, I]."""
    caught: list[Tensor] = []
    hook = found.get_submodule(name).register_forward_pre_hook(lambda _, args: caught.append(args[0].flatten(0, 1)))
    with torch.no_grad():
        found(windows)
    hook.remove()
    return torch.cat(caught)


@pytest.mark.parametrize("kind", [GPT2, LLAMA, MODELS["gpt2, untied"], MODELS["sinusoidal"]])
def test_gptq_of_each_layer_is_that_of_the_inputs_from_quantized_blocks(kind: GPTConfig):
    ours, theirs = quantize_model(model(kind), GPTQ, TEXT), model(kind)
    windows = calibration_windows(TEXT, GPTQ, kind.context_length)
    for i, block in enumerate(theirs.blocks):
        linears = {f"blocks.{i}.{name}": part for name, part in block.named_modules() if isinstance(part, nn.Linear)}
        inputs = {name: inputs_of(theirs, name, windows) for name in linears}  # before any of this block is swapped
        for name, linear in linears.items():
            expected = gptq(linear.weight, inputs[name].T @ inputs[name], group_size=32).dequantized()
            found = ours.get_submodule(name).dequantized()
            # The Hessian's sums are of other pieces here; where a number lies halfway it goes to the other step.
            assert (found != expected).float().mean() < 0.01, name
            linear.weight.data = found
    hidden = theirs.hidden_states(windows).detach().flatten(0, 1)
    H = hidden.T @ hidden
    if kind.tie_embeddings:
        H += LOOKED_UP * H.diagonal().mean() * torch.eye(len(H))
    head = "token_embedding" if kind.tie_embeddings else "output"
    expected = gptq(theirs.get_submodule(head).weight, H, group_size=32).dequantized()
    assert (ours.get_submodule(head).dequantized() != expected).float().mean() < 0.01


def logit_error(config: QuantizationConfig) -> float:
    windows = calibration_windows(TEXT, config, GPT2.context_length)
    with torch.inference_mode():
        exact = model()(windows)
        return float((quantize_model(model(), config, TEXT)(windows) - exact).norm() / exact.norm())


def test_methods_that_read_the_text_lose_less_on_it():
    plain = logit_error(replace(GPTQ, method="round"))
    assert logit_error(GPTQ) < 0.8 * plain  # 0.5 was seen
    assert logit_error(replace(GPTQ, activation_aware=True)) < 0.8 * plain


def test_layers_with_one_input_share_their_scale():
    aware = quantized_layers(quantize_model(model(LLAMA), replace(GPTQ, method="round", activation_aware=True), TEXT))
    scales = {name: getattr(layer, "input_scale", None) for name, layer in aware.items()}
    for same in (("attention.query", "attention.key", "attention.value"), ("feed_forward.gate", "feed_forward.up")):
        first, *rest = (scales[f"blocks.1.{name}"] for name in same)
        assert all(torch.equal(first, other) for other in rest)
    assert not torch.equal(scales["blocks.1.attention.output"], scales["blocks.1.attention.query"])


@pytest.mark.parametrize("observer", ["minmax", "percentile", "entropy"])
def test_static_ranges_are_those_of_the_text(observer: Any):
    config = QuantizationConfig(to="int8", activations="static", observer=observer, calibration_tokens=128)
    found = quantize_model(model(), config, TEXT)
    layers = [layer for layer in quantized_layers(found).values() if isinstance(layer, Int8Linear)]
    assert len(layers) == 12
    assert all(not isinstance(layer.activations, str) for layer in layers)
    if observer == "minmax":  # of the first block, whose inputs come from layers that are not quantized yet
        seen, windows = MinMaxObserver(), calibration_windows(TEXT, config, GPT2.context_length)
        seen.observe(inputs_of(model(), "blocks.0.attention.query", windows))
        assert found.blocks[0].attention.query.activations == seen.range()


def test_a_skipped_layer_stays_and_the_text_goes_on_through_it():
    found = quantize_model(model(), replace(GPTQ, skip=("blocks.0", "token_embedding")), TEXT)
    assert {name.split(".")[1] for name in quantized_layers(found)} == {"1"}


def test_one_seed_reads_the_same_and_each_block_is_reported():
    lines: list[str] = []
    one, two, other = (
        quantize_model(model(), replace(GPTQ, seed=seed), TEXT, lines.append).state_dict() for seed in (0, 0, 1)
    )
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert any(not torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert lines[:4] == ["reading 128 tokens, in windows of 16", "block 1 of 2", "block 2 of 2", "done"]


def test_windows_are_different_parts_of_the_text():
    windows = calibration_windows(torch.arange(1000), QuantizationConfig(calibration_tokens=900), context_length=64)
    assert windows.shape == (14, 64)
    assert len(windows.unique()) == windows.numel()
    assert torch.equal(windows, windows[:, :1] + torch.arange(64))
    assert calibration_windows(torch.arange(1000), QuantizationConfig(calibration_tokens=7), 64).shape == (1, 7)


def test_a_text_that_is_too_short_is_refused_with_what_to_do():
    found = model()
    with pytest.raises(InputError, match="at least 1,000 tokens to calibrate on, found 500: give a longer text"):
        quantize_model(found, replace(GPTQ, calibration_tokens=1000), TEXT)
    assert not quantized_layers(found)
