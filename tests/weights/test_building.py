"""A GPT built from named tensors is the model they came from, and shares their memory where it can."""

import sys

import pytest
import torch
from torch import Tensor

from groundup.configs.model import GPTConfig
from groundup.errors import InputError
from groundup.models.gpt import GPT
from groundup.weights.building import build_model

GPT2 = GPTConfig(vocab_size=11, context_length=8, d_model=16, n_layers=2, n_heads=2)
LLAMA = GPTConfig(
    vocab_size=11, context_length=8, d_model=16, n_layers=2, n_heads=4, n_kv_heads=2, position="rotary", norm="rms",
    activation="swiglu", bias=False, tie_embeddings=False, rotary_base=1e5,
)  # fmt: skip
OLD = GPTConfig(vocab_size=11, context_length=8, d_model=16, n_layers=1, n_heads=2, position="sinusoidal")


def tensors_of(model: GPT) -> dict[str, Tensor]:
    return dict(model.named_parameters())


@pytest.mark.parametrize("config", [GPT2, LLAMA, OLD])
def test_it_is_the_model_the_tensors_came_from(config: GPTConfig):
    model, tokens = GPT(config).eval(), torch.tensor([[1, 2, 3, 4]])
    built = build_model(config, tensors_of(model).items(), source="here")
    assert not built.training
    assert torch.equal(built(tokens), model(tokens))
    assert all(parameter.requires_grad for parameter in built.parameters())


def test_float32_is_shared_and_other_formats_are_widened():
    model = GPT(LLAMA)
    tensors = tensors_of(model) | {"output.weight": model.output_weight.detach().bfloat16()}
    built = build_model(LLAMA, tensors.items(), source="here")
    assert built.token_embedding.weight.data_ptr() == model.token_embedding.weight.data_ptr()
    assert built.output_weight.dtype == torch.float32
    assert torch.equal(built.output_weight, model.output_weight.detach().bfloat16().float())


def test_tensors_are_taken_one_by_one():
    model, given = GPT(GPT2), []

    def one_by_one():
        for name, tensor in tensors_of(model).items():
            kept = tensor.detach().half()
            yield name, kept
            before = sys.getrefcount(kept)
            given.append(before)

    build_model(GPT2, one_by_one(), source="here")
    assert given == [2] * len(tensors_of(model))  # this name and the question: the builder has let go of each


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"final_norm.weight": None}, "expected final_norm.weight in x.bin, found no such tensor: "),
        ({"final_norm.weight": None, "final_norm.bias": None}, "no such tensor and 1 more"),
        ({"final_norm.weight": torch.ones(3)}, r"expected final_norm.weight of shape \(16,\) in x.bin, found \(3,\)"),
        ({"what.is.this": torch.ones(3)}, "found what.is.this besides"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Tensor | None], said: str):
    tensors = {name: tensor for name, tensor in (tensors_of(GPT(GPT2)) | changes).items() if tensor is not None}
    with pytest.raises(InputError, match=said):
        build_model(GPT2, tensors.items(), source="x.bin")


def test_a_tensor_that_comes_twice_is_named():
    tensors = list(tensors_of(GPT(GPT2)).items())
    with pytest.raises(InputError, match=r"found final_norm\.bias besides"):
        build_model(GPT2, [*tensors, ("final_norm.bias", torch.zeros(16))], source="x.bin")
