"""Adapters on a base in few bits: they learn, are saved alone and put back; the base itself cannot learn."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.quantization.test_convert import GPT2, LLAMA, TOKENS, model
from torch.nn import functional as F

from groundup.configs.finetuning import LoRAConfig, PromptConfig, TuningConfig
from groundup.configs.model import GPTConfig
from groundup.configs.quantization import QuantizationConfig
from groundup.errors import InputError
from groundup.finetuning.base import base_fingerprint
from groundup.finetuning.lora import apply_lora, merge, merge_and_remove
from groundup.finetuning.methods import apply_method
from groundup.finetuning.peft_files import load_adapter, save_adapter
from groundup.models.gpt import GPT
from groundup.models.resize import resize_token_embeddings
from groundup.quantization.convert import dequantize_model, quantize_model, quantized_layers
from groundup.training.learned import learned_state, n_learned, n_numbers

INT4, INT8 = QuantizationConfig(), QuantizationConfig(to="int8", activations="dynamic")
LORA = LoRAConfig(rank=4, targets=("query", "down"))


def quantized(config: QuantizationConfig = INT4, kind: GPTConfig = GPT2) -> GPT:
    return quantize_model(model(kind), config)


def bits(gpt: GPT) -> dict[str, torch.Tensor]:
    """Return all that is quantized, under the names that it has without adapters."""
    layers = {name.removesuffix(".linear"): layer for name, layer in quantized_layers(gpt).items()}
    return {f"{name}.{part}": buffer for name, layer in layers.items() for part, buffer in layer.named_buffers()}


def loss_of(gpt: GPT) -> torch.Tensor:
    return F.cross_entropy(gpt(TOKENS[:, :-1]).flatten(0, 1), TOKENS[:, 1:].flatten())


def trained(gpt: GPT) -> list[float]:
    torch.manual_seed(0)
    apply_lora(gpt, LORA)
    optimizer = torch.optim.AdamW([p for p in gpt.parameters() if p.requires_grad], lr=0.02)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = loss_of(gpt)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("config", [INT4, INT8])
@pytest.mark.parametrize("kind", [GPT2, LLAMA])
def test_adapters_learn_and_the_base_keeps_its_bits(kind: GPTConfig, config: QuantizationConfig):
    gpt = quantized(config, kind)
    before = {name: buffer.clone() for name, buffer in bits(gpt).items()}
    losses = trained(gpt)
    assert losses[-1] < losses[0] / 2
    after = bits(gpt)
    assert len(before) > 20
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())


def test_the_gradients_are_those_on_the_same_numbers_in_floating_point():
    packed, plain = quantized(), dequantize_model(quantized())
    for gpt in (packed, plain):
        torch.manual_seed(0)
        apply_lora(gpt, LORA)
        loss_of(gpt).backward()
    wanted = {name: p.grad for name, p in plain.named_parameters() if p.grad is not None}
    for name, parameter in packed.named_parameters():
        if name in wanted:  # the same products; a backward pass may sum in another order
            torch.testing.assert_close(parameter.grad, wanted[name], atol=1e-6, rtol=1e-5)


def test_an_adapter_is_saved_alone_and_put_back(tmp_path: Path):
    gpt = quantized()
    trained(gpt)
    save_adapter(gpt, tmp_path / "adapter", base="somewhere")
    assert sum(path.stat().st_size for path in (tmp_path / "adapter").iterdir()) < 40_000  # not the base
    again = quantized()
    load_adapter(again, tmp_path / "adapter")
    with torch.inference_mode():
        assert torch.equal(again(TOKENS), gpt(TOKENS))


def test_the_fingerprint_is_of_the_bits_and_adapters_do_not_change_it():
    gpt = quantized()
    before = base_fingerprint(gpt)
    assert before == base_fingerprint(quantized())
    assert before != base_fingerprint(quantized(INT8))
    assert before != base_fingerprint(model())
    apply_lora(gpt, LORA)
    assert base_fingerprint(gpt) == before
    gpt.blocks[0].attention.key.packed ^= 1
    assert base_fingerprint(gpt) != before


def test_a_checkpoint_holds_the_adapter_alone_and_the_base_is_counted_whole():
    gpt, plain = quantized(), model()
    for one in (gpt, plain):
        apply_lora(one, LORA)
    assert learned_state(gpt).keys() == learned_state(plain).keys()
    assert (n_learned(gpt), n_numbers(gpt)) == (n_learned(plain), n_numbers(plain))


def test_merging_into_few_bits_is_refused_and_into_their_floats_exact():
    gpt = quantized()
    trained(gpt)
    with torch.inference_mode():
        expected = gpt(TOKENS)
        with pytest.raises(InputError, match="use the model unquantized"):
            merge(gpt)
        merge_and_remove(dequantize_model(gpt))
        # W + BA is rounded once in the merged weight: 1e-6 was seen of logits of size 10
        torch.testing.assert_close(gpt(TOKENS), expected, atol=1e-4, rtol=0)
    assert list(gpt.state_dict()) == list(model().state_dict())


@pytest.mark.parametrize("method", ["full", "last"])
def test_what_is_in_few_bits_cannot_learn(method: Any):
    gpt = quantized()
    with pytest.raises(InputError, match="take method lora") as caught:
        apply_method(gpt, TuningConfig(method=method), encode=lambda text: [], seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_vectors_before_the_text_learn(method: Any):
    gpt = quantized(kind=replace(GPT2, context_length=32))
    tuning = TuningConfig(method=method, prompt=PromptConfig(n_vectors=4))
    apply_method(gpt, tuning, encode=lambda text: [], seed=0)
    loss_of(gpt).backward()
    assert all(p.grad is not None and p.grad.any() for p in gpt.parameters() if p.requires_grad)


def test_a_table_in_few_bits_is_not_resized():
    with pytest.raises(InputError, match="take the model that was quantized"):
        resize_token_embeddings(quantized(), 50)
